/** Mode `ip6ip6`: IPv6 packets in IPv6 (RFC 2473). */
import { AF_INET6 } from "../binding/abi.ts";
import { BARE_IP, IPV6_INSIDE } from "./bare-ip.ts";
import { COMMON_KEYS, ENCAP_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "ip6ip6",
  meaning: "IPv6 packets in IPv6 (RFC 2473)",
  payloads: ["ipv6"],
  families: [AF_INET6],
  carriers: () => [IPV6_INSIDE],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...ENCAP_KEYS],
  required: [],
};
