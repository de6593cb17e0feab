/**
 * Claim: the addon splits a superframe into the same bytes as the kernel. Seen on Linux 6.18.
 *
 *   tap-oracle -> t0 (vnet header) -- br0 -- t1 (no offloads: the kernel segments in front of it) -> tap-oracle
 */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Netns } from "../native/netns.ts";
import { fromHex, OffloadTool, toHex, toolPath } from "../native/offload-tool.ts";
import { SUPERFRAMES, type Superframe, superframe } from "../native/superframes.ts";
import { LineProgram } from "../support/line-program.ts";

let netns: Netns;
let oracle: LineProgram;
let tool: OffloadTool;
beforeAll(async () => {
  netns = new Netns();
  // No neighbour discovery or multicast reports among the segments.
  const command =
    "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6";
  execFileSync("ip", ["netns", "exec", netns.name, "sh", "-c", command]);
  oracle = new LineProgram("ip", ["netns", "exec", netns.name, toolPath("tap-oracle")]);
  tool = new OffloadTool();
  expect(await oracle.ask("open t0 t1")).toBe("ready");
  netns.ip("link add br0 type bridge mcast_snooping 0");
  for (const device of ["t0", "t1"]) netns.ip(`link set ${device} master br0`);
  for (const device of ["t0", "t1", "br0"]) netns.ip(`link set ${device} up`);
});
afterAll(async () => {
  await oracle.close();
  await tool.close();
  netns.delete();
});

const NEEDS_CSUM = 1;

/** struct virtio_net_hdr_mrg_rxbuf. */
const vnetHeader = ({ bytes, gsoType, transportOffset, headerLength }: Superframe, gsoSize: number): Uint8Array => {
  const header = Buffer.alloc(12);
  header[0] = NEEDS_CSUM;
  header[1] = gsoType;
  header.writeUInt16LE(headerLength, 2);
  header.writeUInt16LE(gsoSize, 4);
  header.writeUInt16LE(transportOffset, 6);
  header.writeUInt16LE(bytes[transportOffset - 1] === undefined ? 0 : csumOffset(gsoType), 8);
  return header;
};
const csumOffset = (gsoType: number): number => ((gsoType & 7) === 5 ? 6 : 16);

const throughKernel = async (original: Superframe, gsoSize: number): Promise<Uint8Array[]> => {
  const answer = await oracle.ask(`forward ${toHex(vnetHeader(original, gsoSize))} ${toHex(original.bytes)}`);
  if (answer.startsWith("errno")) throw new Error(answer);
  return answer.split(" ").map(fromHex);
};

describe("segments by the kernel and by the addon", () => {
  it.each(SUPERFRAMES)("are the same bytes: %s", async (_, original, gsoSize) => {
    const expected = await throughKernel(original, gsoSize);
    expect(expected.length).toBeGreaterThan(1);
    const segments = await tool.split(original.gsoType, gsoSize, original.bytes);
    expect(segments?.map(toHex)).toEqual(expected.map(toHex));
  });
});
