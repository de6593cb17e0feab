/**
 * Which frames become a superframe, and what it looks like. Expected superframes are built by the frame builder: one frame
 * with the whole payload, whose checksum is only the pseudo-header sum.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type FlowFields,
  MAC_A,
  MAC_B,
  onesComplementSum,
  TCP_ACK,
  TCP_SYN,
  type TcpFields,
  tcpFrame,
  udpFrame,
} from "../support/frame-builder.ts";
import { merge, split, type Unit } from "./merge.ts";

const FIN = 0x01;
const RST = 0x04;
const PSH = 0x08;
const URG = 0x20;
const ECE = 0x40;
const CWR = 0x80;
const MAX_SEGMENTS = 64;
/** Payload bytes of a full segment in most tests. */
const SIZE = 100;
/** No-op, no-op, timestamps. */
const TIMESTAMPS = Uint8Array.from([1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9]);

/** `length` bytes of a stream that starts at `from`. */
const stream = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => (from + i) * 31 + 7);
/** As the tool's answers are, so that they compare. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

interface Family {
  readonly name: string;
  readonly fields: FlowFields;
  readonly gsoType: number;
  /** Bytes from the frame's start to the TCP or UDP header, without tags. */
  readonly l4: number;
}
const STATIONS = { dst: MAC_B, src: MAC_A, srcPort: 40000, dstPort: 9999 } as const;
const IPV4: Family = {
  name: "IPv4",
  fields: { ...STATIONS, srcIp: "192.0.2.1", dstIp: "192.0.2.2" },
  gsoType: 1,
  l4: 34,
};
const IPV6: Family = {
  name: "IPv6",
  fields: { ...STATIONS, srcIp: "2001:db8::1", dstIp: "2001:db8::2" },
  gsoType: 4,
  l4: 54,
};
const FAMILIES = [IPV4, IPV6];
const IP = 14;

/** Segment `i` of a stream of full segments; identifications count up. */
const segment = ({ fields }: Family, i: number, changes: Partial<TcpFields> = {}): Uint8Array =>
  plain(tcpFrame({ ...fields, id: 100 + i, seq: 1000 + i * SIZE, payload: stream(SIZE, i * SIZE), ...changes }));
/** Datagram `i`. */
const datagram = ({ fields }: Family, i: number, changes: Partial<FlowFields> = {}): Uint8Array =>
  plain(udpFrame({ ...fields, id: 100 + i, payload: stream(SIZE, i * SIZE), ...changes }));

/** The frame with other bytes at `at`, and nothing else changed. */
const patched = (frame: Uint8Array, at: number, ...bytes: number[]): Uint8Array => {
  const copy = frame.slice();
  copy.set(bytes, at);
  return copy;
};
/** The same for a 16-bit word that the checksum at `checksumAt` covers: that is updated (RFC 1624). */
const patchedWord = (frame: Uint8Array, at: number, value: number, checksumAt: number): Uint8Array => {
  const view = new DataView(frame.buffer.slice(0));
  const change = (~view.getUint16(at) & 0xffff) + value;
  view.setUint16(checksumAt, ~onesComplementSum(Uint8Array.of(), (~view.getUint16(checksumAt) & 0xffff) + change));
  view.setUint16(at, value);
  return new Uint8Array(view.buffer);
};
/** The 16-bit word at `at`. */
const word = (frame: Uint8Array, at: number): number => new DataView(frame.buffer).getUint16(at);

/** What a frame that stays alone is written as. */
const alone = (frame: Uint8Array): Unit => ({
  gsoType: 0,
  gsoSize: 0,
  headerLength: 0,
  csumStart: 0,
  csumOffset: 0,
  segments: 1,
  bytes: frame,
});
const segmentsOf = (units: readonly Unit[]): number[] => units.map(({ segments }) => segments);

