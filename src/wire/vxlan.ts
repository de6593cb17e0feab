/**
 * VXLAN header, RFC 7348 section 5. 8 bytes, network byte order, follows the outer UDP header; the inner Ethernet frame
 * follows it without padding.
 *
 *  byte  0          1          2          3          4          5          6          7
 *        [RRRRIRRR] [       reserved, 24 bits      ] [          VNI, 24 bits        ] [reserved]
 *
 * I: the VNI is valid, must be 1. Reserved bits are written as 0 and ignored on receipt (RFC 7348 section 5; the Linux
 * kernel drops such packets, see DECISIONS 4). Checked and read by its rule (vni-header.ts).
 */
import { VXLAN_INVALID_HDR } from "../drop-reason.ts";
import { VNI_HEADER_BYTES, type VniRule, writeVni } from "./vni-header.ts";

export const VXLAN_HEADER_BYTES: number = VNI_HEADER_BYTES;

const FLAG_I = 0x08;

export const VXLAN_RULE: VniRule = {
  mask: FLAG_I << 24,
  value: FLAG_I << 24,
  reason: VXLAN_INVALID_HDR,
  reserved0: ~(FLAG_I << 24),
  reserved1: 0xff,
};

/** Writes all 8 bytes. @param vni 0..MAX_VNI */
export const writeVxlan = (bytes: Uint8Array, offset: number, vni: number): void => {
  bytes.fill(0, offset, offset + VXLAN_HEADER_BYTES);
  bytes[offset] = FLAG_I;
  writeVni(bytes, offset, vni);
};
