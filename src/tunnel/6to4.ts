/** Mode `6to4`: IPv6 packets in IPv4 between sites whose prefix is 2002: and their IPv4 address (RFC 3056). */
import { AF_INET } from "../binding/abi.ts";
import { BARE_IP, IPV6_INSIDE } from "./bare-ip.ts";
import { AUTOMATIC_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "6to4",
  meaning: "IPv6 packets in IPv4 between sites of the prefix 2002: and their IPv4 address (RFC 3056)",
  payloads: ["ipv6"],
  families: [AF_INET],
  carriers: () => [IPV6_INSIDE],
  embedding: "prefix",
  keys: [...AUTOMATIC_KEYS, "remote"],
  required: ["local"],
};
