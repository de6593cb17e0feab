/**
 * What the addon reads out of a frame's headers. Frames go in as datagrams over loopback (UDP descriptors) or out of a
 * TAP (flow hash).
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FLAG_FRAGMENT,
  FLAG_IPV4,
  FLAG_IPV6,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FLAG_UDP,
  FLAG_VLAN,
  PORT_UDP_RX,
  PORT_UDP_TX,
  SLOT_BYTES,
  SLOT_HEADROOM,
  TAP_SLOTS,
  UDP_SLOTS,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import {
  ethernet,
  IPV4_TYPE,
  IPV6_A,
  IPV6_B,
  IPV6_TYPE,
  type Ipv4Fields,
  ipv4,
  ipv6,
  TCP,
  tcp,
  UDP,
  udp,
} from "./frame-bytes.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

let netns: Netns;
let rig: IoRig;
beforeAll(() => {
  netns = new Netns();
  rig = new IoRig();
  const receiver = rig.openUdp([127, 0, 0, 1], { netns: netns.path });
  const sender = rig.openUdp([127, 0, 0, 1], { netns: netns.path, discardInput: true });
  rig.io.add(0, receiver, PORT_UDP_RX, HEADER, 0);
  rig.io.add(1, sender, PORT_UDP_TX, HEADER, 0);
  rig.putVtep(0, [127, 0, 0, 1], addon.udpPort(receiver));
});
afterAll(() => {
  rig.close();
  netns.delete();
});

const HEADER = 8;

/** Sends the frame and receives it into a slot that held `behind` at the frame's place, so that its end shows. */
const describeFrame = (bytes: Uint8Array, behind: Uint8Array = new Uint8Array(0)): FrameView => {
  rig.putFrame(0, bytes);
  rig.putAction(0, { port: 1, frame: 0, template: 0, templateLength: HEADER });
  expect(rig.io.send(1)).toBe(0);
  const slot = TAP_SLOTS * SLOT_BYTES;
  rig.memory.arena.fill(0xa5, slot, slot + SLOT_BYTES).set(behind, slot + SLOT_HEADROOM + HEADER);
  expect(rig.io.receive(1000)).toBe(1);
  return rig.frame(0);
};

const v6 = { src: IPV6_A, dst: IPV6_B };
const ipv4Frame = (protocol: number, segment: Uint8Array, fields: Ipv4Fields = {}): Uint8Array =>
  ethernet(IPV4_TYPE, ipv4(protocol, segment, fields));
const ipv6Frame = (nextHeader: number, payload: ArrayLike<number>): Uint8Array =>
  ethernet(IPV6_TYPE, ipv6(nextHeader, payload));

