/** Mode `isatap`: IPv6 packets in IPv4 between hosts of a site, whose interface identifiers are their IPv4 addresses (RFC 5214). */
import { AF_INET } from "../binding/abi.ts";
import { BARE_IP, IPV6_INSIDE } from "./bare-ip.ts";
import { AUTOMATIC_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "isatap",
  meaning: "IPv6 packets in IPv4 between hosts whose interface identifiers are their IPv4 addresses (RFC 5214)",
  payloads: ["ipv6"],
  families: [AF_INET],
  carriers: () => [IPV6_INSIDE],
  embedding: "identifier",
  keys: [...AUTOMATIC_KEYS, "potential-routers"],
  required: ["local"],
};
