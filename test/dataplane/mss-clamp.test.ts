import { describe, expect, it } from "vitest";
import {
  FLAG_IPV4,
  FLAG_IPV6,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FLAG_VLAN,
  FRAME_FLAGS,
  FRAME_HEADERS,
  FRAME_WORDS,
} from "../../src/binding/abi.ts";
import { BD_MSS_CLAMP } from "../../src/dataplane/bridge-domain.ts";
import { clampWord } from "../../src/dataplane/mss-clamp.ts";
import { MAC_A, MAC_B, TCP_SYN, tcpFrame } from "../support/frame-builder.ts";
import { MemoryVtep, macWords, type OverlayFrame } from "../support/memory-io.ts";

const V4 = { srcIp: "10.42.0.1", dstIp: "10.42.0.2" };
const V6 = { srcIp: "fd00:42::1", dstIp: "fd00:42::2" };

const setUp = (clamp: number | "off" | "auto", mtu = 1450) => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42, { mtu });
  const remote = vtep.remote(bd, "192.0.2.2", 42);
  vtep.tables.fdb.setStatic(bd, ...macWords(MAC_B), remote, 0, 1);
  vtep.tables.bridgeDomains.set(bd, BD_MSS_CLAMP, clampWord(clamp));
  return { vtep, port, remote };
};

/** A SYN that announces 1460, as the addon describes it. */
const syn = (port: number, addresses: typeof V4, vlans: readonly number[] = [], partial = false): OverlayFrame => {
  const options = Uint8Array.of(2, 4, 1460 >> 8, 1460 & 255);
  const checksum = partial ? "partial" : "full";
  const flow = { dst: MAC_B, src: MAC_A, srcPort: 1, dstPort: 80, flags: TCP_SYN, options, ...addresses, vlans };
  const bytes = tcpFrame({ ...flow, checksum });
  const ip = 14 + 4 * vlans.length;
  const kind = addresses === V4 ? FLAG_IPV4 : FLAG_IPV6;
  const flags = FLAG_TCP | kind | (vlans.length > 0 ? FLAG_VLAN : 0) | (partial ? FLAG_PARTIAL_CSUM : 0);
  return { port, dst: MAC_B, bytes, words: { [FRAME_FLAGS]: flags, [FRAME_HEADERS]: bytes.length | (ip << 16) } };
};

/** Of a SYN whose only option it is. */
const announced = (bytes: Uint8Array): number => Buffer.from(bytes).readUInt16BE(bytes.length - 2);

describe("an MSS clamp", () => {
  it.each([
    ["off", 1460, 1460],
    ["auto", 1410, 1390],
    [1000, 1000, 1000],
  ] as const)("of %s makes SYNs to the underlay announce %i over IPv4 and %i over IPv6", (clamp, v4, v6) => {
    const { vtep, port } = setUp(clamp);
    vtep.fromTap(syn(port, V4)).fromTap(syn(port, V6)).run();
    expect([announced(vtep.bytes(0)), announced(vtep.bytes(1))]).toEqual([v4, v6]);
  });

  it("of auto looks at the path to the remote VTEP, and at tags", () => {
    const { vtep, port, remote } = setUp("auto");
    vtep.tables.remotes.setFrameLimit(remote, 1364);
    vtep
      .fromTap(syn(port, V4))
      .fromTap(syn(port, V4, [7]))
      .run();
    expect([announced(vtep.bytes(0)), announced(vtep.bytes(1))]).toEqual([1364 - 14 - 40, 1364 - 18 - 40]);
  });

  it("leaves an unfinished checksum alone", () => {
    const { vtep, port } = setUp("auto");
    const frame = syn(port, V4, [], true);
    const before = Buffer.from(frame.bytes!).readUInt16BE(14 + 20 + 16);
    vtep.fromTap(frame).run();
    expect(Buffer.from(vtep.bytes(0)).readUInt16BE(14 + 20 + 16)).toBe(before);
    expect(announced(vtep.bytes(0))).toBe(1410);
  });

  it("holds SYNs from the underlay down, too", () => {
    const { vtep, remote } = setUp("auto");
    vtep.tables.remotes.setFrameLimit(remote, 1364);
    const { bytes, words } = syn(0, V4);
    vtep.fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: MAC_A, bytes: bytes! });
    for (const [word, value] of Object.entries(words!)) vtep.batch.frames[0 * FRAME_WORDS + Number(word)] = value;
    vtep.run();
    expect(announced(vtep.bytes(0))).toBe(1310);
  });
});
