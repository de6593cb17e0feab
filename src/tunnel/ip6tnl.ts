/** Mode `ip6tnl`: IPv4 and IPv6 packets in IPv6 (RFC 2473), iproute2's mode any. */
import { AF_INET6 } from "../binding/abi.ts";
import { BARE_IP, IPV4_INSIDE, IPV6_INSIDE } from "./bare-ip.ts";
import { COMMON_KEYS, ENCAP_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...BARE_IP,
  name: "ip6tnl",
  meaning: "IPv4 and IPv6 packets in IPv6 (RFC 2473), iproute2's mode any",
  payloads: ["ipv4", "ipv6"],
  families: [AF_INET6],
  carriers: () => [IPV4_INSIDE, IPV6_INSIDE],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...ENCAP_KEYS],
  required: [],
};