describe("header flags", () => {
  it("splits MAC addresses into 16 and 32 bits, the latter signed", () => {
    const frame = ethernet(0x88b5, [], { dst: [255, 255, 255, 255, 255, 255], src: [0x02, 0xfe, 0x80, 1, 2, 3] });
    expect(describeFrame(frame)).toMatchObject({ length: 14, dst: [0xffff, -1], src: [0x02fe, 0x80010203 | 0] });
  });

  const cases: [string, Uint8Array, number][] = [
    ["TCP over IPv4", ipv4Frame(TCP, tcp()), FLAG_IPV4 | FLAG_TCP],
    ["UDP over IPv4", ipv4Frame(UDP, udp()), FLAG_IPV4 | FLAG_UDP],
    ["TCP behind IPv4 options", ipv4Frame(TCP, tcp(), { options: [1, 1, 1, 0] }), FLAG_IPV4 | FLAG_TCP],
    ["ICMP", ipv4Frame(1, udp()), FLAG_IPV4],
    ["TCP over IPv6", ipv6Frame(TCP, tcp(v6)), FLAG_IPV6 | FLAG_TCP],
    ["UDP over IPv6", ipv6Frame(UDP, udp(v6)), FLAG_IPV6 | FLAG_UDP],
    ["UDP behind hop-by-hop options", ipv6Frame(0, [UDP, 0, 1, 4, 0, 0, 0, 0, ...udp(v6)]), FLAG_IPV6 | FLAG_UDP],
    [
      "TCP behind two extension headers",
      ipv6Frame(0, [60, 0, 1, 4, 0, 0, 0, 0, TCP, 1, ...new Uint8Array(14), ...tcp(v6)]),
      FLAG_IPV6 | FLAG_TCP,
    ],
    ["ARP", ethernet(0x0806, new Uint8Array(28)), 0],
    ["an Ethernet header alone", ethernet(IPV4_TYPE, []), 0],
  ];
  it.each(cases)("are right for %s", (_, frame, flags) => {
    expect(describeFrame(frame).flags).toBe(flags);
  });

  it.each([
    ["802.1Q", [[0x8100, 42]]],
    ["802.1ad", [[0x88a8, 42]]],
    [
      "802.1Q in 802.1ad",
      [
        [0x88a8, 1],
        [0x8100, 2],
      ],
    ],
  ] as [string, [number, number][]][])("see the packet behind a tag of %s", (_, tags) => {
    const frame = ethernet(IPV4_TYPE, ipv4(TCP, tcp()), { tags });
    expect(describeFrame(frame).flags).toBe(FLAG_VLAN | FLAG_IPV4 | FLAG_TCP);
  });

  it("see no packet behind three tags, or a tag that is cut", () => {
    const tags: [number, number][] = [
      [0x8100, 1],
      [0x8100, 2],
      [0x8100, 3],
    ];
    expect(describeFrame(ethernet(IPV4_TYPE, ipv4(TCP, tcp()), { tags })).flags).toBe(FLAG_VLAN);
    expect(describeFrame(ethernet(0x8100, [0, 1, 8])).flags).toBe(FLAG_VLAN);
  });

  it("mark the first IPv4 fragment, and later ones without their transport", () => {
    const first = ipv4Frame(UDP, udp(), { fragment: 0x2000 });
    const later = ipv4Frame(UDP, udp(), { fragment: 0x0001 });
    expect(describeFrame(first).flags).toBe(FLAG_IPV4 | FLAG_FRAGMENT | FLAG_UDP);
    expect(describeFrame(later).flags).toBe(FLAG_IPV4 | FLAG_FRAGMENT);
  });

  it("do not take the DF bit for a fragment", () => {
    expect(describeFrame(ipv4Frame(UDP, udp(), { fragment: 0x4000 })).flags).toBe(FLAG_IPV4 | FLAG_UDP);
  });

  it("mark IPv6 fragments likewise", () => {
    const fragment = (offset: number): Uint8Array => ipv6Frame(44, [UDP, 0, 0, offset, 0, 0, 0, 1, ...udp(v6)]);
    expect(describeFrame(fragment(1)).flags).toBe(FLAG_IPV6 | FLAG_FRAGMENT | FLAG_UDP);
    expect(describeFrame(fragment(8)).flags).toBe(FLAG_IPV6 | FLAG_FRAGMENT);
  });

  it("believe neither a wrong version nor an IPv4 header of less than 20 bytes", () => {
    expect(describeFrame(ethernet(IPV4_TYPE, ipv6(TCP, tcp(v6)))).flags).toBe(0);
    expect(describeFrame(ethernet(IPV6_TYPE, ipv4(TCP, tcp()))).flags).toBe(0);
    const short = ipv4(TCP, tcp());
    short[0] = 0x44;
    expect(describeFrame(ethernet(IPV4_TYPE, short)).flags).toBe(0);
    expect(describeFrame(ipv4Frame(TCP, tcp(), { totalLength: 19 })).flags).toBe(0);
  });

  it("want the whole fixed header of TCP and UDP, and within the packet's own length", () => {
    const frame = ipv4Frame(TCP, tcp({ payload: [] }));
    expect(describeFrame(frame.subarray(0, -1)).flags).toBe(FLAG_IPV4);
    expect(describeFrame(ipv4Frame(TCP, tcp(), { totalLength: 39 })).flags).toBe(FLAG_IPV4);
    expect(describeFrame(ipv4Frame(UDP, udp(), { totalLength: 27 })).flags).toBe(FLAG_IPV4);
    expect(describeFrame(ipv4Frame(UDP, udp(), { totalLength: 28 })).flags).toBe(FLAG_IPV4 | FLAG_UDP);
  });

  it("see nothing of an extension header that is cut", () => {
    const fragment = ipv6Frame(44, [UDP, 0, 0, 1, 0, 0, 0]);
    expect(describeFrame(fragment).flags).toBe(FLAG_IPV6);
    expect(describeFrame(ipv6Frame(0, [UDP, 1, 1, 4, 0, 0, 0, 0, ...udp(v6).subarray(0, 7)])).flags).toBe(FLAG_IPV6);
  });

  it("give up on a chain of extension headers without end", () => {
    const chain = Array.from({ length: 50 }, () => [0, 0, 1, 4, 0, 0, 0, 0]).flat();
    expect(describeFrame(ipv6Frame(0, chain)).flags).toBe(FLAG_IPV6);
  });
});

