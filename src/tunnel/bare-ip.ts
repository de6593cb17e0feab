/** What the modes have in common that put an IP packet right behind the outer IP header: no tunnel header (RFC 2003, 2473, 4213). */

import { PROTOCOL_IPIP, PROTOCOL_IPV6 } from "../wire/underlay-headers.ts";
import { headerLayout } from "./header-layout.ts";
import type { Carrier, Mode } from "./mode.ts";

export const IPV4_INSIDE: Carrier = { protocol: PROTOCOL_IPIP, port: 0 };
export const IPV6_INSIDE: Carrier = { protocol: PROTOCOL_IPV6, port: 0 };

export const BARE_IP: Pick<Mode, "format" | "layout" | "headerBytes" | "writeHeader"> = {
  format: () => ({ kind: "ip" }),
  layout: headerLayout({ base: 0, payload: "ip" }),
  headerBytes: () => 0,
  writeHeader: () => new Uint8Array(0),
};
