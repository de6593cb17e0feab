import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatMac,
  isGroupMac,
  isInvalidSourceMac,
  parseMac,
  readMacHi,
  readMacLo,
  textMacHi,
  textMacLo,
  toLocalMac,
} from "../../src/wire/mac.ts";

const words = (text: string): [number, number] => {
  const bytes = parseMac(text)!;
  return [readMacHi(bytes, 0), readMacLo(bytes, 0)];
};

describe("MAC address", () => {
  it("survives the way from text to bytes to integers and back (random bytes)", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        const text = formatMac(readMacHi(bytes, 0), readMacLo(bytes, 0));
        expect(parseMac(text)).toEqual(bytes);
        expect(parseMac(text.toUpperCase())).toEqual(bytes);
        for (const each of [text, text.toUpperCase()]) {
          expect([textMacHi(each), textMacLo(each)]).toEqual([readMacHi(bytes, 0), readMacLo(bytes, 0)]);
        }
        expect(isGroupMac(readMacHi(bytes, 0))).toBe((bytes[0]! & 1) === 1);
      }),
    );
  });

  it.each(["", "02:00:00:00:00", "02:00:00:00:00:001", "02-00-00-00-00-01", "02:00:00:00:00:0g", " 02:00:00:00:00:01"])(
    "is not read from %j",
    (text) => {
      expect(parseMac(text)).toBeUndefined();
      expect(textMacHi(text)).toBeNaN();
    },
  );

  it.each([
    ["ff:ff:ff:ff:ff:ff", true],
    ["01:00:5e:00:00:01", true],
    ["00:00:00:00:00:00", true],
    ["00:00:00:00:00:01", false],
    ["02:00:00:00:00:00", false],
  ])("%s as a source is invalid: %s", (text, invalid) => expect(isInvalidSourceMac(...words(text))).toBe(invalid));

  it("made local is unicast and locally administered", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
        const made = toLocalMac(bytes.slice());
        expect(made[0]! & 3).toBe(2);
        expect(made.slice(1)).toEqual(bytes.slice(1));
      }),
    );
  });
});
