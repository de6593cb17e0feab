/** Messages of many datagrams (UDP_GRO) into frames: nothing lost, repeated or out of order, and merged where that is right. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  BATCH_FRAMES,
  FEATURE_MERGE_TCP,
  FEATURE_MERGE_UDP,
  FLAG_IPV4,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  GSO_TCPV4,
  UDP_SLOTS,
} from "../../src/binding/abi.ts";
import { ethernet, mac } from "./frame-bytes.ts";
import { HEADER, type Received, SegmentLab } from "./segment-lab.ts";
import { superframe } from "./superframes.ts";

const [RX, RX_TOO] = [1, 2];
const MERGE_ALL = FEATURE_MERGE_TCP | FEATURE_MERGE_UDP;
const SEGMENTS = 64;

let lab: SegmentLab;
beforeEach(() => {
  lab = new SegmentLab();
  lab.addSender();
});
afterEach(() => lab.close());

/** No IP in it, so that it is never merged. */
const numbered = (number: number, bytes = 60): Uint8Array => {
  const payload = new Uint8Array(bytes - 14).fill(number);
  new DataView(payload.buffer).setUint32(0, number);
  return ethernet(0x88b5, payload, { src: mac(1) });
};
const numberOf = ({ bytes }: Received): number => new DataView(bytes.buffer).getUint32(14);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Sends numbered frames, 64 a message. */
const sendNumbered = (first: number, count: number, vtep: number): void => {
  for (let sent = 0; sent < count; sent += SEGMENTS) {
    const frames = upTo(Math.min(SEGMENTS, count - sent)).map((i) => numbered(first + sent + i));
    expect(lab.sendAll(frames, vtep)).toEqual(frames.map(() => 0));
  }
};
/** Sends a superframe's segments. */
const sendSegments = (vtep: number, gsoSize: number, fields: Parameters<typeof superframe>[0]): void => {
  lab.putSuperframe(0, superframe(fields), gsoSize);
  expect(lab.send([[0, vtep]])).toEqual([0]);
};

describe("a message of many datagrams", () => {
  it("is one frame when they are one flow", () => {
    lab.addReceiver(RX, { merge: true, tos: 0 }, MERGE_ALL);
    const frame = superframe({ payloadLength: 9500 });
    lab.putSuperframe(0, frame, 1000);
    expect(lab.send([[0, RX]])).toEqual([0]);
    const [merged, ...rest] = lab.receiveAll();
    expect(rest).toEqual([]);
    expect(merged?.header).toEqual(HEADER);
    expect(merged?.view).toMatchObject({
      port: RX,
      flags: FLAG_IPV4 | FLAG_TCP | FLAG_PARTIAL_CSUM,
      length: frame.bytes.length,
      segments: 10,
      gso: 1000 | (GSO_TCPV4 << 16),
      csum: 34 | (16 << 16),
      headers: 54 | (14 << 16),
      source: "127.0.0.1",
      destination: "127.0.0.1",
      datagramLength: 8 + 54 + 1000,
    });
    // The first part is the first segment with the headers of all.
    expect(merged?.bytes).toEqual(Uint8Array.from(frame.bytes.subarray(0, 54 + 1000)));
  });

  it.each([
    ["nothing", 0, [10, 10]],
    ["TCP only", FEATURE_MERGE_TCP, [1, 10]],
    ["TCP and UDP", MERGE_ALL, [1, 1]],
  ] as const)("is as many frames as the port wants: %s merged", (_, features, expected) => {
    lab.addReceiver(RX, { merge: true }, features);
    const counts = (["tcp", "udp"] as const).map((protocol) => {
      sendSegments(RX, 500, { protocol, payloadLength: 5000 });
      const frames = lab.receiveAll();
      expect(frames.reduce((sum, { view }) => sum + view.segments, 0)).toBe(10);
      return frames.length;
    });
    expect(counts).toEqual(expected);
  });

  it("is merged with the next message of the same sender, up to 64 frames", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    // 100 segments, of which one message takes 64.
    sendSegments(RX, 100, { payloadLength: 10_000 });
    expect(lab.receiveAll().map(({ view }) => view.segments)).toEqual([64, 36]);
    // 90 of 1000 bytes in messages of 61: the longest IP packet ends the frame, not the message.
    sendSegments(RX, 700, { payloadLength: 40 * 700 });
    expect(lab.receiveAll().map(({ view }) => view.segments)).toEqual([40]);
  });

  it("is not merged with that of another sender", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    lab.addSender({}, undefined, 7);
    lab.putSuperframe(0, superframe({ payloadLength: 2000, seq: 1 }), 1000);
    lab.putSuperframe(1, superframe({ payloadLength: 2000, seq: 2001, id: 2 }), 1000);
    lab.send([[0, RX]]);
    lab.send([[1, RX]], 7);
    expect(lab.receiveAll().map(({ view }) => view.segments)).toEqual([2, 2]);
    lab.send([[0, RX]]);
    lab.send([[1, RX]]);
    expect(lab.receiveAll().map(({ view }) => view.segments)).toEqual([4]);
  });

  it("has each frame that cannot be merged for itself, in order", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    sendNumbered(0, 64, RX);
    const frames = lab.receiveAll();
    expect(frames.map(numberOf)).toEqual(upTo(64));
    for (const { view, header } of frames) {
      expect([view.segments, view.gso, view.flags, view.length]).toEqual([1, 0, 0, 60]);
      expect(header).toEqual(HEADER);
    }
  });

  it("keeps the order around what is merged", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    lab.near.putFrame(0, numbered(1, 1054));
    lab.near.putFrame(2, numbered(2, 1054));
    lab.putSuperframe(1, superframe({ payloadLength: 3000 }), 1000);
    expect(lab.send([0, 1, 2, 1].map((frame) => [frame, RX] as const))).toEqual([0, 0, 0, 0]);
    expect(lab.receiveAll().map(({ view }) => view.segments)).toEqual([1, 3, 1, 3]);
  });

  it("with a short or empty last datagram has that too", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    for (const [i, bytes] of [20, 20, 5, 0].entries()) lab.near.putFrame(i, new Uint8Array(bytes));
    expect(lab.send([0, 1, 2, 3].map((frame) => [frame, RX] as const))).toEqual([0, 0, 0, 0]);
    expect(lab.receiveAll().map(({ view }) => [view.length, view.datagramLength])).toEqual([
      [20, 28],
      [20, 28],
      [5, 13],
      [0, 8],
    ]);
  });
});

