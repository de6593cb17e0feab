/** What the sender fills into GRE headers: checksums and sequence numbers, whatever is sent and however it is cut. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_SEGMENT,
  FLAG_IP_PACKET,
  FLAG_PARTIAL_CSUM,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  OUTER_GRE_CHECKSUM,
  OUTER_GRE_SEQUENCE,
  OUTER_TOS,
} from "../../src/binding/abi.ts";
import { onesComplementSum } from "../support/frame-builder.ts";
import { type Copy, DatagramLab } from "./datagram-lab.ts";
import { ethernet, IPV4_TYPE, IPV6_TYPE, ipv4, UDP, udp } from "./frame-bytes.ts";
import { ETHERNET_IN_GRE, GRE_LAYOUT, greHeader, prefixed } from "./gre-header.ts";
import { OffloadTool } from "./offload-tool.ts";
import { wordsOf } from "./segment-lab.ts";
import { payloadOf, type Superframe, superframe } from "./superframes.ts";

const RX = 1;
/** With and without UDP_SEGMENT, and behind GUE. */
const [PLAIN, SEGMENTING, IN_GUE] = [10, 11, 12];
const GUE = Uint8Array.of(0, 47, 0xab, 0xcd);
const EINVAL = 22;
const BOTH = OUTER_GRE_CHECKSUM | OUTER_GRE_SEQUENCE;
const ETHERNET = 14;

let lab: DatagramLab;
let tool: OffloadTool;
beforeEach(() => {
  lab = new DatagramLab();
  tool = new OffloadTool();
  lab.addSender(PLAIN, GRE_LAYOUT);
  lab.addSender(SEGMENTING, GRE_LAYOUT, FEATURE_SEGMENT);
  lab.addSender(IN_GUE, prefixed(GRE_LAYOUT, 1), FEATURE_SEGMENT);
  lab.addReceiver(RX, 0);
});
afterEach(async () => {
  await tool.close();
  lab.close();
});

const big32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Sends and returns the datagrams as they came. */
const through = (port: number, ...copies: readonly Copy[]): Uint8Array[] => {
  expect(lab.send(port, RX, copies)).toEqual(copies.map(() => 0));
  return lab.receiveAll().map(({ bytes }) => bytes);
};

const packetOf = (frame: Superframe, gsoSize: number): Omit<Copy, "template" | "outer"> => {
  const words = wordsOf(frame, gsoSize);
  return {
    frame: frame.bytes.subarray(ETHERNET),
    words: {
      ...words,
      [FRAME_FLAGS]: words[FRAME_FLAGS]! | FLAG_IP_PACKET,
      [FRAME_CSUM]: words[FRAME_CSUM]! - ETHERNET,
      [FRAME_HEADERS]: frame.headerLength - ETHERNET,
    },
  };
};

describe("the checksum", () => {
  const header = { etherType: ETHERNET_IN_GRE, checksum: 0xffff, key: 0x01020304 };

  it("is right for frames of every length", () => {
    for (let bytes = 0; bytes < 80; bytes += 16) {
      const frames = upTo(16).map((i) => payloadOf(bytes + i));
      const template = greHeader(header);
      const sent = through(PLAIN, ...frames.map((frame) => ({ frame, template, outer: OUTER_GRE_CHECKSUM })));
      for (const [i, datagram] of sent.entries()) {
        expect(onesComplementSum(datagram)).toBe(0xffff);
        expect(datagram.subarray(12)).toEqual(frames[i]);
        datagram.set([0xff, 0xff], 4);
        expect(datagram.subarray(0, 12)).toEqual(template);
      }
    }
  });

  it("begins behind the prefix, and does not cover that", () => {
    const template = Buffer.concat([GUE, greHeader(header)]);
    const [sent] = through(IN_GUE, { frame: payloadOf(33), template, outer: OUTER_GRE_CHECKSUM });
    expect(sent?.subarray(0, 4)).toEqual(GUE);
    expect(onesComplementSum(sent!.subarray(4))).toBe(0xffff);
    expect(onesComplementSum(sent!)).not.toBe(0xffff);
  });

  it("covers a frame's own checksum, which is finished before", () => {
    const frame = ethernet(IPV4_TYPE, ipv4(UDP, udp({ checksum: "partial", payload: payloadOf(31) })));
    const words = { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: 34 | (6 << 16) };
    const [sent] = through(PLAIN, { frame, words, template: greHeader(header), outer: OUTER_GRE_CHECKSUM });
    expect(onesComplementSum(sent!)).toBe(0xffff);
    expect(sent?.subarray(12)).toEqual(ethernet(IPV4_TYPE, ipv4(UDP, udp({ payload: payloadOf(31) }))));
  });

  it("is not written when nobody asked for it, nor ever into the template", () => {
    const template = greHeader(header);
    const [sent] = through(PLAIN, { frame: payloadOf(20), template, outer: OUTER_TOS });
    expect(sent?.subarray(0, 12)).toEqual(template);
    through(PLAIN, { frame: payloadOf(20), template, outer: BOTH });
    expect(lab.near.memory.templates.slice(0, 12)).toEqual(template);
  });
});

