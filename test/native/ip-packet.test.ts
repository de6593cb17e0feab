/**
 * Frames without Ethernet header are read, merged and cut as the same frames are behind one: every offset is 14 less, and
 * nothing else differs.
 */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FLAG_IP_PACKET, HEADER_PAYLOAD_IP } from "../../src/binding/abi.ts";
import { DatagramLab, type Taken } from "./datagram-lab.ts";
import { ethernet, IPV4_TYPE, IPV6_A, IPV6_B, IPV6_TYPE, ipv4, ipv6, TCP, tcp, UDP, udp } from "./frame-bytes.ts";
import { merge, split } from "./merge.ts";
import { OffloadTool } from "./offload-tool.ts";
import { SUPERFRAMES, superframe } from "./superframes.ts";

const ETHERNET = 14;
const SENDER = 0;
const [PACKETS, FRAMES] = [1, 2];

let lab: DatagramLab;
let tool: OffloadTool;
beforeAll(() => {
  lab = new DatagramLab();
  tool = new OffloadTool();
  lab.addSender(SENDER, 0);
  lab.addReceiver(PACKETS, HEADER_PAYLOAD_IP);
  lab.addReceiver(FRAMES, 0);
});
afterAll(async () => {
  await tool.close();
  lab.close();
});

const v6 = { src: IPV6_A, dst: IPV6_B };
const PACKETS_OF: [string, Uint8Array][] = [
  ["TCP over IPv4", ipv4(TCP, tcp())],
  ["TCP over IPv4 with options, unfinished", ipv4(TCP, tcp({ checksum: "partial" }), { options: [1, 1, 1, 0] })],
  ["UDP over IPv4, unfinished", ipv4(UDP, udp({ checksum: "partial" }))],
  ["ICMP", ipv4(1, udp())],
  ["a first fragment", ipv4(UDP, udp(), { fragment: 0x2000 })],
  ["a later fragment", ipv4(UDP, udp(), { fragment: 1 })],
  ["TCP over IPv6, unfinished", ipv6(TCP, tcp({ ...v6, checksum: "partial" }))],
  ["UDP behind an extension header", ipv6(0, [UDP, 0, 1, 4, 0, 0, 0, 0, ...udp(v6)])],
  ["an IPv6 fragment", ipv6(44, [UDP, 0, 0, 1, 0, 0, 0, 1, ...udp(v6)])],
];

const deliver = (to: number, frame: Uint8Array): Taken => {
  expect(lab.send(SENDER, to, [{ frame }])).toEqual([0]);
  const [taken, ...more] = lab.receiveAll();
  expect(more).toEqual([]);
  return taken!;
};
/** What a packet's descriptor says beside addresses and place. */
const describePacket = (packet: Uint8Array): object => {
  const { flags, csum, gso, headers, length, dst, src } = deliver(PACKETS, packet).view;
  expect(dst).toEqual([0, 0]);
  expect(src).toEqual([0, 0]);
  expect(flags & FLAG_IP_PACKET).toBe(FLAG_IP_PACKET);
  return { flags: flags & ~FLAG_IP_PACKET, csum, gso, headers, length };
};
/** The same of the packet behind an Ethernet header, without that. */
const describeFrame = (packet: Uint8Array, type: number): object => {
  const { flags, csum, gso, headers, length } = deliver(FRAMES, ethernet(type, packet)).view;
  return {
    flags,
    csum: csum === 0 ? 0 : csum - ETHERNET,
    gso,
    headers: headers === 0 ? 0 : headers - ETHERNET - (ETHERNET << 16),
    length: length - ETHERNET,
  };
};
const typeOf = (packet: Uint8Array): number => {
  const version = (packet[0] ?? 0) >> 4;
  return version === 4 ? IPV4_TYPE : version === 6 ? IPV6_TYPE : 0;
};