describe.each(FAMILIES)("TCP over $name", (family) => {
  const whole = (length: number, changes: Partial<TcpFields> = {}): Uint8Array =>
    segment(family, 0, { payload: stream(length), checksum: "partial", ...changes });
  const superframe = (segments: number, bytes: Uint8Array, { optionBytes = 0, tagBytes = 0 } = {}): Unit => ({
    gsoType: family.gsoType,
    gsoSize: SIZE,
    headerLength: family.l4 + tagBytes + 20 + optionBytes,
    csumStart: family.l4 + tagBytes,
    csumOffset: 16,
    segments,
    bytes,
  });
  const three = (changes: Partial<TcpFields> = {}): Uint8Array[] => [0, 1, 2].map((i) => segment(family, i, changes));

  describe("merges", () => {
    it("adjacent segments, also when UDP is not merged", () => {
      expect(merge(three())).toEqual([superframe(3, whole(3 * SIZE))]);
      expect(merge(three(), { mergeUdp: false })).toEqual([superframe(3, whole(3 * SIZE))]);
    });

    it("with equal options", () => {
      const expected = superframe(3, whole(3 * SIZE, { options: TIMESTAMPS }), { optionBytes: 12 });
      expect(merge(three({ options: TIMESTAMPS }))).toEqual([expected]);
    });

    it.each([[[5]], [[5, 6]]])("with VLAN tags %j", (vlans) => {
      expect(merge(three({ vlans }))).toEqual([
        superframe(3, whole(3 * SIZE, { vlans }), { tagBytes: 4 * vlans.length }),
      ]);
    });

    it("with any TTL, ToS and window, when it is the same", () => {
      const same = { ttl: 1, tos: 0xb9, window: 0 };
      expect(merge(three(same))).toEqual([superframe(3, whole(3 * SIZE, same))]);
    });

    it("with ECE, when all have it", () => {
      expect(merge(three({ flags: TCP_ACK | ECE }))).toEqual([
        superframe(3, whole(3 * SIZE, { flags: TCP_ACK | ECE })),
      ]);
    });

    it.each([
      [1, 0],
      [SIZE - 1, 0],
      [SIZE, PSH],
      [SIZE, FIN],
      [7, FIN | PSH],
    ])("a last segment of %d bytes with the flags %d, and nothing behind it", (size, flags) => {
      const last = segment(family, 1, { payload: stream(size, SIZE), flags: TCP_ACK | flags });
      const next = segment(family, 1, { id: 102, seq: 1000 + SIZE + size });
      const expected = superframe(2, whole(SIZE + size, { flags: TCP_ACK | flags }));
      expect(merge([segment(family, 0), last, next])).toEqual([expected, alone(next)]);
    });

    it("over the end of the sequence numbers", () => {
      const seqOf = (i: number): number => (2 ** 32 - 2 * SIZE + i * SIZE) % 2 ** 32;
      const frames = [0, 1, 2, 3].map((i) => segment(family, i, { seq: seqOf(i) }));
      expect(merge(frames)).toEqual([superframe(4, whole(4 * SIZE, { seq: seqOf(0) }))]);
    });

    it("segments of one byte", () => {
      const frames = [0, 1, 2].map((i) => segment(family, i, { seq: i, payload: stream(1, i) }));
      expect(merge(frames)).toEqual([{ ...superframe(3, whole(3, { seq: 0 })), gsoSize: 1 }]);
    });

    it(`at most ${MAX_SEGMENTS} segments`, () => {
      const frames = Array.from({ length: 2 * MAX_SEGMENTS + 2 }, (_, i) => segment(family, i));
      expect(segmentsOf(merge(frames))).toEqual([MAX_SEGMENTS, MAX_SEGMENTS, 2]);
    });

    it("up to 65535 bytes of IP packet, headers included, and not one more", () => {
      const room = 65535 - (family.l4 - IP) - 20;
      const half = Math.ceil(room / 2);
      const two = (second: number): Uint8Array[] => [
        segment(family, 0, { payload: stream(half) }),
        segment(family, 1, { seq: 1000 + half, payload: stream(second, half) }),
      ];
      const expected = { ...superframe(2, whole(room)), gsoSize: half };
      expect(merge(two(room - half))).toEqual([expected]);
      const tooLong = two(room - half + 1).map((frame, i) =>
        i === 0 ? frame : segment(family, 1, { seq: 1000 + half, payload: stream(room - half + 1, half) }),
      );
      expect(merge(tooLong)).toEqual(tooLong.map(alone));
    });

    it("segments whose checksum is zero, in either form that one's complement has for it", () => {
      const first = segment(family, 0);
      // A payload word that brings the sum to where the checksum is zero.
      const zero = patchedWord(first, family.l4 + 20, 0, family.l4 + 16);
      const frame = patchedWord(zero, family.l4 + 20, word(zero, family.l4 + 16), family.l4 + 16);
      expect(word(frame, family.l4 + 16) % 0xffff).toBe(0);
      for (const checksum of [0, 0xff]) {
        const either = patched(frame, family.l4 + 16, checksum, checksum);
        expect(segmentsOf(merge([either, segment(family, 1)]))).toEqual([2]);
      }
    });
  });

  it("leaves alone a short segment with padding that its checksum does not notice", () => {
    // Two bytes more, taken for payload, add 2 to the pseudo-header's length; 0xfffd takes them away again.
    const short = segment(family, 1, { payload: stream(SIZE - 10, SIZE) });
    const padded = Uint8Array.from([...short, 0xff, 0xfd]);
    expect(merge([segment(family, 0), padded])).toEqual([alone(segment(family, 0)), alone(padded)]);
    expect(segmentsOf(merge([segment(family, 0), short]))).toEqual([2]);
  });

  /** Each is the second frame of two; neither may change. */
  const misfits: [string, Uint8Array][] = [
    ["another destination MAC", segment(family, 1, { dst: "02:00:00:00:00:0c" })],
    ["another source MAC", segment(family, 1, { src: "02:00:00:00:00:0c" })],
    ["a VLAN tag", segment(family, 1, { vlans: [5] })],
    ["another ToS", segment(family, 1, { tos: 1 })],
    ["another TTL", segment(family, 1, { ttl: 63 })],
    ["another source port", segment(family, 1, { srcPort: 40001 })],
    ["another destination port", segment(family, 1, { dstPort: 9998 })],
    ["another acknowledgement", segment(family, 1, { ack: 2 })],
    ["another window", segment(family, 1, { window: 65534 })],
    ["options", segment(family, 1, { options: TIMESTAMPS })],
    ["an urgent pointer", patchedWord(segment(family, 1), family.l4 + 18, 1, family.l4 + 16)],
    ["SYN", segment(family, 1, { flags: TCP_ACK | TCP_SYN })],
    ["RST", segment(family, 1, { flags: TCP_ACK | RST })],
    ["URG", segment(family, 1, { flags: TCP_ACK | URG })],
    ["CWR", segment(family, 1, { flags: TCP_ACK | CWR })],
    ["ECE", segment(family, 1, { flags: TCP_ACK | ECE })],
    ["no ACK", segment(family, 1, { flags: 0 })],
    [
      "a reserved bit",
      patchedWord(segment(family, 1), family.l4 + 12, word(segment(family, 1), family.l4 + 12) | 0x100, family.l4 + 16),
    ],
    ["a gap", segment(family, 1, { seq: 1001 + SIZE })],
    ["an overlap", segment(family, 1, { seq: 999 + SIZE })],
    ["the bytes before", segment(family, 1, { seq: 1000 - SIZE })],
    ["the same bytes again", segment(family, 1, { seq: 1000 })],
    ["more payload", segment(family, 1, { payload: stream(SIZE + 1) })],
    ["no payload", segment(family, 1, { payload: "" })],
    ["a checksum of only the pseudo-header", segment(family, 1, { checksum: "partial" })],
    ["no checksum", segment(family, 1, { checksum: "zero" })],
    ["a changed byte", patched(segment(family, 1), family.l4 + 20 + 50, 0xee)],
    ["UDP", datagram(family, 1)],
    ["padding", Uint8Array.from([...segment(family, 1), 0])],
    ["no end", segment(family, 1).subarray(0, -1)],
    ["no TCP header", segment(family, 1).subarray(0, family.l4)],
    ["half an IP header", segment(family, 1).subarray(0, IP + 10)],
    ["half an Ethernet header", segment(family, 1).subarray(0, 7)],
    ["nothing at all", new Uint8Array(0)],
  ];
  it.each(misfits)("leaves alone what has %s", (_, misfit) => {
    expect(merge([segment(family, 0), misfit])).toEqual([alone(segment(family, 0)), alone(plain(misfit))]);
  });

  it.each(misfits)("starts nothing with what has %s, and goes on behind it", (_, misfit) => {
    const frames = [3, 4].map((i) => segment(family, i));
    const units = merge([misfit, ...frames]);
    expect(units).toEqual([
      alone(plain(misfit)),
      expect.objectContaining({
        segments: 2,
        bytes: whole(2 * SIZE, { id: 103, seq: 1000 + 3 * SIZE, payload: stream(2 * SIZE, 3 * SIZE) }),
      }),
    ]);
  });

  /** Each is the first frame; the second would follow it. */
  const misfitPairs: [string, [Uint8Array, Uint8Array]][] = [
    ...[PSH, FIN, TCP_SYN, RST, URG, CWR].map((flag): [string, [Uint8Array, Uint8Array]] => [
      `the flag ${flag} on both`,
      [segment(family, 0, { flags: TCP_ACK | flag }), segment(family, 1, { flags: TCP_ACK | flag })],
    ]),
    ["PSH on the first", [segment(family, 0, { flags: TCP_ACK | PSH }), segment(family, 1)]],
    ["ECE on the first", [segment(family, 0, { flags: TCP_ACK | ECE }), segment(family, 1)]],
    ["no ACK on both", [segment(family, 0, { flags: 0 }), segment(family, 1, { flags: 0 })]],
    ["no payload in the first", [segment(family, 0, { payload: "" }), segment(family, 1, { seq: 1000 })]],
    ["a wrong checksum in the first", [patched(segment(family, 0), family.l4 + 30, 0xee), segment(family, 1)]],
    ["a partial checksum in the first", [segment(family, 0, { checksum: "partial" }), segment(family, 1)]],
    [
      "partial checksums in both",
      [segment(family, 0, { checksum: "partial" }), segment(family, 1, { checksum: "partial" })],
    ],
    ["padding behind the first", [Uint8Array.from([...segment(family, 0), 0]), segment(family, 1)]],
    [
      "other options",
      [segment(family, 0, { options: TIMESTAMPS }), segment(family, 1, { options: TIMESTAMPS.with(11, 10) })],
    ],
    [
      "other first options",
      [segment(family, 0, { options: TIMESTAMPS }), segment(family, 1, { options: TIMESTAMPS.with(0, 0) })],
    ],
    ["other VLANs", [segment(family, 0, { vlans: [5] }), segment(family, 1, { vlans: [6] })]],
    ["other outer VLANs", [segment(family, 0, { vlans: [5, 7] }), segment(family, 1, { vlans: [6, 7] })]],
    ["other inner VLANs", [segment(family, 0, { vlans: [5, 7] }), segment(family, 1, { vlans: [5, 6] })]],
    ["other VLAN priorities", [segment(family, 0, { vlans: [5] }), segment(family, 1, { vlans: [0x2005] })]],
    ["three tags", [segment(family, 0, { vlans: [5, 6, 7] }), segment(family, 1, { vlans: [5, 6, 7] })]],
    [
      "a data offset below 5",
      [
        patchedWord(segment(family, 0), family.l4 + 12, 0x4010, family.l4 + 16),
        patchedWord(segment(family, 1, { seq: 1000 + SIZE + 4 }), family.l4 + 12, 0x4010, family.l4 + 16),
      ],
    ],
    [
      "a data offset behind the end",
      [
        patchedWord(segment(family, 0, { payload: stream(20) }), family.l4 + 12, 0xf010, family.l4 + 16),
        patchedWord(segment(family, 1), family.l4 + 12, 0xf010, family.l4 + 16),
      ],
    ],
    [
      "padding behind the first that its checksum does not notice",
      [Uint8Array.from([...segment(family, 0), 0xff, 0xfd]), segment(family, 1, { seq: 1000 + SIZE + 2 })],
    ],
    [
      "other source MACs behind two tags",
      [segment(family, 0, { vlans: [5, 7] }), segment(family, 1, { vlans: [5, 7], src: "02:00:00:00:00:0c" })],
    ],
  ];
  it.each(misfitPairs)("does not merge two with %s", (_, frames) => {
    expect(merge(frames)).toEqual(frames.map(alone));
  });

  it("leaves a corrupted segment as it came, and merges those before and those behind it", () => {
    const frames = [0, 1, 2, 3, 4].map((i) => segment(family, i));
    frames[2] = patched(frames[2]!, family.l4 + 40, 0xee);
    const units = merge(frames);
    expect(segmentsOf(units)).toEqual([2, 1, 2]);
    expect(units[1]).toEqual(alone(frames[2]));
  });

  it("never changes the order of two flows", () => {
    const frames = [0, 1, 0, 1].map((flow, i) => segment(family, i, { srcPort: 40000 + flow }));
    expect(merge(frames)).toEqual(frames.map(alone));
  });
});

