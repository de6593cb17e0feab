/** Superframes and runs of small frames out of a UDP_TX port: which datagrams arrive, and how many went in one message. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_SEGMENT,
  FLAG_PARTIAL_CSUM,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  GSO_TCPV6,
} from "../../src/binding/abi.ts";
import { TCP_ACK, TCP_SYN } from "../support/frame-builder.ts";
import { ethernet, IPV4_TYPE, ipv4, mac, TCP, tcp, UDP, udp } from "./frame-bytes.ts";
import { mistakesOf, parseFrame } from "./parsed-frame.ts";
import { HEADER, HEADER_BYTES, type Received, SegmentLab, wordsOf } from "./segment-lab.ts";
import { SUPERFRAMES, superframe } from "./superframes.ts";

const EINVAL = 22;
/** Receiving ports: one that gets each datagram alone, and two that see which came in one message. */
const [PLAIN, GRO, GRO_TOO] = [1, 2, 3];
/** A second sending port, without UDP_SEGMENT. */
const PLAIN_SENDER = 9;
const MAX_SEGMENTS = 64;
const MAX_PAYLOAD = 65507;

let lab: SegmentLab;
beforeEach(() => {
  lab = new SegmentLab();
  lab.addSender();
  lab.addSender({}, 0, PLAIN_SENDER);
  lab.addReceiver(PLAIN);
  for (const port of [GRO, GRO_TOO]) lab.addReceiver(port, { merge: true });
});
afterEach(() => lab.close());

/** No IP in it, so that nothing but its bytes matters; `bytes` of the whole frame, at least 18. */
const numbered = (number: number, bytes: number): Uint8Array => {
  const payload = new Uint8Array(bytes - 14).fill(number);
  new DataView(payload.buffer).setUint32(0, number);
  return ethernet(0x88b5, payload, { src: mac(1) });
};
const numberOf = ({ bytes }: Received): number => new DataView(bytes.buffer).getUint32(14);

/** Sizes of the datagrams of each message, in order. */
const messagesOf = (frames: readonly Received[]): number[][] => {
  const messages = new Map<string, number[]>();
  for (const { message, view } of frames) {
    messages.set(message, [...(messages.get(message) ?? []), view.length]);
  }
  return [...messages.values()];
};

