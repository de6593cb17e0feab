/**
 * VXLAN header, RFC 7348 section 5. 8 bytes, network byte order, follows the outer UDP header; the inner Ethernet frame
 * follows it without padding.
 *
 *  byte  0          1          2          3          4          5          6          7
 *        [RRRRIRRR] [       reserved, 24 bits      ] [          VNI, 24 bits        ] [reserved]
 *
 * I: the VNI is valid, must be 1. Reserved bits are written as 0 and ignored on receipt (RFC 7348 section 5; the Linux
 * kernel drops such packets, see DECISIONS 4).
 */
import { HDR_TRUNC, NOT_DROPPED, VXLAN_INVALID_HDR } from "../drop-reason.ts";

export const VXLAN_HEADER_BYTES = 8;
/** Highest VNI: 24 bits. */
export const MAX_VNI = 0xffffff;

const FLAGS = 0; // byte offsets
const VNI = 4;
const FLAG_I = 0x08;

/** Says whether `length` bytes at `offset` start with a VXLAN header; after NOT_DROPPED the readers below are safe. */
export const checkVxlan = (bytes: Uint8Array, offset: number, length: number): number => {
  if (length < VXLAN_HEADER_BYTES) return HDR_TRUNC;
  if ((bytes[offset + FLAGS]! & FLAG_I) === 0) return VXLAN_INVALID_HDR;
  return NOT_DROPPED;
};

export const readVni = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset + VNI]! << 16) | (bytes[offset + VNI + 1]! << 8) | bytes[offset + VNI + 2]!;

/** True when a bit is set that RFC 7348 reserves: a sender with GBP, GPE or a vendor's extension. */
export const hasReservedBits = (bytes: Uint8Array, offset: number): boolean =>
  (bytes[offset + FLAGS]! & ~FLAG_I) !== 0 ||
  (bytes[offset + 1]! | bytes[offset + 2]! | bytes[offset + 3]! | bytes[offset + 7]!) !== 0;

/** Writes all 8 bytes. @param vni 0..MAX_VNI */
export const writeVxlan = (bytes: Uint8Array, offset: number, vni: number): void => {
  bytes.fill(0, offset, offset + VXLAN_HEADER_BYTES);
  bytes[offset + FLAGS] = FLAG_I;
  bytes[offset + VNI] = vni >>> 16;
  bytes[offset + VNI + 1] = (vni >>> 8) & 255;
  bytes[offset + VNI + 2] = vni & 255;
};
