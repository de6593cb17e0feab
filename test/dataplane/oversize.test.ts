import { describe, expect, it } from "vitest";
import {
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_SEGMENTS,
  INNER_DF,
} from "../../src/binding/abi.ts";
import { BD_OUTER, BD_OVERSIZE } from "../../src/dataplane/bridge-domain.ts";
import { DROP_COLUMNS, ENCAP, LINK_COLUMNS, LINK_RX_FRAMES } from "../../src/dataplane/counters.ts";
import { outerPolicy } from "../../src/dataplane/outer-header.ts";
import { OVERSIZE_DROP, OVERSIZE_FRAGMENT } from "../../src/dataplane/oversize.ts";
import { TOO_BIG_ANSWER } from "../../src/dataplane/policers.ts";
import { UPCALL_KIND, UPCALL_PKT_TOO_BIG, UPCALL_REMOTE } from "../../src/dataplane/upcall-ring.ts";
import { DROP_REASON_COLUMNS, PKT_TOO_BIG, PKT_TOO_BIG_TOLD } from "../../src/drop-reason.ts";
import { type FlowFields, MAC_A, MAC_B, tcpFrame, udpFrame } from "../support/frame-builder.ts";
import { MemoryVtep, macWords, type OverlayFrame } from "../support/memory-io.ts";

const FLOW: FlowFields = {
  dst: MAC_B,
  src: MAC_A,
  srcIp: "10.42.0.1",
  dstIp: "10.42.0.2",
  srcPort: 1000,
  dstPort: 2000,
};
const FLOW6: FlowFields = { ...FLOW, srcIp: "fd00:42::1", dstIp: "fd00:42::2" };
/** Path of 1400 bytes over IPv4. */
const LIMIT = 1364;

const setUp = () => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42);
  const narrow = vtep.remote(bd, "192.0.2.2", 42);
  const wide = vtep.remote(bd, "192.0.2.3", 42);
  vtep.tables.remotes.setFrameLimit(narrow, LIMIT);
  vtep.tables.fdb.setStatic(bd, ...macWords(MAC_B), narrow, 0, 1);
  vtep.flood(bd, [wide, narrow]);
  const dropped = (reason: number) => vtep.counters.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + reason];
  return { vtep, bd, port, narrow, wide, dropped };
};

/** As the addon describes it. */
const overlay = (port: number, bytes: Uint8Array, words: Record<number, number> = {}): OverlayFrame => {
  const tags = bytes[12] === 0x81 ? 1 : 0;
  const ip = 14 + 4 * tags;
  const mayNotFragment = bytes[ip]! >> 4 === 6 || (bytes[ip + 6]! & 0x40) !== 0;
  const dst = [...bytes.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  return {
    port,
    dst,
    bytes,
    words: { [FRAME_INNER_IP]: (ip << 16) | (64 << 8) | (mayNotFragment ? INNER_DF : 0), ...words },
  };
};

/** A frame of `size` bytes. */
const sized = (size: number, flow: FlowFields = FLOW): Uint8Array => {
  const empty = udpFrame(flow).length;
  return udpFrame({ ...flow, payload: new Uint8Array(size - empty) });
};

describe("a frame larger than the path carries", () => {
  it("is answered to its sender, MACs turned round, and not sent", () => {
    const { vtep, bd, port, dropped } = setUp();
    const frame = sized(LIMIT + 1);
    expect(vtep.fromTap(overlay(port, frame)).run()).toEqual([{ port, frame: 0 }]);
    const answer = Buffer.from(vtep.bytes(0));
    expect(answer.subarray(0, 14)).toEqual(
      Buffer.concat([frame.subarray(6, 12), frame.subarray(0, 6), frame.subarray(12, 14)]),
    );
    expect([answer.length, answer[14 + 20], answer[14 + 21], answer.readUInt16BE(14 + 26)]).toEqual([
      14 + 576,
      3,
      4,
      LIMIT - 14,
    ]);
    expect([dropped(PKT_TOO_BIG_TOLD), dropped(PKT_TOO_BIG)]).toEqual([1, 0]);
    expect(vtep.counters.link[bd * LINK_COLUMNS + LINK_RX_FRAMES]).toBe(1);
  });

  it("goes on when it just fits, tag included", () => {
    const { vtep, port } = setUp();
    expect(vtep.fromTap(overlay(port, sized(LIMIT))).run()).toHaveLength(1);
    const [copy] = vtep.fromTap(overlay(port, sized(LIMIT, { ...FLOW, vlans: [7] }))).run();
    expect(copy?.to?.address).toBe("192.0.2.2");
  });

  it("is answered with its tag, and an MTU that leaves room for it", () => {
    const { vtep, port } = setUp();
    const frame = sized(LIMIT + 1, { ...FLOW, vlans: [7] });
    vtep.fromTap(overlay(port, frame)).run();
    const answer = Buffer.from(vtep.bytes(0));
    expect(answer.subarray(12, 18)).toEqual(Buffer.from(frame.subarray(12, 18)));
    expect(answer.readUInt16BE(18 + 26)).toBe(LIMIT - 18);
  });

  it("is answered with ICMPv6 when it is IPv6", () => {
    const { vtep, port } = setUp();
    vtep.fromTap(overlay(port, sized(LIMIT + 1, FLOW6))).run();
    const answer = Buffer.from(vtep.bytes(0));
    expect([answer[14 + 6], answer[14 + 40], answer.readUInt32BE(14 + 44)]).toEqual([58, 2, LIMIT - 14]);
  });

  it("is fragmented outside when its sender allows it", () => {
    const { vtep, port, dropped } = setUp();
    const [copy] = vtep.fromTap(overlay(port, sized(1500, { ...FLOW, dontFragment: false }))).run();
    expect(copy?.to?.address).toBe("192.0.2.2");
    expect(dropped(PKT_TOO_BIG)).toBe(0);
  });

  it("is fragmented outside when it is no IP", () => {
    const { vtep, port } = setUp();
    const frame = { port, dst: MAC_B, length: 1500 };
    expect(vtep.fromTap(frame).run()).toHaveLength(1);
  });

  it("is dropped where neither an answer nor fragments are allowed", () => {
    const { vtep, bd, port, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_OUTER, outerPolicy(0, undefined, "set"));
    expect(vtep.fromTap(overlay(port, sized(1500, { ...FLOW, dontFragment: false }))).run()).toEqual([]);
    expect([dropped(PKT_TOO_BIG), dropped(PKT_TOO_BIG_TOLD)]).toEqual([1, 0]);
  });

  it("goes without the DF it would inherit when it is to be fragmented", () => {
    const { vtep, bd, port } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_OVERSIZE, OVERSIZE_FRAGMENT);
    vtep.tables.bridgeDomains.set(bd, BD_OUTER, outerPolicy(0, undefined, "inherit"));
    expect(vtep.fromTap(overlay(port, sized(1500))).run()).toHaveLength(1);
    expect(vtep.batch.frames[FRAME_INNER_IP]! & INNER_DF).toBe(0);
  });

  it("is dropped when that is the policy", () => {
    const { vtep, bd, port, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_OVERSIZE, OVERSIZE_DROP);
    expect(vtep.fromTap(overlay(port, sized(1500))).run()).toEqual([]);
    expect(dropped(PKT_TOO_BIG)).toBe(1);
  });

  it("is answered at most as often as the tunnel's policer allows", () => {
    const { vtep, bd, port, dropped } = setUp();
    vtep.tables.policers.set(bd, TOO_BIG_ANSWER, 10, 2);
    for (let n = 0; n < 5; n++) vtep.fromTap(overlay(port, sized(1500)));
    expect(vtep.run()).toHaveLength(2);
    expect([dropped(PKT_TOO_BIG_TOLD), dropped(PKT_TOO_BIG)]).toEqual([2, 3]);
  });
});