describe("a superframe", () => {
  it.each(SUPERFRAMES)("arrives as its segments: %s", (_, frame, gsoSize) => {
    const payload = frame.bytes.subarray(frame.headerLength);
    const seen = [undefined, PLAIN_SENDER].map((port) => {
      lab.putSuperframe(0, frame, gsoSize);
      expect(lab.send([[0, PLAIN]], port)).toEqual([0]);
      return lab.receiveAll();
    });
    for (const datagrams of seen) {
      expect(datagrams).toHaveLength(Math.ceil(payload.length / gsoSize));
      for (const { header, bytes } of datagrams) {
        expect(header).toEqual(HEADER);
        expect(mistakesOf(bytes)).toEqual([]);
      }
      const parts = datagrams.map(({ bytes }) => parseFrame(bytes).payload);
      expect(Buffer.compare(Buffer.concat(parts), payload)).toBe(0);
      expect(parts.slice(0, -1).every((part) => part.length === gsoSize)).toBe(true);
    }
    const [segmented, plain] = seen.map((datagrams) => datagrams.map(({ bytes }) => Buffer.from(bytes)));
    expect(segmented!.every((bytes, i) => bytes.equals(plain![i]!))).toBe(true);
    // The superframe itself is as it was: other copies of it are sent from the same bytes.
    expect(Buffer.compare(lab.near.frameBytes(0), frame.bytes)).toBe(0);
  });

  it("goes out in as few messages as the kernel takes", () => {
    lab.putSuperframe(0, superframe({ payloadLength: 65000 }), 1000);
    lab.putSuperframe(1, superframe({ payloadLength: 64 * 100, protocol: "udp" }), 100);
    lab.putSuperframe(2, superframe({ payloadLength: 65 * 100 }), 100);
    expect(lab.send([0, 1, 2].map((frame) => [frame, GRO] as const))).toEqual([0, 0, 0]);
    // 61 * (8 + 54 + 1000) bytes are the most that a datagram's payload may be.
    expect(messagesOf(lab.receiveAll()).map((sizes) => sizes.length)).toEqual([61, 4, 64, 64, 1]);
  });

  it("keeps its place between other frames, and takes none of them into its messages", () => {
    const frame = superframe({ payloadLength: 300 });
    for (const number of [0, 2, 3]) lab.near.putFrame(number, numbered(number, frame.headerLength + 100));
    lab.putSuperframe(1, frame, 100);
    expect(lab.send([0, 1, 2, 3].map((index) => [index, GRO] as const))).toEqual([0, 0, 0, 0]);
    const seen = lab.receiveAll();
    expect(messagesOf(seen).map((sizes) => sizes.length)).toEqual([1, 3, 2]);
    expect([seen[0]!, seen[4]!, seen[5]!].map(numberOf)).toEqual([0, 2, 3]);
  });

  it("is right in each copy when it is flooded", () => {
    const frame = superframe({ payloadLength: 2500, flags: TCP_ACK | 8 });
    lab.putSuperframe(0, frame, 1000);
    const copies = [PLAIN, GRO, GRO_TOO, PLAIN].map((vtep) => [0, vtep] as const);
    expect(lab.send(copies)).toEqual([0, 0, 0, 0]);
    const seen = lab.receiveAll();
    expect(seen).toHaveLength(12);
    for (const port of [PLAIN, GRO, GRO_TOO]) {
      const mine = seen.filter(({ view }) => view.port === port).map(({ bytes }) => bytes);
      for (const bytes of mine) expect(mistakesOf(bytes)).toEqual([]);
      expect(Buffer.concat(mine.slice(0, 3).map((bytes) => parseFrame(bytes).payload))).toEqual(
        Buffer.from(frame.bytes.subarray(frame.headerLength)),
      );
    }
  });

  it("does not hinder others when there are more than all tables hold", () => {
    // 16 * 1365 segments of 48 bytes, their headers some 1.6 MB.
    const frame = superframe({ payloadLength: 65520 - 20 - 20 });
    const segments = Math.ceil(65480 / 48);
    for (let i = 0; i < 16; i++) lab.putSuperframe(i, frame, 48);
    expect(lab.send(Array.from({ length: 16 }, (_, i) => [i, GRO] as const))).toEqual(new Array(16).fill(0));
    const seen = lab.receiveAll();
    expect(seen).toHaveLength(16 * segments);
    const sequence = seen.map(({ bytes }) => (parseFrame(bytes).transport.readUInt32BE(4) - 1) / 48);
    expect(sequence.every((number, i) => number === i % segments)).toBe(true);
  });

  const contradictions: [string, (index: number) => void][] = [
    ["a SYN", (i) => lab.putSuperframe(i, superframe({ flags: TCP_SYN | TCP_ACK }), 1000)],
    [
      "a segment size of more than a datagram",
      (i) => lab.putSuperframe(i, superframe({ payloadLength: 65495 }), 65480),
    ],
    [
      "the type of another family",
      (i) => {
        const frame = superframe();
        lab.near.putFrame(i, frame.bytes, { ...wordsOf(frame, 1000), [FRAME_GSO]: 1000 | (GSO_TCPV6 << 16) });
      },
    ],
    ["no segment size", (i) => lab.near.putFrame(i, superframe().bytes, { [FRAME_GSO]: 1 << 16 })],
    [
      "less than its headers",
      (i) => lab.near.putFrame(i, superframe().bytes.subarray(0, 50), wordsOf(superframe(), 9)),
    ],
  ];
  it.each(contradictions)("with %s is refused, and no other frame", (_, put) => {
    lab.near.putFrame(0, numbered(0, 100));
    put(1);
    expect(lab.send([0, 1, 0].map((frame) => [frame, PLAIN] as const))).toEqual([0, EINVAL, 0]);
    expect(lab.receiveAll().map(numberOf)).toEqual([0, 0]);
  });
});

