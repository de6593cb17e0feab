import { describe, expect, it } from "vitest";
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED } from "../../src/drop-reason.ts";
import { GENEVE_RULE, GENEVE_RULE_WITHOUT_OPTIONS, writeGeneve } from "../../src/wire/geneve.ts";
import { checkVniHeader, hasReservedBits, MAX_VNI, readVni } from "../../src/wire/vni-header.ts";

/** Header of VNI 42 with other bytes at some places. */
const header = (changes: Readonly<Record<number, number>> = {}): Uint8Array => {
  const bytes = new Uint8Array(8);
  writeGeneve(bytes, 0, 42);
  for (const [at, byte] of Object.entries(changes)) bytes[Number(at)] = byte;
  return bytes;
};

describe("Geneve header (RFC 8926 section 3.4)", () => {
  it("is written with protocol type, VNI and zeros, whatever was there before", () => {
    const bytes = new Uint8Array(12).fill(0xa5);
    writeGeneve(bytes, 2, 0x123456);
    expect([...bytes]).toEqual([0xa5, 0xa5, 0, 0, 0x65, 0x58, 0x12, 0x34, 0x56, 0, 0xa5, 0xa5]);
  });

  it.each([0, 42, 0x800000, MAX_VNI])("reads back VNI %i, by either rule", (vni) => {
    const bytes = new Uint8Array(8).fill(0xa5);
    writeGeneve(bytes, 0, vni);
    for (const rule of [GENEVE_RULE, GENEVE_RULE_WITHOUT_OPTIONS]) {
      expect([checkVniHeader(bytes, 0, 8, rule), hasReservedBits(bytes, 0, rule)]).toEqual([NOT_DROPPED, false]);
    }
    expect(readVni(bytes, 0)).toBe(vni);
  });

  it.each<[string, Record<number, number>]>([
    ["version 1", { 0: 0x40 }],
    ["version 2", { 0: 0x80 }],
    ["the control bit", { 1: 0x80 }],
    ["a critical option", { 0: 0x01, 1: 0x40 }],
    ["an IPv4 packet inside", { 2: 0x08, 3: 0x00 }],
    ["another payload", { 3: 0x59 }],
  ])("is invalid with %s", (_what, changes) => {
    expect(checkVniHeader(header(changes), 0, 8, GENEVE_RULE)).toBe(INVALID_HDR);
  });

  it.each([1, 0x20, 0x3f])("may have %i words of options, unless they are refused", (words) => {
    expect(checkVniHeader(header({ 0: words }), 0, 8, GENEVE_RULE)).toBe(NOT_DROPPED);
    expect(checkVniHeader(header({ 0: words }), 0, 8, GENEVE_RULE_WITHOUT_OPTIONS)).toBe(INVALID_HDR);
  });

  it.each([1, 7])("may have reserved bits in byte %i", (at) => {
    const bytes = header({ [at]: 0x20 });
    expect([checkVniHeader(bytes, 0, 8, GENEVE_RULE), hasReservedBits(bytes, 0, GENEVE_RULE)]).toEqual([
      NOT_DROPPED,
      true,
    ]);
  });

  it.each([0, 7])("is too short with %i bytes", (length) => {
    expect(checkVniHeader(new Uint8Array(8), 0, length, GENEVE_RULE)).toBe(HDR_TRUNC);
  });
});
