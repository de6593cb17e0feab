/**
 * Claim: the kernel's tunnel GSO through an uplink TAP (Linux 6.17 and later) puts the same inner frames into VXLAN as the
 * addon's segmentation. Seen on Linux 6.18.
 *
 *   test -> t0 (vnet header of 24 bytes, UDP tunnel GSO) -- routed -- t1 (no offloads) -> test
 */
import { release } from "node:os";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OffloadTool, toHex } from "../native/offload-tool.ts";
import { SUPERFRAMES, type Superframe } from "../native/superframes.ts";
import { MAC_A, udpFrame, vxlanDatagram } from "../support/frame-builder.ts";
import { TapOracle } from "./tap-oracle.ts";

const UPLINK_MAC = "02:00:00:00:00:01";
const NEXT_HOP_MAC = "02:00:00:00:00:02";
/** TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6, TUN_F_UDP_TUNNEL_GSO. */
const OFFLOADS = 0x1 | 0x2 | 0x4 | 0x80;
/** VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4. */
const GSO_TUNNEL = 0x20;
/** Ethernet and IPv4; then UDP and VXLAN. */
const OUTER_TRANSPORT = 34;
const OUTER_LENGTH = OUTER_TRANSPORT + 8 + 8;

const [major, minor] = release().split(".").map(Number);
const hasTunnelGso = major! > 6 || (major === 6 && minor! >= 17);

/** With inner TCP, and short enough for an outer packet. */
const TCP_SUPERFRAMES = SUPERFRAMES.filter(([, { csumOffset, bytes }]) => csumOffset === 16 && bytes.length < 60000);

describe.skipIf(!hasTunnelGso)("the kernel's tunnel GSO", () => {
  let oracle: TapOracle;
  let tool: OffloadTool;
  beforeAll(async () => {
    oracle = new TapOracle();
    tool = new OffloadTool();
    await oracle.open();
    await oracle.offload(OFFLOADS);
    for (const [path, value] of [
      ["ip_forward", 1],
      ["conf/all/rp_filter", 0],
      ["conf/t0/rp_filter", 0],
    ] as const) {
      oracle.set(`ipv4/${path}`, value);
    }
    oracle.netns.ip(`link set t0 address ${UPLINK_MAC} up`);
    oracle.netns.ip("link set t1 mtu 2000 up");
    oracle.netns.ip("addr add 192.0.2.1/24 dev t0");
    oracle.netns.ip("route add 198.51.100.0/24 dev t1");
    oracle.netns.ip(`neigh add 198.51.100.2 lladdr ${NEXT_HOP_MAC} dev t1`);
  });
  afterAll(async () => {
    await oracle.close();
    await tool.close();
  });

  const encapsulated = (inner: Uint8Array): Uint8Array =>
    udpFrame({
      dst: UPLINK_MAC,
      src: MAC_A,
      srcIp: "192.0.2.2",
      dstIp: "198.51.100.2",
      srcPort: 50000,
      dstPort: 4789,
      payload: vxlanDatagram(42, inner),
      checksum: "zero",
    });

  const byKernel = async (original: Superframe, gsoSize: number): Promise<string[]> => {
    const fields = {
      gsoType: original.gsoType | GSO_TUNNEL,
      gsoSize,
      headerLength: OUTER_LENGTH + original.headerLength,
      csumStart: OUTER_LENGTH + original.transportOffset,
      csumOffset: original.csumOffset,
      tunnel: { outerTransport: OUTER_TRANSPORT, innerNetwork: OUTER_LENGTH + original.ipOffset },
    };
    const frames = await oracle.forward(fields, encapsulated(original.bytes));
    return frames.map((frame) => toHex(frame.subarray(OUTER_LENGTH)));
  };

  it.each(TCP_SUPERFRAMES)("puts the addon's segments into VXLAN: %s", async (_, original, gsoSize) => {
    const expected = await byKernel(original, gsoSize);
    expect(expected.length).toBeGreaterThan(1);
    const segments = await tool.split(original.gsoType, gsoSize, original.bytes);
    expect(segments?.map(toHex)).toEqual(expected);
  });
});