describe("a run of frames", () => {
  /** What one message can carry, said once more: equal sizes to one destination, the last may be shorter. */
  const expectedMessages = (copies: readonly { size: number; vtep: number }[]): number[][] => {
    const messages: { vtep: number; sizes: number[]; isOpen: boolean }[] = [];
    for (const { size, vtep } of copies) {
      const last = messages.at(-1);
      const bytes = (sizes: readonly number[]): number => sizes.reduce((sum, n) => sum + n + HEADER_BYTES, 0);
      const fits =
        last?.isOpen === true &&
        last.vtep === vtep &&
        size <= last.sizes[0]! &&
        last.sizes.length < MAX_SEGMENTS &&
        bytes([...last.sizes, size]) <= MAX_PAYLOAD;
      if (!fits) messages.push({ vtep, sizes: [size], isOpen: true });
      else {
        last.sizes.push(size);
        last.isOpen = size === last.sizes[0];
      }
    }
    const to = (vtep: number): number[][] => messages.filter((m) => m.vtep === vtep).map(({ sizes }) => sizes);
    return [...to(GRO), ...to(GRO_TOO)];
  };

  const expectAsModelled = (copies: readonly { size: number; vtep: number }[]): void => {
    for (const [i, { size }] of copies.entries()) lab.near.putFrame(i, numbered(i, size));
    expect(lab.send(copies.map(({ vtep }, i) => [i, vtep] as const))).toEqual(copies.map(() => 0));
    const seen = lab.receiveAll().sort((a, b) => a.view.port - b.view.port);
    expect(seen.map(numberOf)).toEqual(
      [GRO, GRO_TOO].flatMap((port) => copies.flatMap(({ vtep }, i) => (vtep === port ? [i] : []))),
    );
    expect(messagesOf(seen)).toEqual(expectedMessages(copies));
  };
  const run = (count: number, size: number, vtep: number = GRO) =>
    Array.from({ length: count }, () => ({ size, vtep }));

  it.each([
    ["of equal size is one message", run(20, 100)],
    ["ends with a shorter one", [...run(3, 100), ...run(2, 60), ...run(2, 100)]],
    ["ends before a longer one", [...run(3, 100), ...run(3, 101)]],
    ["ends at another destination", [...run(3, 100), ...run(2, 100, GRO_TOO), ...run(2, 100)]],
    ["ends at 64 of them", run(130, 100)],
    ["ends at the most that a datagram holds", run(60, 1400)],
    ["of the largest frames is no run", run(2, 40000)],
  ])("%s", (_, copies) => expectAsModelled(copies));

  it("of any sizes to two destinations is as modelled", () => {
    const copy = fc.record({
      size: fc.constantFrom(60, 60, 60, 100, 1400, 1514),
      vtep: fc.constantFrom(GRO, GRO, GRO, GRO_TOO),
    });
    fc.assert(
      fc.property(fc.array(copy, { minLength: 1, maxLength: 120 }), (copies) => expectAsModelled(copies)),
      { numRuns: 60 },
    );
  });

  it("is not one message without FEATURE_SEGMENT", () => {
    expect(
      lab.sendAll(
        run(20, 100).map(({ size }, i) => numbered(i, size)),
        GRO,
        PLAIN_SENDER,
      ),
    ).toEqual(new Array(20).fill(0));
    const seen = lab.receiveAll();
    expect(messagesOf(seen)).toEqual(new Array(20).fill([100]));
    expect(seen.map(numberOf)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
});

describe("a frame that left its checksum to its device", () => {
  const unfinished = [
    [ethernet(IPV4_TYPE, ipv4(TCP, tcp({ checksum: "partial", payload: [9, 8, 7] }))), 34 | (16 << 16)],
    [ethernet(IPV4_TYPE, ipv4(UDP, udp({ checksum: "partial", payload: [1, 2, 3, 4, 5] }))), 34 | (6 << 16)],
  ] as const;

  it.each([
    ["with FEATURE_SEGMENT", FEATURE_SEGMENT, undefined],
    ["without", 0, PLAIN_SENDER],
  ])("has it in every copy, %s", (_, __, port) => {
    for (const [i, [bytes, csum]] of unfinished.entries()) {
      lab.near.putFrame(i, bytes, { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: csum });
    }
    const copies = [PLAIN, GRO, GRO_TOO, PLAIN].flatMap((vtep) => [0, 1].map((frame) => [frame, vtep] as const));
    expect(lab.send(copies, port)).toEqual(copies.map(() => 0));
    const seen = lab.receiveAll();
    expect(seen).toHaveLength(8);
    for (const { bytes } of seen) expect(mistakesOf(bytes)).toEqual([]);
    expect(seen.filter(({ view }) => view.port === PLAIN).map(({ bytes }) => parseFrame(bytes).payload.length)).toEqual(
      [3, 5, 3, 5],
    );
  });

  it.each([
    ["behind its end", 60 | (16 << 16)],
    ["before its start", 30 | (0xffff << 16)],
  ])("%s is refused, and no other frame", (_, csum) => {
    lab.near.putFrame(0, numbered(0, 62));
    lab.near.putFrame(1, numbered(1, 62), { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: csum });
    expect(lab.send([0, 1, 0].map((frame) => [frame, PLAIN] as const))).toEqual([0, EINVAL, 0]);
    expect(lab.receiveAll().map(numberOf)).toEqual([0, 0]);
  });
});
