/** Mode `ipip`: IPv4 packets in IPv4 (RFC 2003). */
import { AF_INET } from "../binding/abi.ts";
import { BARE_IP, IPV4_INSIDE } from "./bare-ip.ts";
import { COMMON_KEYS, ENCAP_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "ipip",
  meaning: "IPv4 packets in IPv4 (RFC 2003)",
  payloads: ["ipv4"],
  families: [AF_INET],
  carriers: () => [IPV4_INSIDE],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...ENCAP_KEYS],
  required: [],
};
