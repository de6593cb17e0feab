/** The addon's one's-complement sums: every way of adding up against arithmetic without overflow (RFC 1071). */
import { endianness } from "node:os";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ChecksumPath, OffloadTool } from "./offload-tool.ts";

let tool: OffloadTool;
beforeAll(() => {
  tool = new OffloadTool();
});
afterAll(() => tool.close());

const PATHS: ChecksumPath[] = ["scalar", "avx2", "neon", "best"];
/** Longest vector loop is 128 bytes a round: every rest of it and a few rounds. */
const MAX_SHORT = 400;

/** The residue modulo 65535 from 1 to 65535, or 0 for a sum of nothing but zeros. */
const reference = (initial: number, data: Uint8Array): number => {
  const word = endianness() === "LE" ? [0n, 8n] : [8n, 0n];
  const sum = data.reduce((total, byte, i) => total + (BigInt(byte) << word[i % 2]!), BigInt(initial));
  return sum === 0n ? 0 : Number(((sum - 1n) % 0xffffn) + 1n);
};

/** What differs from the reference. */
const mistakes = async (initial: number, shift: number, data: Uint8Array): Promise<string[]> => {
  const expected = reference(initial, data);
  const sums = await Promise.all(PATHS.map((path) => tool.checksum(path, initial, shift, data)));
  return PATHS.flatMap((path, i) =>
    sums[i] === undefined || sums[i] === expected
      ? []
      : [`${path} of ${data.length} bytes at ${shift}: ${sums[i]} instead of ${expected}`],
  );
};

describe("checksum", () => {
  it("has the scalar path everywhere, and one vector path on the processors it is meant for", async () => {
    const data = Uint8Array.of(1, 2, 3);
    expect(await tool.checksum("scalar", 0, 0, data)).toBe(reference(0, data));
    expect(await tool.checksum("best", 0, 0, data)).toBe(reference(0, data));
    expect(await tool.checksum("neon", 0, 0, data)).toBe(process.arch === "arm64" ? reference(0, data) : undefined);
    if (process.arch === "arm64") expect(await tool.checksum("avx2", 0, 0, data)).toBeUndefined();
  });

  it("is that of the example in RFC 1071 section 3", async () => {
    const sum = await tool.checksum("best", 0, 0, Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7));
    const bytes = new Uint8Array(Uint16Array.of(sum!).buffer);
    expect([...bytes]).toEqual([0xdd, 0xf2]);
  });

  it("agrees on every short length at every alignment within 8 bytes", async () => {
    const data = Uint8Array.from({ length: MAX_SHORT }, (_, i) => (i * 73 + 0xc7) & 0xff);
    for (let shift = 0; shift < 8; shift++) {
      const lengths = Array.from({ length: MAX_SHORT }, (_, length) => length);
      const found = await Promise.all(lengths.map((length) => mistakes(0, shift, data.subarray(0, length))));
      expect(found.flat()).toEqual([]);
    }
  });

  it("agrees on random data, alignments and initial sums", async () => {
    const arbitrary = fc.uint8Array({ maxLength: 3000, size: "max" });
    const property = fc.asyncProperty(fc.nat(0xffffffff), fc.nat(70), arbitrary, async (initial, shift, data) => {
      expect(await mistakes(initial, shift, data)).toEqual([]);
    });
    await fc.assert(property, { numRuns: 500 });
  });

  it.each([
    ["ones only, where every addition carries", 0xff],
    ["zeros only, whose sum alone is zero", 0],
    ["the sign bit", 0x80],
  ])("agrees on 64 KiB of %s", async (_, byte) => {
    for (const length of [65535, 65536]) {
      const data = new Uint8Array(length).fill(byte);
      expect(await mistakes(0, 1, data)).toEqual([]);
      expect(await mistakes(0xffffffff, 2, data)).toEqual([]);
    }
  });

  it("keeps a zero apart from 0xffff", async () => {
    expect(await tool.checksum("best", 0, 0, new Uint8Array(0))).toBe(0);
    expect(await tool.checksum("best", 0, 0, new Uint8Array(100))).toBe(0);
    expect(await tool.checksum("best", 0xffff, 0, new Uint8Array(100))).toBe(0xffff);
    expect(await tool.checksum("best", 0xffff0000, 0, new Uint8Array(2))).toBe(0xffff);
  });
});

describe("completing a checksum", () => {
  /** Folded sum in network order. */
  const sum = (data: Uint8Array): number => {
    const total = data.reduce((sum, byte, i) => sum + (i % 2 === 0 ? byte * 256 : byte), 0);
    return total === 0 ? 0 : ((total - 1) % 0xffff) + 1;
  };
  const field = (frame: Uint8Array, at: number): number => frame[at]! * 256 + frame[at + 1]!;

  it("stores the complement of all from csum_start, what stood in the field included", async () => {
    const arbitrary = fc.uint8Array({ minLength: 60, maxLength: 1600, size: "max" });
    const property = fc.asyncProperty(arbitrary, fc.nat(40), async (frame, start) => {
      const completed = await tool.complete(start, 16, frame);
      expect(field(completed!, start + 16)).toBe(~sum(frame.subarray(start)) & 0xffff);
      completed!.set(frame.subarray(start + 16, start + 18), start + 16);
      expect(completed).toEqual(frame);
    });
    await fc.assert(property, { numRuns: 200 });
  });

  it("stores a zero of UDP as 0xffff (RFC 768), of TCP as it is", async () => {
    const frame = new Uint8Array(40).fill(0xff, 20, 22);
    expect(field((await tool.complete(14, 6, frame))!, 20)).toBe(0xffff);
    expect(field((await tool.complete(14, 16, frame))!, 30)).toBe(0);
  });

  it("refuses a field that is not whole inside the frame", async () => {
    const frame = new Uint8Array(60);
    expect(await tool.complete(42, 16, frame)).toBeDefined();
    expect(await tool.complete(43, 16, frame)).toBeUndefined();
    expect(await tool.complete(60, 0, frame)).toBeUndefined();
    expect(await tool.complete(0xffff, 0xffff, frame)).toBeUndefined();
    expect(await tool.complete(0xffffffff, 0xffffffff, frame)).toBeUndefined();
    expect(await tool.complete(0, 0, new Uint8Array(0))).toBeUndefined();
  });
});
