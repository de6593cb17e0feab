import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HDR_TRUNC, NOT_DROPPED, VXLAN_INVALID_HDR } from "../../src/drop-reason.ts";
import { checkVniHeader, hasReservedBits as hasReserved, MAX_VNI, readVni } from "../../src/wire/vni-header.ts";
import { VXLAN_HEADER_BYTES, VXLAN_RULE, writeVxlan } from "../../src/wire/vxlan.ts";

const checkVxlan = (bytes: Uint8Array, offset: number, length: number): number =>
  checkVniHeader(bytes, offset, length, VXLAN_RULE);
const hasReservedBits = (bytes: Uint8Array, offset: number): boolean => hasReserved(bytes, offset, VXLAN_RULE);

describe("VXLAN header (RFC 7348 section 5)", () => {
  it("is written with the I flag, the VNI and zeros, whatever was there before", () => {
    const bytes = new Uint8Array(12).fill(0xa5);
    writeVxlan(bytes, 2, 0x123456);
    expect([...bytes]).toEqual([0xa5, 0xa5, 0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0, 0xa5, 0xa5]);
  });

  it.each([0, 1, 42, 0xffff, 0x800000, MAX_VNI])("reads back VNI %i", (vni) => {
    const bytes = new Uint8Array(8).fill(0xa5);
    writeVxlan(bytes, 0, vni);
    expect([checkVxlan(bytes, 0, 8), readVni(bytes, 0), hasReservedBits(bytes, 0)]).toEqual([NOT_DROPPED, vni, false]);
  });

  it.each([0, 1, 7])("is too short with %i bytes", (length) => {
    expect(checkVxlan(new Uint8Array(8).fill(0xff), 0, length)).toBe(HDR_TRUNC);
  });

  it("is invalid without the I flag", () => {
    expect(checkVxlan(new Uint8Array(8).fill(0xf7, 0, 1), 0, 8)).toBe(VXLAN_INVALID_HDR);
  });

  it.each([0, 1, 2, 3, 7])("has reserved bits in byte %i, which do not make it invalid", (byte) => {
    const bytes = new Uint8Array(8);
    writeVxlan(bytes, 0, MAX_VNI);
    bytes[byte] = bytes[byte]! | 0x80;
    expect([hasReservedBits(bytes, 0), checkVxlan(bytes, 0, 8), readVni(bytes, 0)]).toEqual([
      true,
      NOT_DROPPED,
      MAX_VNI,
    ]);
  });

  it("never reads beyond its bytes after a successful check (random bytes)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(20), (bytes, offset) => {
        const length = bytes.length - offset;
        if (checkVxlan(bytes, offset, length) !== NOT_DROPPED) return;
        expect(length).toBeGreaterThanOrEqual(VXLAN_HEADER_BYTES);
        const vni = readVni(bytes, offset);
        expect(vni).toBe((bytes[offset + 4]! << 16) | (bytes[offset + 5]! << 8) | bytes[offset + 6]!);
      }),
    );
  });
});