describe("a superframe", () => {
  const superframe = (port: number, segment: number): OverlayFrame => {
    const bytes = tcpFrame({ ...FLOW, payload: new Uint8Array(3 * segment - 10), checksum: "partial" });
    return overlay(port, bytes, {
      [FRAME_GSO]: segment | (1 << 16),
      [FRAME_HEADERS]: 54 | (14 << 16),
      [FRAME_SEGMENTS]: 3,
      [FRAME_FLAGS]: 1,
    });
  };

  it("goes on whole when its segments fit", () => {
    const { vtep, port } = setUp();
    const [copy] = vtep.fromTap(superframe(port, LIMIT - 54)).run();
    expect(copy?.to?.address).toBe("192.0.2.2");
  });

  it("is answered as the first of its segments, and counted as all of them", () => {
    const { vtep, port, dropped } = setUp();
    expect(vtep.fromTap(superframe(port, LIMIT - 53)).run()).toEqual([{ port, frame: 0 }]);
    const answer = Buffer.from(vtep.bytes(0));
    expect(answer.readUInt16BE(14 + 28 + 2)).toBe(LIMIT - 53 + 40);
    expect(dropped(PKT_TOO_BIG_TOLD)).toBe(3);
    expect([vtep.gso(0), vtep.batch.frames[FRAME_SEGMENTS], vtep.batch.frames[FRAME_FLAGS]]).toEqual([0, 1, 0]);
  });
});

describe("a superframe of one segment", () => {
  it("is quoted no further than it goes, whatever its segment size says", () => {
    const { vtep, port } = setUp();
    const bytes = sized(LIMIT + 1, FLOW6);
    const words = { [FRAME_GSO]: 60_000 | (5 << 16), [FRAME_HEADERS]: 62 | (14 << 16) };
    vtep.fromTap(overlay(port, bytes, words)).run();
    const answer = Buffer.from(vtep.bytes(0));
    expect([answer.length, answer.readUInt16BE(14 + 48 + 4)]).toEqual([14 + 1280, LIMIT + 1 - 14 - 40]);
  });
});

describe("a flooded frame", () => {
  it("goes to the members that it fits, and is answered for the others when its MAC is one station's", () => {
    const { vtep, port } = setUp();
    const sent = vtep.fromTap(overlay(port, sized(1500, { ...FLOW, dst: "02:00:00:00:00:77" }))).run();
    expect(sent.map(({ to }) => to?.address)).toEqual(["192.0.2.3", undefined]);
    expect(vtep.bytes(0)[14 + 20]).toBe(3);
  });

  it("is never answered when it is broadcast", () => {
    const { vtep, port } = setUp();
    const sent = vtep.fromTap(overlay(port, sized(1500, { ...FLOW, dst: "ff:ff:ff:ff:ff:ff" }))).run();
    expect(sent.map(({ to }) => to?.address)).toEqual(["192.0.2.3", "192.0.2.2"]);
  });
});

describe("a packet that the kernel refuses for its size", () => {
  it("makes the main thread ask for the path's MTU, once a batch", () => {
    const { vtep, port, narrow } = setUp();
    vtep.refuse.set("192.0.2.2", 90); // EMSGSIZE
    for (let n = 0; n < 3; n++) vtep.fromTap(overlay(port, sized(1000)));
    vtep.run();
    const told: number[][] = [];
    vtep.upcalls.drain((record) => told.push([record[UPCALL_KIND]!, record[UPCALL_REMOTE]!]));
    expect(told).toEqual([[UPCALL_PKT_TOO_BIG, narrow]]);
  });
});
