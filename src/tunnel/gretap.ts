/** Mode `gretap`: GRE with Ethernet frames inside, over IPv4. */
import { AF_INET } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS, ENCAP_KEYS, ETHERNET_KEYS, GRE_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "gretap",
  meaning: "GRE with Ethernet frames inside, over IPv4",
  payloads: ["ethernet"],
  families: [AF_INET],
  keys: [...COMMON_KEYS, ...ETHERNET_KEYS, ...GRE_KEYS, ...ENCAP_KEYS],
  required: [],
};
