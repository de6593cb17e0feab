import { describe, expect, it } from "vitest";
import { addToSum, finishSum, ipv6UpperSum } from "../../src/wire/internet-checksum.ts";

describe("Internet checksum", () => {
  it("is that of the example in RFC 1071 section 3", () => {
    const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
    expect(finishSum(addToSum(0, bytes, 0, 8))).toBe(~0xddf2 & 0xffff);
  });

  it("takes an odd last byte as the upper half of a word", () => {
    expect(finishSum(addToSum(0, Uint8Array.of(0x12, 0x34, 0x56), 0, 3))).toBe(~(0x1234 + 0x5600) & 0xffff);
  });

  it("carries more than once", () => {
    expect(finishSum(0xffff + 0xffff + 1)).toBe(~1 & 0xffff);
    expect(finishSum(0x1_ffff)).toBe(~1 & 0xffff);
  });

  it("gives 0 over an ICMPv6 packet that has its checksum, here an echo request as Linux sent it", () => {
    const packet = Buffer.from(
      "6000000000083a40fd000000000000000000000000000001fd0000000000000000000000000000028000828012340001",
      "hex",
    );
    packet.writeUInt16BE(0, 42);
    const checksum = finishSum(ipv6UpperSum(packet, 0, 40, 8, 58));
    packet.writeUInt16BE(checksum, 42);
    expect(finishSum(ipv6UpperSum(packet, 0, 40, 8, 58))).toBe(0);
    // By hand: 2 * fd00 + 0001 + 0002 + 8 + 3a + 8000 + 1234 + 0001 = 28c7a, folded 8c7c.
    expect(checksum).toBe(~0x8c7c & 0xffff);
  });
});
