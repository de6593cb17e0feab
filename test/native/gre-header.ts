/** GRE headers (RFC 2784, RFC 2890) and what layouts describe them and their kin; an own sum checks the checksums. */
import {
  HEADER_CHECKSUM,
  HEADER_FLAGS_SHIFT,
  HEADER_PAYLOAD_ETHERTYPE,
  HEADER_PAYLOAD_IP,
  HEADER_PREFIX_SHIFT,
  HEADER_UNITS_SHIFT,
} from "../../src/binding/abi.ts";
import { onesComplementSum } from "../support/frame-builder.ts";

export const ETHERNET_IN_GRE = 0x6558;

const OPTIONAL_FIELDS = 0xb0;
export const GRE_LAYOUT: number = 4 | (OPTIONAL_FIELDS << HEADER_FLAGS_SHIFT) | HEADER_PAYLOAD_ETHERTYPE;
export const CHECKED_GRE_LAYOUT: number = GRE_LAYOUT | HEADER_CHECKSUM;
export const GENEVE_LAYOUT: number = 8 | (0x3f << HEADER_UNITS_SHIFT) | HEADER_PAYLOAD_ETHERTYPE;
export const GUE_LAYOUT: number = 4 | (0x1f << HEADER_UNITS_SHIFT) | HEADER_PAYLOAD_IP;
/** `units` of 4 bytes in front. */
export const prefixed = (layout: number, units: number): number => layout | (units << HEADER_PREFIX_SHIFT);

export interface GreFields {
  readonly etherType: number;
  /** What stands in the field; absent without one. */
  readonly checksum?: number;
  readonly key?: number;
  readonly sequence?: number;
}

const big32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];

export const greHeader = ({ etherType, checksum, key, sequence }: GreFields): Uint8Array => {
  const bit = (value: number | undefined, mask: number): number => (value === undefined ? 0 : mask);
  return Uint8Array.of(
    bit(checksum, 0x80) | bit(key, 0x20) | bit(sequence, 0x10),
    0,
    etherType >> 8,
    etherType & 0xff,
    ...(checksum === undefined ? [] : [checksum >> 8, checksum & 0xff, 0, 0]),
    ...(key === undefined ? [] : big32(key)),
    ...(sequence === undefined ? [] : big32(sequence)),
  );
};

/** The checksum over a GRE packet whose field holds 0. */
export const greChecksum = (packet: Uint8Array): number => ~onesComplementSum(packet) & 0xffff;

/** Header and payload with the checksum that is right for them. */
export const checkedGre = (fields: Omit<GreFields, "checksum">, payload: Uint8Array): Uint8Array => {
  const checksum = greChecksum(Buffer.concat([greHeader({ ...fields, checksum: 0 }), payload]));
  return Buffer.concat([greHeader({ ...fields, checksum }), payload]);
};