describe("more datagrams than descriptors", () => {
  it("come over several batches, in order, none lost or repeated", () => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    const count = UDP_SLOTS * SEGMENTS;
    sendNumbered(0, count, RX);
    const batches: Received[][] = [];
    for (let batch = lab.receive(); batch.length > 0; batch = lab.receive()) batches.push(batch);
    expect(batches.map(({ length }) => length)).toEqual(new Array(count / BATCH_FRAMES).fill(BATCH_FRAMES));
    expect(batches.flat().map(numberOf)).toEqual(upTo(count));
  });

  it("come so too when merged frames, other ports and odd counts are among them", () => {
    for (const port of [RX, RX_TOO]) lab.addReceiver(port, { merge: true }, MERGE_ALL);
    const expected: Record<number, number[]> = { [RX]: [], [RX_TOO]: [] };
    let number = 0;
    for (let round = 0; round < 20; round++) {
      const vtep = round % 3 === 0 ? RX_TOO : RX;
      const count = 1 + ((round * 37) % 150);
      sendNumbered(number, count, vtep);
      expected[vtep]!.push(...upTo(count).map((i) => number + i));
      number += count;
      sendSegments(vtep, 100, { payloadLength: 2300, seq: 1 + number });
      expected[vtep]!.push(-23);
    }
    const seen: Record<number, number[]> = { [RX]: [], [RX_TOO]: [] };
    for (const frame of lab.receiveAll()) {
      seen[frame.view.port]!.push(frame.view.segments === 1 ? numberOf(frame) : -frame.view.segments);
    }
    expect(seen).toEqual(expected);
  });

  it("are forgotten with their port, and the next port's are as good as new", () => {
    lab.addReceiver(RX, { merge: true, receiveInfo: false }, MERGE_ALL);
    sendNumbered(0, UDP_SLOTS * SEGMENTS, RX);
    expect(lab.receive()).toHaveLength(BATCH_FRAMES);
    lab.far.io.remove(RX);
    expect(lab.receive()).toEqual([]);
    lab.addReceiver(RX_TOO, { merge: true }, MERGE_ALL);
    // All slots again, so that those whose messages were forgotten are used.
    sendNumbered(0, UDP_SLOTS * SEGMENTS, RX_TOO);
    const seen = lab.receiveAll();
    expect(seen.map(numberOf)).toEqual(upTo(UDP_SLOTS * SEGMENTS));
    expect(new Set(seen.map(({ view }) => `${view.port} ${view.source} ${view.destination}`))).toEqual(
      new Set([`${RX_TOO} 127.0.0.1 127.0.0.1`]),
    );
  });

  it("of a removed port are not taken for those of a new one of the same id", () => {
    lab.addReceiver(RX, { merge: true });
    sendNumbered(0, 1000, RX);
    expect(lab.receive()).toHaveLength(BATCH_FRAMES);
    lab.far.io.remove(RX);
    lab.addReceiver(RX, { merge: true });
    sendNumbered(7000, 3, RX);
    expect(lab.receiveAll().map(numberOf)).toEqual([7000, 7001, 7002]);
  });
});

describe("any bytes", () => {
  /** 40 segments of a flow, some of them changed here and there. */
  const changed = fc
    .record({
      family: fc.constantFrom(4 as const, 6 as const),
      protocol: fc.constantFrom("tcp" as const, "udp" as const),
      payloadLength: fc.integer({ min: 1, max: 120 }),
      changes: fc.array(fc.tuple(fc.nat(39), fc.nat(90), fc.nat(255)), { maxLength: 6 }),
    })
    .map(({ changes, payloadLength, ...kind }) => {
      const frames = upTo(40).map((i) => {
        const fields = { ...kind, payloadLength, seq: 1 + i * payloadLength, id: i, checksum: "full" as const };
        return Uint8Array.from(superframe(fields).bytes);
      });
      for (const [index, at, value] of changes) if (at < frames[index]!.length) frames[index]![at] = value;
      return frames;
    });
  const noise = fc.array(fc.uint8Array({ maxLength: 120 }), { minLength: 1, maxLength: 64 });

  it.each([
    ["of changed flows", changed, 300, true],
    ["of noise", noise, 200, false],
  ] as const)("%s are all accounted for, and single frames are as they were sent", (_, datagrams, numRuns, merges) => {
    lab.addReceiver(RX, { merge: true }, MERGE_ALL);
    let merged = 0;
    fc.assert(
      fc.property(datagrams, (frames) => {
        expect(lab.sendAll(frames, RX)).toEqual(frames.map(() => 0));
        let next = 0;
        for (const { view, bytes } of lab.receiveAll()) {
          if (view.segments === 1) expect(Buffer.compare(bytes, frames[next]!)).toBe(0);
          else merged++;
          next += view.segments;
        }
        expect(next).toBe(frames.length);
      }),
      { numRuns },
    );
    expect(merged > 0).toBe(merges);
  });
});
