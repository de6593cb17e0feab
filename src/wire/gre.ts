/**
 * GRE header, RFC 2784 with the key and sequence number of RFC 2890. 4 to 16 bytes, network order; the payload follows.
 *
 *  byte  0          1          2          3
 *        [C0KSrrrr] [rrrrrVVV] [  protocol type   ]
 *        [   checksum, if C  ] [    reserved1     ]
 *        [                 key, if K              ]
 *        [           sequence number, if S        ]
 *
 * The protocol type is the payload's ethertype. The second bit was RFC 1701's routing bit: RFC 2784 section 2.3 has receivers
 * discard packets with it, or with the fifth or sixth bit, unless they implement RFC 1701, and ignore the seven bits behind
 * those. The version is 0; 1 is PPTP's.
 * The checksum covers header and payload (the addon computes and verifies it: it reads the payload).
 */
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED } from "../drop-reason.ts";

/** Bits of the first byte. */
export const GRE_CHECKSUM = 0x80;
export const GRE_KEY = 0x20;
export const GRE_SEQUENCE = 0x10;
/** Of these, each makes the header 4 bytes longer. */
export const GRE_BASE_BYTES = 4;
const WORD = 4;

/** Must be clear: routing, strict source route and the first bit of recursion control of RFC 1701; in the second byte the version. */
const FORBIDDEN = 0x4c;
const VERSION = 0x07;

/** Payloads. */
export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
/** Transparent Ethernet bridging: a whole frame. */
export const ETHERTYPE_TEB = 0x6558;

export const greHeaderBytes = (flags: number): number =>
  GRE_BASE_BYTES +
  ((flags & GRE_CHECKSUM) === 0 ? 0 : WORD) +
  ((flags & GRE_KEY) === 0 ? 0 : WORD) +
  ((flags & GRE_SEQUENCE) === 0 ? 0 : WORD);

/** Says whether `length` bytes at `offset` start with a GRE header; after NOT_DROPPED the readers below are safe. */
export const checkGre = (bytes: Uint8Array, offset: number, length: number): number => {
  if (length < GRE_BASE_BYTES) return HDR_TRUNC;
  if ((bytes[offset]! & FORBIDDEN) !== 0 || (bytes[offset + 1]! & VERSION) !== 0) return INVALID_HDR;
  return length < greHeaderBytes(bytes[offset]!) ? HDR_TRUNC : NOT_DROPPED;
};

/** GRE_* bits. */
export const readGreFlags = (bytes: Uint8Array, offset: number): number => bytes[offset]!;

export const readGreProtocol = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset + 2]! << 8) | bytes[offset + 3]!;

const readWord = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;

/** As an int32; only with GRE_KEY. */
export const readGreKey = (bytes: Uint8Array, offset: number): number =>
  readWord(bytes, offset + GRE_BASE_BYTES + ((bytes[offset]! & GRE_CHECKSUM) === 0 ? 0 : WORD));

/** As an int32; only with GRE_SEQUENCE. */
export const readGreSequence = (bytes: Uint8Array, offset: number): number =>
  readWord(bytes, offset + greHeaderBytes(bytes[offset]!) - WORD);

/** Writes greHeaderBytes(flags) bytes, checksum and sequence number zero. @param key 32 bits, unused without GRE_KEY */
export const writeGre = (bytes: Uint8Array, offset: number, flags: number, protocol: number, key: number): void => {
  bytes.fill(0, offset, offset + greHeaderBytes(flags));
  bytes[offset] = flags;
  bytes[offset + 2] = protocol >>> 8;
  bytes[offset + 3] = protocol & 255;
  if ((flags & GRE_KEY) === 0) return;
  const at = offset + GRE_BASE_BYTES + ((flags & GRE_CHECKSUM) === 0 ? 0 : WORD);
  for (let i = 0; i < WORD; i++) bytes[at + i] = key >>> (24 - 8 * i);
};
