/** Mode `ip6gretap`: GRE with Ethernet frames inside, over IPv6. */
import { AF_INET6 } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS, ENCAP_KEYS, ETHERNET_KEYS, GRE_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "ip6gretap",
  meaning: "GRE with Ethernet frames inside, over IPv6",
  payloads: ["ethernet"],
  families: [AF_INET6],
  keys: [...COMMON_KEYS, ...ETHERNET_KEYS, ...GRE_KEYS, ...ENCAP_KEYS],
  required: [],
};