describe("partial checksums", () => {
  const partial = "partial" as const;

  it.each([
    ["TCP over IPv4", ipv4Frame(TCP, tcp({ checksum: partial })), { start: 34, offset: 16, headers: 54, ip: 14 }],
    [
      "TCP with options over IPv4 with options",
      ipv4Frame(TCP, tcp({ checksum: partial, options: [1, 1, 1, 1, 1, 1, 1, 1] }), { options: [1, 1, 1, 0] }),
      { start: 38, offset: 16, headers: 66, ip: 14 },
    ],
    ["UDP over IPv4", ipv4Frame(UDP, udp({ checksum: partial })), { start: 34, offset: 6, headers: 42, ip: 14 }],
    [
      "TCP over IPv6",
      ipv6Frame(TCP, tcp({ ...v6, checksum: partial })),
      { start: 54, offset: 16, headers: 74, ip: 14 },
    ],
    ["UDP over IPv6", ipv6Frame(UDP, udp({ ...v6, checksum: partial })), { start: 54, offset: 6, headers: 62, ip: 14 }],
    [
      "TCP behind a VLAN tag",
      ethernet(IPV4_TYPE, ipv4(TCP, tcp({ checksum: partial })), { tags: [[0x8100, 42]] }),
      { start: 38, offset: 16, headers: 58, ip: 18 },
    ],
    [
      "a superframe",
      ipv4Frame(TCP, tcp({ checksum: partial, payload: new Uint8Array(60000).fill(7) })),
      { start: 34, offset: 16, headers: 54, ip: 14 },
    ],
    [
      "a TCP segment with Ethernet padding behind it",
      ethernet(IPV4_TYPE, [...ipv4(TCP, tcp({ checksum: partial, payload: [] })), 0, 0, 0, 0, 0, 0]),
      { start: 34, offset: 16, headers: 54, ip: 14 },
    ],
  ])("are found in %s", (_, frame, place) => {
    const seen = describeFrame(frame);
    expect(seen.flags & FLAG_PARTIAL_CSUM).toBe(FLAG_PARTIAL_CSUM);
    expect({
      start: seen.csum & 0xffff,
      offset: seen.csum >>> 16,
      headers: seen.headers & 0xffff,
      ip: seen.headers >>> 16,
    }).toEqual(place);
    expect(seen.gso).toBe(0);
  });

  /** Bytes of all headers, 0 where not all of them are there. */
  const complete: [string, Uint8Array, headers: number][] = [
    ["a complete TCP checksum", ipv4Frame(TCP, tcp()), 54],
    ["a complete UDP checksum", ipv4Frame(UDP, udp()), 42],
    ["a complete TCP checksum over IPv6", ipv6Frame(TCP, tcp(v6)), 74],
    ["no UDP checksum", ipv4Frame(UDP, udp({ checksum: 0 })), 42],
    ["a first fragment", ipv4Frame(UDP, udp({ checksum: partial }), { fragment: 0x2000 }), 42],
    ["a packet without its end", ipv4Frame(TCP, tcp({ checksum: partial })).subarray(0, -1), 54],
    ["a TCP data offset below 5", ipv4Frame(TCP, tcp({ checksum: partial, dataOffset: 4 })), 0],
    ["a TCP data offset behind the end", ipv4Frame(TCP, tcp({ checksum: partial, dataOffset: 15 })), 0],
    ["an IPv6 extension header", ipv6Frame(0, [UDP, 0, 1, 4, 0, 0, 0, 0, ...udp({ ...v6, checksum: partial })]), 70],
    ["another protocol", ipv4Frame(132, udp({ checksum: partial })), 0],
  ];
  it.each(complete)("are not seen in a frame with %s", (_, frame, headers) => {
    const expected = headers === 0 ? 0 : headers | (14 << 16);
    expect(describeFrame(frame)).toMatchObject({ csum: 0, headers: expected, segments: 1 });
    expect(describeFrame(frame).flags & FLAG_PARTIAL_CSUM).toBe(0);
  });

  it("are found whatever addresses and length add up to", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 8, maxLength: 8 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        (addresses, payload, isTcp) => {
          const ends = { src: [...addresses.subarray(0, 4)], dst: [...addresses.subarray(4)] };
          const segment = (isTcp ? tcp : udp)({ ...ends, payload, checksum: partial });
          const frame = ethernet(IPV4_TYPE, ipv4(isTcp ? TCP : UDP, segment, ends));
          expect(describeFrame(frame).flags & FLAG_PARTIAL_CSUM).toBe(FLAG_PARTIAL_CSUM);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("any bytes", () => {
  const samples = [
    ipv4Frame(TCP, tcp({ checksum: "partial", options: [1, 1, 1, 1] }), { options: [1, 1, 1, 0] }),
    ipv4Frame(UDP, udp({ checksum: "partial" })),
    ipv6Frame(0, [44, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 0, 1, 0, 0, 0, 1, ...udp(v6)]),
    ethernet(IPV6_TYPE, ipv6(TCP, tcp({ ...v6, checksum: "partial" })), {
      tags: [
        [0x88a8, 1],
        [0x8100, 2],
      ],
    }),
  ];
  const expectNoLookBehind = (bytes: Uint8Array, continuation: Uint8Array): void => {
    const first = describeFrame(bytes, continuation);
    expect(first.length).toBe(bytes.length);
    for (const filler of [0x00, 0xff]) expect(describeFrame(bytes, new Uint8Array(200).fill(filler))).toEqual(first);
  };

  it("that a frame is cut to are described without what used to follow", () => {
    for (const sample of samples) {
      for (let length = 0; length < sample.length; length++) expectNoLookBehind(sample.subarray(0, length), sample);
    }
  });

  it("that a frame is changed and cut to are described without what used to follow", () => {
    const changed = fc
      .tuple(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(120),
      )
      .map(([sample, changes, length]) => {
        const bytes = Uint8Array.from(sample);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return { bytes, length };
      });
    fc.assert(
      fc.property(changed, ({ bytes, length }) => expectNoLookBehind(bytes.subarray(0, length), bytes)),
      { numRuns: 2000 },
    );
  });

  it("of noise are described", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => expectNoLookBehind(bytes, new Uint8Array(200).fill(8))),
      { numRuns: 500 },
    );
  });

  it("fill all slots of a batch at once", () => {
    for (let i = 0; i < UDP_SLOTS; i++) {
      rig.putFrame(
        i,
        Uint8Array.from({ length: i * 3 }, (_, at) => (at * 7 + i) & 0xff),
      );
      rig.putAction(i, { port: 1, frame: i, template: 0, templateLength: HEADER });
    }
    expect(rig.io.send(UDP_SLOTS)).toBe(0);
    expect(rig.io.receive(1000)).toBe(UDP_SLOTS);
    for (let i = 0; i < UDP_SLOTS; i++) expect(rig.frame(i).length).toBe(i * 3);
  });
});
