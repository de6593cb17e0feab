import { describe, expect, it } from "vitest";
import { HDR_TRUNC, INVALID_HDR, NOT_DROPPED, UNHANDLED_PROTO } from "../../src/drop-reason.ts";
import { checkGue, writeGue } from "../../src/wire/gue.ts";

const GRE = 47;

describe("GUE header", () => {
  it("is written with the payload's protocol and zeros, and accepted", () => {
    const bytes = new Uint8Array(6).fill(0xa5);
    writeGue(bytes, 1, GRE);
    expect([...bytes]).toEqual([0xa5, 0, GRE, 0, 0, 0xa5]);
    expect(checkGue(bytes, 1, 4, GRE)).toBe(NOT_DROPPED);
  });

  it.each([
    ["another variant", [0x40, GRE, 0, 0], INVALID_HDR],
    ["a control message", [0x20, GRE, 0, 0], INVALID_HDR],
    ["optional fields", [0x01, GRE, 0, 0], INVALID_HDR],
    ["flags", [0, GRE, 0x80, 0], INVALID_HDR],
    ["another payload", [0, 4, 0, 0], UNHANDLED_PROTO],
  ])("is refused with %s", (_what, bytes, reason) => {
    expect(checkGue(Uint8Array.from(bytes), 0, 4, GRE)).toBe(reason);
  });

  it("is too short with 3 bytes", () => {
    expect(checkGue(new Uint8Array(4), 0, 3, GRE)).toBe(HDR_TRUNC);
  });
});
