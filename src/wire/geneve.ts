/**
 * Geneve header, RFC 8926 section 3.4. 8 bytes and the options, network byte order, follows the outer UDP header; the inner
 * Ethernet frame follows it.
 *
 *  byte  0          1          2          3          4          5          6          7
 *        [VVLLLLLL] [OCrrrrrr] [  protocol type   ] [          VNI, 24 bits        ] [reserved]
 *
 * V: version, 0. L: length of the options in units of 4 bytes. O: a control packet, which is not for the overlay. C: an option is
 * critical, so that who does not understand it drops the packet; we understand none. Other reserved bits are written as 0
 * and ignored on receipt. Checked and read by its rule (vni-header.ts).
 */
import { INVALID_HDR } from "../drop-reason.ts";
import { ETHERTYPE_TEB } from "./gre.ts";
import { VNI_HEADER_BYTES, type VniRule, writeVni } from "./vni-header.ts";

/** Without options, as we send it. */
export const GENEVE_HEADER_BYTES: number = VNI_HEADER_BYTES;

/** Of the first byte. */
export const GENEVE_OPTIONS_LENGTH = 0x3f;

const VERSION = 0xc0 << 24;
const CONTROL_AND_CRITICAL = 0xc0 << 16;
const RESERVED = 0x3f << 16;
const PROTOCOL = 0xffff;

/** Options are for those who know them. */
export const GENEVE_RULE: VniRule = {
  mask: VERSION | CONTROL_AND_CRITICAL | PROTOCOL,
  value: ETHERTYPE_TEB,
  reason: INVALID_HDR,
  reserved0: RESERVED,
  reserved1: 0xff,
};

/** There must be none. */
export const GENEVE_RULE_WITHOUT_OPTIONS: VniRule = {
  ...GENEVE_RULE,
  mask: GENEVE_RULE.mask | (GENEVE_OPTIONS_LENGTH << 24),
};

/** Writes all 8 bytes. @param vni 0..MAX_VNI */
export const writeGeneve = (bytes: Uint8Array, offset: number, vni: number): void => {
  bytes.fill(0, offset, offset + GENEVE_HEADER_BYTES);
  bytes[offset + 2] = ETHERTYPE_TEB >>> 8;
  bytes[offset + 3] = ETHERTYPE_TEB & 255;
  writeVni(bytes, offset, vni);
};
