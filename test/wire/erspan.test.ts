import { describe, expect, it } from "vitest";
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED } from "../../src/drop-reason.ts";
import { checkErspan, isErspan, readErspanSession } from "../../src/wire/erspan.ts";

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");
const check = (hex: string): number => checkErspan(bytes(hex), 0, bytes(hex).length);

const TYPE_I = "0000 88be";
const TYPE_II = "1000 88be 00000001 1000 0b2a 00000000";
const TYPE_III = "1000 22eb 00000001 2000 03ff 00000000 0000 0000";

describe("ERSPAN headers behind GRE (draft-foschiano-erspan-03)", () => {
  it.each([
    ["I", TYPE_I, -1],
    ["II", TYPE_II, 0x32a],
    ["III", TYPE_III, 1023],
  ])("type %s has its session", (_type, hex, session) => {
    expect([check(hex), readErspanSession(bytes(hex), 0)]).toEqual([NOT_DROPPED, session]);
  });

  it.each([
    ["a GRE key", TYPE_II.replace("1000", "3000")],
    ["type III without a sequence number", TYPE_III.replace("1000", "0000")],
    ["type II with version 2", TYPE_II.replace(" 1000 ", " 2000 ")],
    ["type III with version 1", TYPE_III.replace(" 2000 ", " 1000 ")],
  ])("is invalid with %s", (_what, hex) => {
    expect(check(hex)).toBe(INVALID_HDR);
  });

  it.each([TYPE_II, TYPE_III])("is too short with a byte less than %s", (hex) => {
    expect(checkErspan(bytes(hex), 0, bytes(hex).length - 1)).toBe(HDR_TRUNC);
  });

  it("is known by its protocol type", () => {
    expect([0x88be, 0x22eb, 0x6558, 0x0800].map(isErspan)).toEqual([true, true, false, false]);
  });
});
