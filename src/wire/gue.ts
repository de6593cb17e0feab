/**
 * GUE header, draft-ietf-intarea-gue-09 variant 0, as Linux has it (include/net/gue.h). 4 bytes and optional fields.
 *
 *  byte  0            1                2          3
 *        [VVC HHHHH]  [protocol/ctype] [        flags        ]
 *
 * V: variant, 0; C: a control message; H: 4-byte units of optional fields. The protocol is that of the payload, an IP protocol
 * number: 4 IPv4, 41 IPv6, 47 GRE. Messages of control and with optional fields (remote checksum offload, private data) are
 * refused: who sends them has agreed on them beforehand.
 */
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED, UNHANDLED_PROTO } from "../drop-reason.ts";

export const GUE_HEADER_BYTES = 4;

/** Says whether `length` bytes at `offset` start with a GUE header of a payload of `protocol`. */
export const checkGue = (bytes: Uint8Array, offset: number, length: number, protocol: number): number => {
  if (length < GUE_HEADER_BYTES) return HDR_TRUNC;
  if ((bytes[offset]! | bytes[offset + 2]! | bytes[offset + 3]!) !== 0) return INVALID_HDR;
  return bytes[offset + 1] === protocol ? NOT_DROPPED : UNHANDLED_PROTO;
};

/** Writes GUE_HEADER_BYTES. @param protocol IP protocol number of the payload */
export const writeGue = (bytes: Uint8Array, offset: number, protocol: number): void => {
  bytes.set([0, protocol, 0, 0], offset);
};
