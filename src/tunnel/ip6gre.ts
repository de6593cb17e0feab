/** Mode `ip6gre`: GRE with IP packets inside, over IPv6. */
import { AF_INET6 } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS, ENCAP_KEYS, GRE_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "ip6gre",
  meaning: "GRE with IP packets inside, over IPv6",
  payloads: ["ipv4", "ipv6"],
  families: [AF_INET6],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...GRE_KEYS, ...ENCAP_KEYS],
  required: [],
};
