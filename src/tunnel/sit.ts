/** Mode `sit`: IPv6 packets in IPv4, 6in4 (RFC 4213). */
import { AF_INET } from "../binding/abi.ts";
import { BARE_IP, IPV6_INSIDE } from "./bare-ip.ts";
import { COMMON_KEYS, ENCAP_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "sit",
  meaning: "IPv6 packets in IPv4, 6in4 (RFC 4213)",
  payloads: ["ipv6"],
  families: [AF_INET],
  carriers: () => [IPV6_INSIDE],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...ENCAP_KEYS],
  required: [],
};
