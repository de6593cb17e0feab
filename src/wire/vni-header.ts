/**
 * Tunnel headers that begin with eight bytes of which 4..6 are a VNI: VXLAN, and Geneve with its options behind. What else they
 * must have is in the first word, so that a rule of four numbers checks and describes any of them.
 *
 *  byte  0..3 flags, lengths, protocol: the format's own   4..6 VNI   7 reserved
 */
import { HDR_TRUNC, NOT_DROPPED } from "../drop-reason.ts";

export const VNI_HEADER_BYTES = 8;
/** Highest VNI: 24 bits. */
export const MAX_VNI = 0xffffff;

const VNI = 4; // byte offset

/** Words are the header's bytes 0..3 and 4..7, big-endian, as int32. */
export interface VniRule {
  /** The first word masked with `mask` must be `value`. */
  readonly mask: number;
  readonly value: number;
  /** Drop reason when it is not. */
  readonly reason: number;
  /** Bits of either word that are reserved: ignored, and counted when one is set. */
  readonly reserved0: number;
  readonly reserved1: number;
}

const readWord = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;

/** Says whether `length` bytes at `offset` start with such a header; after NOT_DROPPED the readers below are safe. */
export const checkVniHeader = (bytes: Uint8Array, offset: number, length: number, rule: VniRule): number => {
  if (length < VNI_HEADER_BYTES) return HDR_TRUNC;
  return (readWord(bytes, offset) & rule.mask) === rule.value ? NOT_DROPPED : rule.reason;
};

export const readVni = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset + VNI]! << 16) | (bytes[offset + VNI + 1]! << 8) | bytes[offset + VNI + 2]!;

/** True when a bit is set that the format reserves: a sender with an extension. */
export const hasReservedBits = (bytes: Uint8Array, offset: number, rule: VniRule): boolean =>
  ((readWord(bytes, offset) & rule.reserved0) | (readWord(bytes, offset + VNI) & rule.reserved1)) !== 0;

/** @param vni 0..MAX_VNI */
export const writeVni = (bytes: Uint8Array, offset: number, vni: number): void => {
  bytes[offset + VNI] = vni >>> 16;
  bytes[offset + VNI + 1] = (vni >>> 8) & 255;
  bytes[offset + VNI + 2] = vni & 255;
};
