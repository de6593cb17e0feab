/**
 * What stands behind a GRE header that carries a mirrored frame (draft-foschiano-erspan-03). Nothing in type I, whose GRE header
 * has no sequence number; 8 bytes in type II; 12 in type III, and 8 more that a platform adds, by the O bit.
 *
 *  byte  0          1          2          3          4 ... 10            11
 *        [VVVVvvvv] [vvvvvvvv] [cccbbTSS] [SSSSSSSS]  II: to 7   III: ... [.......O]
 *
 * V: version, 1 in type II and 2 in type III. v: VLAN. S: session, by which mirrors are told apart. The addon knows the
 * lengths, too (native/header-layout.cc): it finds the frame.
 */
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED } from "../drop-reason.ts";
import { GRE_SEQUENCE, greHeaderBytes, readGreFlags, readGreProtocol } from "./gre.ts";

/** GRE's protocol type. */
export const ETHERTYPE_ERSPAN = 0x88be;
export const ETHERTYPE_ERSPAN_III = 0x22eb;

export const MAX_ERSPAN_SESSION = 1023;

const TYPE_II_BYTES = 8;
const TYPE_III_BYTES = 12;
const VERSION_II = 1;
const VERSION_III = 2;

export const isErspan = (protocol: number): boolean =>
  protocol === ETHERTYPE_ERSPAN || protocol === ETHERTYPE_ERSPAN_III;

/** Of a packet with a whole GRE header and such a protocol type; after NOT_DROPPED the reader below is safe. */
export const checkErspan = (bytes: Uint8Array, offset: number, length: number): number => {
  const flags = readGreFlags(bytes, offset);
  const isThird = readGreProtocol(bytes, offset) === ETHERTYPE_ERSPAN_III;
  if (flags === 0 && !isThird) return NOT_DROPPED;
  if (flags !== GRE_SEQUENCE) return INVALID_HDR;
  const at = greHeaderBytes(flags);
  if (length < at + (isThird ? TYPE_III_BYTES : TYPE_II_BYTES)) return HDR_TRUNC;
  return bytes[offset + at]! >>> 4 === (isThird ? VERSION_III : VERSION_II) ? NOT_DROPPED : INVALID_HDR;
};

/** -1 in type I. */
export const readErspanSession = (bytes: Uint8Array, offset: number): number => {
  const flags = readGreFlags(bytes, offset);
  if ((flags & GRE_SEQUENCE) === 0) return -1;
  const at = offset + greHeaderBytes(flags);
  return ((bytes[at + 2]! & 3) << 8) | bytes[at + 3]!;
};