// Other addresses in these tables have the same sum as the right ones: the checksum does not tell them apart.
describe("IPv4", () => {
  const FRAGMENT = IP + 6;
  const CHECKSUM = IP + 10;
  const both = (change: (frame: Uint8Array) => Uint8Array): Uint8Array[] =>
    [0, 1].map((i) => change(segment(IPV4, i, { dontFragment: false })));

  it.each([
    ["count up", true, [100, 101, 102]],
    ["count up over the end", true, [65534, 65535, 0]],
    ["count up in packets that may be fragmented", false, [100, 101, 102]],
    ["stay the same in packets that may not be fragmented (RFC 6864)", true, [0, 0, 0]],
  ])("merges when identifications %s", (_, dontFragment, ids) => {
    const units = merge(ids.map((id, i) => segment(IPV4, i, { id, dontFragment })));
    const expected = segment(IPV4, 0, { id: ids[0]!, dontFragment, payload: stream(3 * SIZE), checksum: "partial" });
    expect(units).toEqual([expect.objectContaining({ segments: 3, bytes: expected })]);
  });

  it.each([
    ["jump", true, [100, 102], [1, 1]],
    ["count down", true, [100, 99], [1, 1]],
    ["stay the same in packets that may be fragmented", false, [100, 100], [1, 1]],
    ["count up, then stay", true, [100, 101, 101], [2, 1]],
    ["stay, then count up", true, [100, 100, 101], [2, 1]],
    ["stay, then jump to where they would be", true, [100, 100, 102], [2, 1]],
    ["count up, then go back to the first", true, [100, 101, 100], [2, 1]],
  ])("does not merge when identifications %s", (_, dontFragment, ids, segments) => {
    expect(segmentsOf(merge(ids.map((id, i) => segment(IPV4, i, { id, dontFragment }))))).toEqual(segments);
  });

  it.each<[string, Uint8Array[]]>([
    ["another DF", [segment(IPV4, 0), segment(IPV4, 1, { dontFragment: false })]],
    ["another source", [segment(IPV4, 0), segment(IPV4, 1, { srcIp: "192.1.2.0" })]],
    ["another destination", [segment(IPV4, 0), segment(IPV4, 1, { dstIp: "192.2.2.0" })]],
    ["more fragments", both((frame) => patchedWord(frame, FRAGMENT, 0x2000, CHECKSUM))],
    ["a fragment offset", both((frame) => patchedWord(frame, FRAGMENT, 0x0001, CHECKSUM))],
    ["the reserved flag", both((frame) => patchedWord(frame, FRAGMENT, 0x8000, CHECKSUM))],
    ["a wrong header checksum in the first", [patched(segment(IPV4, 0), CHECKSUM, 0xee), segment(IPV4, 1)]],
    ["a wrong header checksum in the second", [segment(IPV4, 0), patched(segment(IPV4, 1), CHECKSUM, 0xee)]],
    ["another protocol", both((frame) => patchedWord(frame, IP + 8, 0x4006 + 1, CHECKSUM))],
    ["a header length of 24", both((frame) => patchedWord(frame, IP, 0x4600, CHECKSUM))],
    ["version 5", both((frame) => patchedWord(frame, IP, 0x5500, CHECKSUM))],
    ["a total length that is too long", both((frame) => patchedWord(frame, IP + 2, word(frame, IP + 2) + 1, CHECKSUM))],
    [
      "a total length that is too short",
      both((frame) => patchedWord(frame, IP + 2, word(frame, IP + 2) - 1, CHECKSUM)),
    ],
  ])("does not merge two with %s", (_, frames) => {
    expect(merge(frames)).toEqual(frames.map(alone));
  });

  it("does not merge packets with options", () => {
    const frames = [0, 1].map((i) => {
      const frame = segment(IPV4, i);
      const longer = Uint8Array.from([...frame.subarray(0, 34), 1, 1, 1, 0, ...frame.subarray(34)]);
      const withLength = patchedWord(longer, IP + 2, word(longer, IP + 2) + 4, CHECKSUM);
      const withHeaderLength = patchedWord(withLength, IP, 0x4600, CHECKSUM);
      // The options' own two words.
      return patchedWord(patchedWord(withHeaderLength, 34, 0x0101, CHECKSUM), 36, 0x0100, CHECKSUM);
    });
    expect(merge(frames)).toEqual(frames.map(alone));
  });
});

