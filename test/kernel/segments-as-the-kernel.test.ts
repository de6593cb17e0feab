/**
 * Claim: the addon splits a superframe into the same bytes as the kernel. Seen on Linux 6.18.
 *
 *   test -> t0 -- br0 -- t1 -> test     t1 takes no offloads, so the kernel segments in front of it
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OffloadTool, toHex } from "../native/offload-tool.ts";
import { parseFrame } from "../native/parsed-frame.ts";
import { SUPERFRAMES, type Superframe, superframe, superframeArbitrary } from "../native/superframes.ts";
import { TapOracle } from "./tap-oracle.ts";

let oracle: TapOracle;
let tool: OffloadTool;
beforeAll(async () => {
  oracle = new TapOracle();
  tool = new OffloadTool();
  await oracle.open();
  oracle.netns.ip("link add br0 type bridge mcast_snooping 0");
  for (const device of [TapOracle.WRITER, TapOracle.READER]) oracle.netns.ip(`link set ${device} master br0 up`);
  oracle.netns.ip("link set br0 up");
});
afterAll(async () => {
  await oracle.close();
  await tool.close();
});

const byKernel = async (original: Superframe, gsoSize: number): Promise<string[]> => {
  const { gsoType, headerLength, transportOffset, csumOffset, bytes } = original;
  const fields = { gsoType, gsoSize, headerLength, csumStart: transportOffset, csumOffset };
  return (await oracle.forward(fields, bytes)).map(toHex);
};
const byAddon = async ({ gsoType, bytes }: Superframe, gsoSize: number): Promise<string[] | undefined> =>
  (await tool.split(gsoType, gsoSize, bytes))?.map(toHex);

describe("segments by the kernel and by the addon are the same bytes", () => {
  it.each(SUPERFRAMES)("for %s", async (_, original, gsoSize) => {
    const expected = await byKernel(original, gsoSize);
    expect(expected.length).toBeGreaterThan(1);
    expect(await byAddon(original, gsoSize)).toEqual(expected);
  });

  it("for a packet on its way to a router, whose pseudo-header has the last destination", async () => {
    const routing = {
      type: 43,
      bytes: [0, 2, 2, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), 9],
    };
    const original = superframe({ family: 6, ipv6Extensions: [routing], dstIp: "2001:db8::9" });
    original.bytes[original.ipOffset + 39] = 7;
    const expected = await byKernel(original, 1000);
    expect(expected).toHaveLength(3);
    expect(await byAddon(original, 1000)).toEqual(expected);
  });

  it("for a UDP checksum that comes out as zero", async () => {
    const original = superframe({ protocol: "udp", payload: new Uint8Array(3000) });
    const [first] = (await tool.split(original.gsoType, 1000, original.bytes))!;
    original.bytes.set(parseFrame(first!).transport.subarray(6, 8), original.headerLength);
    const expected = await byKernel(original, 1000);
    expect(expected[0]!.slice(2 * 40, 2 * 42)).toBe("ffff");
    expect(await byAddon(original, 1000)).toEqual(expected);
  });

  it("for a payload not longer than the segment size, which stays one frame", async () => {
    const original = superframe({ payloadLength: 1000, flags: 0x99 });
    const expected = await byKernel(original, 1000);
    expect(expected).toHaveLength(1);
    expect(await byAddon(original, 1000)).toEqual(expected);
  });

  it("for random superframes", async () => {
    const sizes = fc.integer({ min: 100, max: 2000 });
    const property = fc.asyncProperty(superframeArbitrary, sizes, async (original, gsoSize) => {
      // The kernel takes TCP options for payload where it asks whether there is more than one segment, and then drops it.
      fc.pre(original.bytes.length - original.headerLength > gsoSize);
      expect(await byAddon(original, gsoSize)).toEqual(await byKernel(original, gsoSize));
    });
    // No shrinking: a failure takes the kernel's silence to find out.
    await fc.assert(property, { numRuns: 60, endOnFailure: true });
  });
});