describe("the sequence number", () => {
  const template = greHeader({ etherType: IPV4_TYPE, sequence: 0xffffffff });
  const numbers = (datagrams: readonly Uint8Array[]): number[] => datagrams.map((datagram) => big32(datagram, 4));

  it("counts the datagrams of a port, from 0, over many sends", () => {
    const copies = upTo(5).map(() => ({ frame: payloadOf(40), template, outer: OUTER_GRE_SEQUENCE }));
    expect(numbers(through(PLAIN, ...copies))).toEqual([0, 1, 2, 3, 4]);
    // In one message, and apart from the other port's.
    expect(numbers(through(SEGMENTING, ...copies))).toEqual([0, 1, 2, 3, 4]);
    expect(numbers(through(PLAIN, ...copies))).toEqual([5, 6, 7, 8, 9]);
    expect(numbers(through(PLAIN, { frame: payloadOf(1), template }))).toEqual([0xffffffff]);
    expect(numbers(through(PLAIN, copies[0]!))).toEqual([10]);
  });

  it("begins anew with a port", () => {
    const copy = { frame: payloadOf(40), template, outer: OUTER_GRE_SEQUENCE };
    through(PLAIN, copy, copy);
    lab.near.io.remove(PLAIN);
    lab.addSender(PLAIN, GRE_LAYOUT);
    expect(numbers(through(PLAIN, copy))).toEqual([0]);
  });

  it("comes before the checksum, which covers it", () => {
    const both = greHeader({ etherType: IPV4_TYPE, checksum: 0, key: 1, sequence: 0 });
    const copies = upTo(3).map((i) => ({ frame: payloadOf(40 + i), template: both, outer: BOTH }));
    const sent = through(SEGMENTING, ...copies);
    expect(sent.map((datagram) => [big32(datagram, 12), onesComplementSum(datagram)])).toEqual(
      upTo(3).map((i) => [i, 0xffff]),
    );
  });
});

describe("a superframe", () => {
  const kinds = [
    ["TCP over IPv4", superframe({ payloadLength: 3001 }), 700],
    ["TCP over IPv6, odd segments", superframe({ payloadLength: 3000, family: 6 }), 701],
    ["UDP over IPv4", superframe({ payloadLength: 3001, protocol: "udp" }), 700],
  ] as const;

  describe.each([
    ["without UDP_SEGMENT", PLAIN, new Uint8Array(0)],
    ["with UDP_SEGMENT", SEGMENTING, new Uint8Array(0)],
    ["in GUE", IN_GUE, GUE],
  ] as const)("%s", (_, port, prefix) => {
    it.each(kinds)("is cut into datagrams of their own checksum and number: %s", async (_, frame, gsoSize) => {
      const etherType = frame.bytes[ETHERNET]! >> 4 === 4 ? IPV4_TYPE : IPV6_TYPE;
      const template = Buffer.concat([prefix, greHeader({ etherType, checksum: 0, sequence: 0 })]);
      const expected = await tool.split(frame.gsoType, gsoSize, frame.bytes.subarray(ETHERNET), "ip");
      const copies = [0, 1].map(() => ({ ...packetOf(frame, gsoSize), template, outer: BOTH }));
      const sent = through(port, ...copies);
      const start = prefix.length + 12;
      expect(sent.map((datagram) => datagram.slice(start))).toEqual([...expected!, ...expected!]);
      expect(sent.map((datagram) => big32(datagram, start - 4))).toEqual(upTo(10));
      for (const datagram of sent) expect(onesComplementSum(datagram.subarray(prefix.length))).toBe(0xffff);
    });
  });

  it("is numbered in order with frames around it, also when all is more than the tables hold", () => {
    const template = greHeader({ etherType: IPV4_TYPE, checksum: 0, sequence: 0 });
    const frame = superframe({ payloadLength: 60_000 });
    const alone = { frame: payloadOf(100), template, outer: BOTH };
    const whole = { ...packetOf(frame, 100), template, outer: BOTH };
    // 600 segments each.
    const sent = through(PLAIN, alone, whole, alone, whole, whole, whole, alone);
    expect(sent).toHaveLength(2403);
    expect(sent.map((datagram) => big32(datagram, 8))).toEqual(upTo(2403));
    expect(sent.every((datagram) => onesComplementSum(datagram) === 0xffff)).toBe(true);
  });
});

it("fails alone, and takes no number, for a template without room for what is to be filled in", () => {
  const header = greHeader({ etherType: IPV4_TYPE, sequence: 0 });
  const frame = superframe({ payloadLength: 1000 });
  const templates = [header.subarray(0, 7), header.subarray(0, 4), new Uint8Array(9), new Uint8Array(258)];
  for (const template of [...templates, new Uint8Array(0)]) {
    for (const outer of [OUTER_GRE_CHECKSUM, OUTER_GRE_SEQUENCE]) {
      const copy = { frame: payloadOf(50), template, outer };
      expect(lab.send(PLAIN, RX, [copy, { ...packetOf(frame, 100), template, outer }])).toEqual([EINVAL, EINVAL]);
    }
  }
  expect(lab.send(IN_GUE, RX, [{ frame: payloadOf(50), template: header, outer: OUTER_GRE_SEQUENCE }])).toEqual([
    EINVAL,
  ]);
  const broken = { ...packetOf(frame, 100), template: header, outer: OUTER_GRE_SEQUENCE };
  const refused = { ...broken, words: { ...broken.words, [FRAME_GSO]: 100 | (4 << 16) } };
  expect(lab.send(PLAIN, RX, [refused, { ...broken, frame: payloadOf(60), words: {} }])).toEqual([EINVAL, 0]);
  const [first, ...more] = lab.receiveAll();
  expect(more).toEqual([]);
  expect(big32(first!.bytes, 4)).toBe(0);
});