describe("a packet", () => {
  it.each(PACKETS_OF)("is described as it is in a frame: %s", (_, packet) => {
    expect(describePacket(packet)).toEqual(describeFrame(packet, typeOf(packet)));
    for (let length = 0; length < packet.length; length++) {
      const cut = packet.subarray(0, length);
      expect(describePacket(cut)).toEqual(describeFrame(cut, typeOf(packet)));
    }
  });

  it("of any bytes is described as it is in a frame", () => {
    const changed = fc
      .tuple(
        fc.constantFrom(...PACKETS_OF.map(([, packet]) => packet)),
        fc.array(fc.tuple(fc.nat(90), fc.nat(255)), { maxLength: 4 }),
        fc.nat(120),
      )
      .map(([sample, changes, length]) => {
        const bytes = Uint8Array.from(sample);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes.subarray(0, length);
      });
    fc.assert(
      fc.property(changed, (packet) => {
        expect(describePacket(packet)).toEqual(describeFrame(packet, typeOf(packet)));
      }),
      { numRuns: 1000 },
    );
  });

  it("of another version is described as such, and nothing is read of it", () => {
    for (const first of [0x00, 0x55, 0xf0]) {
      const bytes = Uint8Array.from(PACKETS_OF[0]![1]);
      bytes[0] = first;
      expect(deliver(PACKETS, bytes).view).toMatchObject({ flags: FLAG_IP_PACKET, headers: 0, csum: 0 });
    }
  });
});

const untagged = SUPERFRAMES.filter(([, { ipOffset }]) => ipOffset === ETHERNET);

describe("superframes of packets", () => {
  it.each(untagged)("are cut as they are in a frame: %s", async (_, { bytes, gsoType }, gsoSize) => {
    const frames = await tool.split(gsoType, gsoSize, bytes);
    const packets = await tool.split(gsoType, gsoSize, bytes.subarray(ETHERNET), "ip");
    expect(frames!.length).toBeGreaterThan(1);
    expect(packets).toEqual(frames?.map((frame) => frame.slice(ETHERNET)));
  });

  it("are refused when the bytes are a frame's, or of the other family", async () => {
    const { bytes, gsoType } = superframe();
    expect(await tool.split(gsoType, 1000, bytes, "ip")).toBeUndefined();
    expect(await tool.split(gsoType, 1000, bytes.subarray(ETHERNET))).toBeUndefined();
    const packet = superframe({ family: 6 }).bytes.subarray(ETHERNET);
    expect(await tool.split(gsoType, 1000, packet, "ip")).toBeUndefined();
  });

  it.each([
    ["tcp", 4],
    ["tcp", 6],
    ["udp", 4],
    ["udp", 6],
  ] as const)(
    "are made of what they would be made of in frames, and cut to it again: %s over IPv%i",
    (protocol, family) => {
      const frames = [100, 100, 40].map((payloadLength, i) => {
        const fields = { protocol, family, payloadLength, seq: 1 + 100 * i, id: i, checksum: "full" as const };
        return Uint8Array.from(superframe(fields).bytes);
      });
      const packets = frames.map((frame) => frame.slice(ETHERNET));
      const [whole, ...more] = merge(packets, { kind: "ip" });
      const [inFrame] = merge(frames);
      expect(more).toEqual([]);
      expect(whole).toEqual({
        ...inFrame,
        headerLength: inFrame!.headerLength - ETHERNET,
        csumStart: inFrame!.csumStart - ETHERNET,
        bytes: inFrame!.bytes.slice(ETHERNET),
      });
      expect(whole?.segments).toBe(3);
      expect(split([whole!], "ip")).toEqual(packets);
    },
  );

  it("are made of one flow only", () => {
    const packet = (fields: object): Uint8Array =>
      superframe({ payloadLength: 100, checksum: "full", ...fields }).bytes.slice(ETHERNET);
    const next = { seq: 101, id: 1 };
    const segments = (second: object): number[] =>
      merge([packet({}), packet({ ...next, ...second })], { kind: "ip" }).map((unit) => unit.segments);
    expect(segments({})).toEqual([2]);
    for (const change of [{ srcIp: "192.0.2.9" }, { dstIp: "192.0.2.9" }, { tos: 3 }, { ttl: 9 }, { srcPort: 9 }]) {
      expect(segments(change)).toEqual([1, 1]);
    }
  });
});
