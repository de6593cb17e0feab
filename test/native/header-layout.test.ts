/** Where the addon finds the overlay frame behind headers of GRE, Geneve and GUE, and which datagrams it merges then. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FEATURE_MERGE_TCP,
  FEATURE_MERGE_UDP,
  FLAG_BAD_OUTER_CSUM,
  FLAG_IP_PACKET,
  FLAG_IPV4,
  FLAG_IPV6,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  HEADER_CHECKSUM,
  HEADER_FLAGS_SHIFT,
  HEADER_PAYLOAD_IP,
  HEADER_PAYLOAD_MASK,
  HEADER_PREFIX_SHIFT,
  PORT_TAP,
} from "../../src/binding/abi.ts";
import { DatagramLab, type Taken } from "./datagram-lab.ts";
import { ethernet, IPV4_TYPE, IPV6_A, IPV6_B, IPV6_TYPE, ipv4, ipv6, TCP, tcp } from "./frame-bytes.ts";
import {
  CHECKED_GRE_LAYOUT,
  checkedGre,
  ETHERNET_IN_GRE,
  GENEVE_LAYOUT,
  GRE_LAYOUT,
  GUE_LAYOUT,
  greHeader,
  prefixed,
} from "./gre-header.ts";
import { superframe } from "./superframes.ts";

const SENDER = 0;
const [VXLAN, GRE, CHECKED_GRE, GENEVE, GUE, GRE_IN_GUE, IPIP, CHECKED_GRE_IN_GUE] = [1, 2, 3, 4, 5, 6, 7, 8];
const LAYOUTS = [
  [VXLAN, 8],
  [GRE, GRE_LAYOUT],
  [CHECKED_GRE, CHECKED_GRE_LAYOUT],
  [GENEVE, GENEVE_LAYOUT],
  [GUE, GUE_LAYOUT],
  [GRE_IN_GUE, prefixed(GRE_LAYOUT, 1)],
  [IPIP, HEADER_PAYLOAD_IP],
  [CHECKED_GRE_IN_GUE, prefixed(CHECKED_GRE_LAYOUT, 1)],
] as const;
const MERGE_ALL = FEATURE_MERGE_TCP | FEATURE_MERGE_UDP;

let lab: DatagramLab;
beforeAll(() => {
  lab = new DatagramLab();
  lab.addSender(SENDER, 0);
  for (const [port, layout] of LAYOUTS) lab.addReceiver(port, layout, MERGE_ALL);
});
afterAll(() => lab.close());

const FRAME = ethernet(IPV4_TYPE, ipv4(TCP, tcp()));
const IPV4_PACKET = ipv4(TCP, tcp());
const IPV6_PACKET = ipv6(TCP, tcp({ src: IPV6_A, dst: IPV6_B }));
const GUE_HEADER = [0x00, 4, 0, 0];
const GUE_OF_GRE = [0x00, 47, 0, 0];

const erspan = (etherType: number, header: readonly number[]): number[] => [
  ...greHeader({ etherType, sequence: 1 }),
  ...header,
];

const deliver = (to: number, ...datagrams: (ArrayLike<number> | Uint8Array)[]): Taken[] => {
  const copies = datagrams.map((frame) => ({ frame: Uint8Array.from(frame) }));
  expect(lab.send(SENDER, to, copies)).toEqual(copies.map(() => 0));
  return lab.receiveAll();
};
const deliverOne = (to: number, datagram: ArrayLike<number>): Taken => {
  const [taken, ...more] = deliver(to, datagram);
  expect(more).toEqual([]);
  return taken!;
};

describe("a frame behind a header", () => {
  const cases: [string, to: number, header: readonly number[] | Uint8Array, payload: Uint8Array][] = [
    ["VXLAN", VXLAN, [8, 0, 0, 0, 0, 0, 42, 0], FRAME],
    ["GRE", GRE, greHeader({ etherType: IPV4_TYPE }), IPV4_PACKET],
    ["GRE with a key", GRE, greHeader({ etherType: IPV6_TYPE, key: 7 }), IPV6_PACKET],
    ["GRE with a sequence number", GRE, greHeader({ etherType: IPV4_TYPE, sequence: 7 }), IPV4_PACKET],
    ["GRE with all", GRE, greHeader({ etherType: IPV4_TYPE, checksum: 1, key: 2, sequence: 3 }), IPV4_PACKET],
    ["GRE of a frame", GRE, greHeader({ etherType: ETHERNET_IN_GRE, key: 7 }), FRAME],
    ["ERSPAN I", GRE, greHeader({ etherType: 0x88be }), FRAME],
    ["ERSPAN II", GRE, erspan(0x88be, [0x10, 0, 0, 7, ...new Uint8Array(4)]), FRAME],
    ["ERSPAN III", GRE, erspan(0x22eb, [0x20, 0, 0, 7, ...new Uint8Array(8).fill(0xfe)]), FRAME],
    ["ERSPAN III and more", GRE, erspan(0x22eb, [0x20, 0, 0, 7, ...new Uint8Array(16).fill(1)]), FRAME],
    ["Geneve", GENEVE, [0, 0, 0x65, 0x58, 0, 0, 42, 0], FRAME],
    ["Geneve with options", GENEVE, [0x03, 0, 0x65, 0x58, 0, 0, 42, 0, ...new Uint8Array(12).fill(9)], FRAME],
    ["Geneve with all options", GENEVE, [0x3f, 0, 8, 0, 0, 0, 42, 0, ...new Uint8Array(252).fill(9)], IPV4_PACKET],
    ["Geneve, other bits set", GENEVE, [0xc0, 0xff, 0x65, 0x58, 0, 0, 42, 1], FRAME],
    ["GUE", GUE, GUE_HEADER, IPV4_PACKET],
    ["GUE with private data", GUE, [0x02, 4, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], IPV4_PACKET],
    ["GRE in GUE", GRE_IN_GUE, [...GUE_OF_GRE, ...greHeader({ etherType: ETHERNET_IN_GRE, key: 1 })], FRAME],
    ["no header", IPIP, [], IPV6_PACKET],
  ];
  it("is not looked for beyond the end of an ERSPAN header", () => {
    const whole = erspan(0x22eb, [0x20, 0, 0, 7, ...new Uint8Array(8).fill(0xff)]);
    for (let length = 8; length < whole.length; length++) {
      expect(deliverOne(GRE, whole.slice(0, length)).view.length).toBeLessThan(0);
    }
  });

  it.each(cases)("is found: %s", (_, to, header, payload) => {
    const { view, ...taken } = deliverOne(to, [...header, ...payload]);
    expect(taken).toEqual({ header: Uint8Array.from(header), bytes: payload });
    const isPacket = payload !== FRAME;
    const family = payload === IPV6_PACKET ? FLAG_IPV6 : FLAG_IPV4;
    expect(view).toMatchObject({
      port: to,
      flags: FLAG_TCP | family | (isPacket ? FLAG_IP_PACKET : 0),
      length: payload.length,
      datagramLength: header.length + payload.length,
      headers: isPacket ? payload.length - 3 : (payload.length - 3) | (14 << 16),
      dst: isPacket ? [0, 0] : [0x0200, 2],
      src: isPacket ? [0, 0] : [0x0200, 1],
    });
  });

  it.each(cases)("is not there when the datagram ends before it: %s", (_, to, header) => {
    for (let length = 0; length < header.length; length++) {
      // The rest of the header lies behind the datagram's end.
      deliver(to, [...header, 0x45]);
      const { view } = deliverOne(to, Array.from(header).slice(0, length));
      expect(view.length).toBeLessThan(0);
      expect(view.length).toBe(length - (view.offset - view.headerOffset));
      expect(view).toMatchObject({ datagramLength: length, headers: 0, gso: 0, dst: [0, 0], src: [0, 0] });
      expect(view.flags & ~FLAG_IP_PACKET).toBe(0);
    }
  });

  it("of any bytes begins where the header says", () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(fc.constantFrom(GRE, GENEVE, GUE, GRE_IN_GUE), bytes, (to, datagram) => {
        const first = datagram[to === GRE_IN_GUE ? 4 : 0] ?? 0;
        const bits = [0x80, 0x20, 0x10].filter((bit) => (first & bit) !== 0).length;
        const lengths = {
          [GRE]: 4 + 4 * bits,
          [GENEVE]: 8 + 4 * (first & 0x3f),
          [GUE]: 4 + 4 * (first & 0x1f),
          [GRE_IN_GUE]: 8 + 4 * bits,
        };
        const fixed = { [GRE]: 4, [GENEVE]: 8, [GUE]: 4, [GRE_IN_GUE]: 8 }[to]!;
        const { view } = deliverOne(to, datagram);
        expect(view.offset - view.headerOffset).toBe(datagram.length < fixed ? fixed : lengths[to]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a GRE checksum", () => {
  const fields = { etherType: IPV4_TYPE, key: 42 };
  const isBad = ({ view }: Taken): boolean => (view.flags & FLAG_BAD_OUTER_CSUM) !== 0;

  it.each([
    ["in GRE", CHECKED_GRE, []],
    ["in GRE in GUE, whose header is not summed", CHECKED_GRE_IN_GUE, GUE_OF_GRE],
  ] as const)("that is right is taken for right, any other for wrong: %s", (_, to, prefix) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (payload, at, bits) => {
          const packet = checkedGre(fields, payload);
          expect(isBad(deliverOne(to, [...prefix, ...packet]))).toBe(false);
          // Not the first byte: that may say there is no checksum.
          packet[1 + (at % (packet.length - 1))]! ^= bits;
          expect(isBad(deliverOne(to, [...prefix, ...packet]))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("is looked at only where the header has one, and the layout says so", () => {
    expect(isBad(deliverOne(CHECKED_GRE, [...greHeader(fields), ...IPV4_PACKET]))).toBe(false);
    expect(isBad(deliverOne(GRE, [...greHeader({ ...fields, checksum: 0x1234 }), ...IPV4_PACKET]))).toBe(false);
  });

  it.each([
    ["a packet", { etherType: IPV4_TYPE }, (segment: Uint8Array) => ipv4(TCP, segment)],
    ["a frame", { etherType: ETHERNET_IN_GRE }, (segment: Uint8Array) => ethernet(IPV4_TYPE, ipv4(TCP, segment))],
  ])("is right for %s whose own checksum is unfinished, as its sender summed it", (_, kind, wrap) => {
    const payload = [1, 2, 3, 4, 5];
    const sent = checkedGre(kind, wrap(tcp({ payload })));
    const unfinished = Buffer.concat([sent.subarray(0, 8), wrap(tcp({ payload, checksum: "partial" }))]);
    const taken = deliverOne(CHECKED_GRE, unfinished);
    expect(isBad(taken)).toBe(false);
    expect(taken.view.flags & FLAG_PARTIAL_CSUM).toBe(FLAG_PARTIAL_CSUM);
    unfinished[20]! ^= 1;
    expect(isBad(deliverOne(CHECKED_GRE, unfinished))).toBe(true);
  });
});

describe("segments of one flow in GRE", () => {
  const segments = (kind: "ip" | "ethernet", family: 4 | 6 = 4): Uint8Array[] =>
    [0, 1, 2].map((i) => {
      const { bytes } = superframe({ family, payloadLength: 100, seq: 1 + 100 * i, id: i, checksum: "full" });
      return Uint8Array.from(kind === "ip" ? bytes.subarray(14) : bytes);
    });
  const counts = (taken: readonly Taken[]): number[] => taken.map(({ view }) => view.segments);
  const gre = (fields: Parameters<typeof greHeader>[0], payload: Uint8Array): Uint8Array =>
    Buffer.concat([greHeader(fields), payload]);

  it.each([
    ["IPv4 packets", IPV4_TYPE, segments("ip"), 0],
    ["IPv6 packets", IPV6_TYPE, segments("ip", 6), 0],
    ["frames", ETHERNET_IN_GRE, segments("ethernet"), 14],
  ])("are merged: %s", (_, etherType, frames, ip) => {
    const [merged, ...rest] = deliver(GRE, ...frames.map((frame) => gre({ etherType, key: 1 }, frame)));
    expect(rest).toEqual([]);
    const headers = frames[0]!.length - 100;
    expect(merged?.view).toMatchObject({
      segments: 3,
      length: headers + 300,
      headers: headers | (ip << 16),
      gso: 100 | ((etherType === IPV6_TYPE ? 4 : 1) << 16),
      csum: (headers - 20) | (16 << 16),
    });
    const isPacket = (merged!.view.flags & FLAG_IP_PACKET) !== 0;
    expect(isPacket).toBe(ip === 0);
  });

  it("are merged though each has a checksum of its own, but not when one is wrong", () => {
    // Of another length: the inner checksum makes payloads of one length sum to the same.
    const last = superframe({ payloadLength: 50, seq: 301, id: 3, checksum: "full" }).bytes.subarray(14);
    const packets = [...segments("ip"), last].map((packet) => checkedGre({ etherType: IPV4_TYPE, key: 9 }, packet));
    expect(packets[3]!.subarray(4, 6)).not.toEqual(packets[2]!.subarray(4, 6));
    expect(counts(deliver(CHECKED_GRE, ...packets))).toEqual([4]);
    packets[1]![4]! ^= 1;
    const taken = deliver(CHECKED_GRE, ...packets);
    expect(counts(taken)).toEqual([1, 1, 2]);
    expect(taken.map(({ view }) => (view.flags & FLAG_BAD_OUTER_CSUM) !== 0)).toEqual([false, true, false]);
  });

  it("are not merged when their headers differ", () => {
    const [a, b, c] = segments("ip") as [Uint8Array, Uint8Array, Uint8Array];
    const etherType = IPV4_TYPE;
    expect(counts(deliver(GRE, gre({ etherType, key: 1 }, a), gre({ etherType, key: 2 }, b)))).toEqual([1, 1]);
    expect(counts(deliver(GRE, gre({ etherType, key: 1 }, a), gre({ etherType }, b)))).toEqual([1, 1]);
    expect(counts(deliver(GRE, gre({ etherType, sequence: 1 }, a), gre({ etherType, sequence: 2 }, b)))).toEqual([
      1, 1,
    ]);
    // Another key, with checksums, of which only the field itself may differ.
    const checked = [1, 1, 2].map((key, i) => checkedGre({ etherType, key }, [a, b, c][i]!));
    expect(counts(deliver(CHECKED_GRE, ...checked))).toEqual([2, 1]);
  });

  it("are never merged across frames with and without Ethernet header", () => {
    const packets = segments("ip").map((packet) => gre({ etherType: IPV4_TYPE }, packet));
    const frames = segments("ethernet").map((frame) => gre({ etherType: ETHERNET_IN_GRE }, frame));
    expect(counts(deliver(GRE, packets[0]!, frames[1]!, packets[2]!))).toEqual([1, 1, 1]);
    expect(counts(deliver(GRE, ...packets, ...frames))).toEqual([3, 3]);
  });
});

it("refuses words that are no layouts", () => {
  const refused = [
    -1,
    HEADER_PAYLOAD_MASK | 8,
    HEADER_PAYLOAD_MASK | 16 | (1 << HEADER_PREFIX_SHIFT),
    1 << HEADER_FLAGS_SHIFT,
    GRE_LAYOUT & ~0xff,
    (GRE_LAYOUT & ~0xff) | 3,
    HEADER_CHECKSUM | 8,
    (CHECKED_GRE_LAYOUT & ~0xff) | 3,
  ];
  for (const layout of refused) expect(() => lab.far.io.add(100, 0, PORT_TAP, layout, 0)).toThrow(/Io.add: header/);
  expect(() => lab.far.io.add(100, 1 << 20, PORT_TAP, GRE_LAYOUT, 0)).toThrow(/EBADF/);
});
