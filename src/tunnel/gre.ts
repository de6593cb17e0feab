/** Mode `gre`: GRE (RFC 2784) with IP packets inside, over IPv4. */
import { AF_INET } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS, ENCAP_KEYS, GRE_KEYS, PACKET_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "gre",
  meaning: "GRE (RFC 2784) with IP packets inside, over IPv4",
  payloads: ["ipv4", "ipv6"],
  families: [AF_INET],
  keys: [...COMMON_KEYS, ...PACKET_KEYS, ...GRE_KEYS, ...ENCAP_KEYS],
  required: [],
};
