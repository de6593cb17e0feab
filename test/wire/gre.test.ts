import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED } from "../../src/drop-reason.ts";
import {
  checkGre,
  ETHERTYPE_IPV6,
  ETHERTYPE_TEB,
  GRE_CHECKSUM,
  GRE_KEY,
  GRE_SEQUENCE,
  greHeaderBytes,
  readGreFlags,
  readGreKey,
  readGreProtocol,
  readGreSequence,
  writeGre,
} from "../../src/wire/gre.ts";

const ALL = GRE_CHECKSUM | GRE_KEY | GRE_SEQUENCE;

describe("GRE header (RFC 2784, RFC 2890)", () => {
  it("is written with what its flags say, checksum and sequence number zero, whatever was there before", () => {
    const bytes = new Uint8Array(20).fill(0xa5);
    writeGre(bytes, 2, ALL, ETHERTYPE_TEB, 0xfedcba98);
    expect([...bytes]).toEqual(
      [0xa5, 0xa5, 0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 0xfe, 0xdc, 0xba, 0x98, 0, 0, 0, 0, 0xa5, 0xa5], // prettier
    );
    const bare = new Uint8Array(4).fill(0xa5);
    writeGre(bare, 0, 0, ETHERTYPE_IPV6, 0);
    expect([...bare]).toEqual([0, 0, 0x86, 0xdd]);
  });

  it.each([
    [0, 4],
    [GRE_KEY, 8],
    [GRE_CHECKSUM | GRE_SEQUENCE, 12],
    [ALL, 16],
  ])("with flags %i is %i bytes long", (flags, length) => {
    expect(greHeaderBytes(flags)).toBe(length);
  });

  it.each([0, GRE_CHECKSUM])("has its key and sequence number where flags %i leave them", (more) => {
    const flags = GRE_KEY | GRE_SEQUENCE | more;
    const bytes = new Uint8Array(16);
    writeGre(bytes, 0, flags, ETHERTYPE_TEB, 0xffff_fffe);
    bytes[greHeaderBytes(flags) - 1] = 9;
    expect([
      readGreFlags(bytes, 0),
      readGreProtocol(bytes, 0),
      readGreKey(bytes, 0),
      readGreSequence(bytes, 0),
    ]).toEqual([flags, ETHERTYPE_TEB, -2, 9]);
  });

  it.each([
    ["the routing bit", [0x40, 0]],
    ["strict source route", [0x08, 0]],
    ["the bit behind that, of recursion control", [0x04, 0]],
    ["version 1, which is PPTP's", [0x20, 0x01]],
    ["version 7", [0, 0x07]],
  ])("is invalid with %s", (_what, head) => {
    const bytes = Uint8Array.from([...head, 0x08, 0, ...new Array(12).fill(0)]);
    expect(checkGre(bytes, 0, 16)).toBe(INVALID_HDR);
  });

  it("is taken with bits that RFC 2784 reserves and has ignored", () => {
    expect(checkGre(Uint8Array.of(GRE_KEY | 0x03, 0xf8, 0x08, 0, 0, 0, 0, 1), 0, 8)).toBe(NOT_DROPPED);
  });

  it.each([0, 3])("is too short with %i bytes", (length) => {
    expect(checkGre(new Uint8Array(16), 0, length)).toBe(HDR_TRUNC);
  });

  it("is too short when its fields do not fit", () => {
    const bytes = new Uint8Array(16);
    writeGre(bytes, 0, ALL, ETHERTYPE_TEB, 1);
    expect([checkGre(bytes, 0, 15), checkGre(bytes, 0, 16)]).toEqual([HDR_TRUNC, NOT_DROPPED]);
  });

  it("has all its fields inside its bytes after a successful check (random bytes)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        if (checkGre(bytes, 0, bytes.length) !== NOT_DROPPED) return;
        expect(greHeaderBytes(bytes[0]!)).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
