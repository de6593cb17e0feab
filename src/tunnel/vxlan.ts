/** Mode `vxlan`: Ethernet in VXLAN in UDP (RFC 7348). */
import { AF_INET, AF_INET6 } from "../binding/abi.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import { VXLAN_HEADER_BYTES, VXLAN_RULE, writeVxlan } from "../wire/vxlan.ts";
import { COMMON_KEYS, ETHERNET_KEYS, UDP_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  name: "vxlan",
  meaning: "VXLAN (RFC 7348)",
  payloads: ["ethernet"],
  families: [AF_INET, AF_INET6],
  carriers: ({ port }) => [{ protocol: PROTOCOL_UDP, port }],
  format: () => ({ kind: "vni", rule: VXLAN_RULE }),
  layout: VXLAN_HEADER_BYTES,
  headerBytes: () => VXLAN_HEADER_BYTES,
  writeHeader: ({ key = 0 }) => {
    const header = new Uint8Array(VXLAN_HEADER_BYTES);
    writeVxlan(header, 0, key);
    return header;
  },
  keys: ["id", ...COMMON_KEYS, ...ETHERNET_KEYS, ...UDP_KEYS],
  required: ["id"],
  port: 4789,
};
