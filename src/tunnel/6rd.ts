/** Mode `6rd`: IPv6 packets in IPv4 between sites whose prefix a provider makes of its own and their IPv4 address (RFC 5969). */
import { AF_INET } from "../binding/abi.ts";
import { BARE_IP, IPV6_INSIDE } from "./bare-ip.ts";
import { AUTOMATIC_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "6rd",
  meaning: "IPv6 packets in IPv4 between sites of a provider's prefix and their IPv4 address (RFC 5969)",
  payloads: ["ipv6"],
  families: [AF_INET],
  carriers: () => [IPV6_INSIDE],
  embedding: "prefix",
  keys: [...AUTOMATIC_KEYS, "remote", "prefix", "relay-prefix"],
  required: ["local", "prefix"],
};