describe("IPv6", () => {
  it("merges when the flow labels are equal", () => {
    const frames = [0, 1].map((i) => patched(segment(IPV6, i), IP + 1, 0x0a, 0xbc, 0xde));
    const [unit] = merge(frames);
    expect(unit).toMatchObject({ segments: 2 });
    expect([...unit!.bytes.subarray(IP, IP + 4)]).toEqual([0x60, 0x0a, 0xbc, 0xde]);
  });

  it.each<[string, Uint8Array[]]>([
    ["another flow label", [segment(IPV6, 0), patched(segment(IPV6, 1), IP + 3, 1)]],
    ["another source", [segment(IPV6, 0), segment(IPV6, 1, { srcIp: "2001:db8::1:0" })]],
    ["another source's first half", [segment(IPV6, 0), segment(IPV6, 1, { srcIp: "2001:db9::" })]],
    ["another destination", [segment(IPV6, 0), segment(IPV6, 1, { dstIp: "2001:db8::2:0" })]],
    ["another destination's first half", [segment(IPV6, 0), segment(IPV6, 1, { dstIp: "2001:dba::" })]],
    ["a payload length that is too long", [0, 1].map((i) => patched(segment(IPV6, i), IP + 5, SIZE + 21))],
    ["a payload length that is too short", [0, 1].map((i) => patched(segment(IPV6, i), IP + 5, SIZE + 19))],
    ["a next header that is an extension", [0, 1].map((i) => patched(segment(IPV6, i), IP + 6, 60))],
    ["version 5", [0, 1].map((i) => patched(segment(IPV6, i), IP, 0x50))],
  ])("does not merge two with %s", (_, frames) => {
    expect(merge(frames)).toEqual(frames.map(alone));
  });
});

