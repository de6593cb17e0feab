/** Mode `geneve`: Ethernet in Geneve in UDP (RFC 8926). */
import { AF_INET, AF_INET6 } from "../binding/abi.ts";
import {
  GENEVE_HEADER_BYTES,
  GENEVE_OPTIONS_LENGTH,
  GENEVE_RULE,
  GENEVE_RULE_WITHOUT_OPTIONS,
  writeGeneve,
} from "../wire/geneve.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import { headerLayout } from "./header-layout.ts";
import { COMMON_KEYS, ETHERNET_KEYS, UDP_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  name: "geneve",
  meaning: "Geneve (RFC 8926)",
  payloads: ["ethernet"],
  families: [AF_INET, AF_INET6],
  carriers: ({ port }) => [{ protocol: PROTOCOL_UDP, port }],
  format: ({ refusesOptions }) => ({
    kind: "vni",
    rule: refusesOptions ? GENEVE_RULE_WITHOUT_OPTIONS : GENEVE_RULE,
  }),
  layout: headerLayout({ base: GENEVE_HEADER_BYTES, units: GENEVE_OPTIONS_LENGTH, payload: "ethernet" }),
  headerBytes: () => GENEVE_HEADER_BYTES,
  writeHeader: ({ key = 0 }) => {
    const header = new Uint8Array(GENEVE_HEADER_BYTES);
    writeGeneve(header, 0, key);
    return header;
  },
  keys: ["id", ...COMMON_KEYS, ...ETHERNET_KEYS, ...UDP_KEYS, "options"],
  required: ["id"],
  port: 6081,
};