describe.each(FAMILIES)("UDP over $name", (family) => {
  const whole = (length: number, changes: Partial<FlowFields> = {}): Uint8Array =>
    datagram(family, 0, { payload: stream(length), checksum: "partial", ...changes });
  const superframe = (segments: number, bytes: Uint8Array, tagBytes = 0): Unit => ({
    gsoType: 5,
    gsoSize: SIZE,
    headerLength: family.l4 + tagBytes + 8,
    csumStart: family.l4 + tagBytes,
    csumOffset: 6,
    segments,
    bytes,
  });
  const three = (changes: Partial<FlowFields> = {}): Uint8Array[] => [0, 1, 2].map((i) => datagram(family, i, changes));

  it("merges datagrams of equal size", () => {
    expect(merge(three())).toEqual([superframe(3, whole(3 * SIZE))]);
  });

  it("merges with a VLAN tag", () => {
    expect(merge(three({ vlans: [5] }))).toEqual([superframe(3, whole(3 * SIZE, { vlans: [5] }), 4)]);
  });

  it("merges a shorter one as the last", () => {
    const short = datagram(family, 1, { payload: stream(1, SIZE) });
    const next = datagram(family, 2);
    expect(merge([datagram(family, 0), short, next])).toEqual([superframe(2, whole(SIZE + 1)), alone(next)]);
  });

  it(`merges at most ${MAX_SEGMENTS}`, () => {
    const frames = Array.from({ length: MAX_SEGMENTS + 1 }, (_, i) => datagram(family, i));
    expect(segmentsOf(merge(frames))).toEqual([MAX_SEGMENTS, 1]);
  });

  it("does not merge a longer one, but that with the next", () => {
    const long = datagram(family, 1, { payload: stream(SIZE + 1, SIZE) });
    const units = merge([datagram(family, 0), long, datagram(family, 2)]);
    expect(units).toEqual([alone(datagram(family, 0)), expect.objectContaining({ segments: 2, gsoSize: SIZE + 1 })]);
  });

  it("merges nothing when the TAP takes no UDP superframes", () => {
    expect(merge(three(), { mergeUdp: false })).toEqual(three().map(alone));
  });

  it.each<[string, Uint8Array]>([
    ["another destination MAC", datagram(family, 1, { dst: "02:00:00:00:00:0c" })],
    ["another ToS", datagram(family, 1, { tos: 1 })],
    ["another TTL", datagram(family, 1, { ttl: 63 })],
    ["another source", datagram(family, 1, { srcIp: family === IPV4 ? "192.1.2.0" : "2001:db9::" })],
    ["another destination", datagram(family, 1, { dstIp: family === IPV4 ? "192.2.2.0" : "2001:dba::" })],
    ["another source port", datagram(family, 1, { srcPort: 40001 })],
    ["another destination port", datagram(family, 1, { dstPort: 9998 })],
    ["no payload", datagram(family, 1, { payload: "" })],
    ["no checksum", datagram(family, 1, { checksum: "zero" })],
    ["a checksum of only the pseudo-header", datagram(family, 1, { checksum: "partial" })],
    ["a changed byte", patched(datagram(family, 1), family.l4 + 30, 0xee)],
    ["padding", Uint8Array.from([...datagram(family, 1), 0])],
    ["TCP", segment(family, 1)],
  ])("leaves alone what has %s", (_, misfit) => {
    expect(merge([datagram(family, 0), misfit])).toEqual([datagram(family, 0), misfit].map(alone));
    expect(merge([misfit, datagram(family, 2)])).toEqual([misfit, datagram(family, 2)].map(alone));
  });

  it("does not merge without checksums, even when zero would be right", () => {
    const frames = [0, 1].map((i) => {
      const frame = datagram(family, i);
      const checksum = family.l4 + 6;
      const cleared = patchedWord(frame, family.l4 + 8, 0, checksum);
      const right = patchedWord(cleared, family.l4 + 8, word(cleared, checksum), checksum);
      return patched(right, checksum, 0, 0);
    });
    expect(merge(frames)).toEqual(frames.map(alone));
    expect(
      merge([patched(frames[0]!, family.l4 + 6, 0xff, 0xff), patched(frames[1]!, family.l4 + 6, 0xff, 0xff)]),
    ).toEqual([expect.objectContaining({ segments: 2 })]);
  });

  it("does not merge when the UDP length is not the packet's", () => {
    const frames = [0, 1].map((i) => patchedWord(datagram(family, i), family.l4 + 4, SIZE + 7, family.l4 + 6));
    expect(merge(frames)).toEqual(frames.map(alone));
    expect(merge([datagram(family, 0), frames[1]!])).toEqual([datagram(family, 0), frames[1]!].map(alone));
  });

  it.each([500, 4500, 4754, 4789, 5555, 6080, 6081, 8472])("does not merge to or from the tunnel port %d", (port) => {
    for (const changes of [{ srcPort: port }, { dstPort: port }]) {
      expect(merge(three(changes))).toEqual(three(changes).map(alone));
    }
  });
});

it("leaves alone what is neither IP nor Ethernet", () => {
  const arp = patched(segment(IPV4, 0), 12, 0x08, 0x06);
  const frames = [arp, arp, new Uint8Array(0), new Uint8Array(0), Uint8Array.of(1)];
  expect(merge(frames)).toEqual(frames.map(alone));
});

it.each(FAMILIES)("leaves alone $name frames that end anywhere", (family) => {
  const whole = [segment(family, 0, { vlans: [5, 6] }), segment(family, 0), datagram(family, 0)];
  const frames = whole.flatMap((frame) =>
    Array.from(frame, (_, length) => frame.slice(0, length)).flatMap((cut) => [cut, frame]),
  );
  expect(merge(frames)).toEqual(frames.map(alone));
});

describe("any traffic", () => {
  /** A run of full segments of one flow, and one of another kind behind them. */
  const run = fc.record({
    flow: fc.nat(3),
    full: fc.nat(70),
    size: fc.constantFrom(SIZE, SIZE, 1, 33, SIZE - 1, SIZE + 1, 0),
    flags: fc.constantFrom(0, 0, 0, PSH, FIN, CWR, ECE, URG),
    skip: fc.constantFrom(0, 0, 0, 1, SIZE),
    corruptAt: fc.constantFrom(-1, -1, -1, 60, 70),
    padding: fc.constantFrom(0, 0, 0, 6),
  });
  type Run = typeof run extends fc.Arbitrary<infer T> ? T : never;

  const framesOf = (runs: readonly Run[]): Uint8Array[] => {
    const sent = [0, 0, 0, 0];
    let id = 65500;
    const make = (flow: number, size: number, flags: number): Uint8Array => {
      const family = FAMILIES[flow & 1]!;
      const seq = sent[flow]!;
      sent[flow] = seq + size;
      id = (id + 1) & 0xffff;
      const changes = { id, srcPort: 40000 + flow, payload: stream(size, seq) };
      if (flow > 1) return datagram(family, 0, changes);
      return segment(family, 0, { ...changes, seq, flags: TCP_ACK | flags, options: TIMESTAMPS });
    };
    return runs.flatMap(({ flow, full, size, flags, skip, corruptAt, padding }) => {
      const frames = Array.from({ length: full }, () => make(flow, SIZE, 0));
      sent[flow]! += skip;
      const last = make(flow, size, flags);
      if (corruptAt >= 0) last[corruptAt % last.length]! ^= 0xff;
      return [...frames, Uint8Array.from([...last, ...new Uint8Array(padding)])];
    });
  };

  it("comes back frame by frame, in order, when superframes are split again", () => {
    let merged = 0;
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 5 }), (runs) => {
        const frames = framesOf(runs);
        const units = merge(frames);
        merged += units.filter(({ segments }) => segments > 1).length;
        expect(split(units)).toEqual(frames);
      }),
      { numRuns: 100 },
    );
    // The property would hold for an addon that merges nothing.
    expect(merged).toBeGreaterThan(100);
  });
});
