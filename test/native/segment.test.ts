/** How the addon splits superframes: each rule by itself, then all of them on random superframes, then on garbage. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OffloadTool } from "./offload-tool.ts";
import { mistakesOf, parseFrame } from "./parsed-frame.ts";
import {
  GSO_ACCECN,
  GSO_ECN,
  GSO_TCPV4,
  GSO_TCPV6,
  GSO_UDP_L4,
  SUPERFRAMES,
  type Superframe,
  superframe,
  superframeArbitrary,
  TCP_CWR,
  TCP_FIN,
  TCP_PSH,
} from "./superframes.ts";

let tool: OffloadTool;
beforeAll(() => {
  tool = new OffloadTool();
});
afterAll(() => tool.close());

const ACK = 0x10;

const split = async ({ gsoType, bytes }: Superframe, gsoSize = 1000): Promise<Uint8Array[]> => {
  const segments = await tool.split(gsoType, gsoSize, bytes);
  if (segments === undefined) throw new Error("refused");
  return segments;
};

const isRefused = async (bytes: Uint8Array, gsoType = GSO_TCPV4, gsoSize = 1000): Promise<boolean> =>
  (await tool.split(gsoType, gsoSize, bytes)) === undefined;

/** With `value` at `offset`. */
const changed = ({ bytes }: Superframe, offset: number, value: number): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  copy[offset] = value;
  return copy;
};

/** An IPv4 header without the last 4 bytes, and all the rest in order. */
const shortIpv4Header = ({ bytes }: Superframe): Uint8Array => {
  const copy = Buffer.concat([bytes.subarray(0, 30), bytes.subarray(34)]);
  copy[14] = 0x44;
  copy.writeUInt16BE(copy.length - 14, 16);
  return copy;
};

/** Cut, and the packet's length right for it. */
const cut = ({ bytes, ipOffset }: Superframe, length: number): Uint8Array => {
  const copy = Buffer.from(bytes.subarray(0, length));
  if (copy[ipOffset]! >> 4 === 4) copy.writeUInt16BE(length - ipOffset, ipOffset + 2);
  else copy.writeUInt16BE(length - ipOffset - 40, ipOffset + 4);
  return copy;
};

/** The header with zeros where segments differ: [offset, bytes] pairs. */
const without = (header: Buffer, fields: readonly (readonly [number, number])[]): string => {
  const copy = Buffer.from(header);
  for (const [offset, length] of fields) copy.fill(0, offset, offset + length);
  return copy.toString("hex");
};

const constantsOf = (frame: Uint8Array): string[] => {
  const { ethernet, ip, transport, isIpv6, protocol } = parseFrame(frame);
  return [
    ethernet.toString("hex"),
    without(
      ip,
      isIpv6
        ? [[4, 2]]
        : [
            [2, 4],
            [10, 2],
          ],
    ),
    without(
      transport,
      protocol === 17
        ? [[4, 4]]
        : [
            [4, 4],
            [13, 1],
            [16, 2],
          ],
    ),
  ];
};

/** Everything that holds for the segments of any superframe, but for the TCP flags. */
const expectSegmentsOf = (original: Superframe, gsoSize: number, segments: readonly Uint8Array[]): void => {
  const whole = parseFrame(original.bytes);
  const parts = segments.map(parseFrame);
  expect(segments.flatMap(mistakesOf)).toEqual([]);
  expect(Buffer.concat(parts.map(({ payload }) => payload)).equals(whole.payload)).toBe(true);
  const lengths = parts.map(({ payload }) => payload.length);
  expect(lengths.slice(0, -1).every((length) => length === gsoSize)).toBe(true);
  expect(lengths.at(-1)).toBeLessThanOrEqual(gsoSize);
  for (const segment of segments) expect(constantsOf(segment)).toEqual(constantsOf(original.bytes));
  parts.forEach(({ ip, transport, isIpv6, protocol }, i) => {
    if (!isIpv6) expect(ip.readUInt16BE(4)).toBe((whole.ip.readUInt16BE(4) + i) % 0x10000);
    if (protocol === 6) {
      expect(transport.readUInt32BE(4)).toBe((whole.transport.readUInt32BE(4) + i * gsoSize) % 2 ** 32);
    }
  });
};

const flagsOf = (segments: readonly Uint8Array[]): number[] =>
  segments.map((segment) => parseFrame(segment).transport[13]!);

describe("segments", () => {
  it.each(SUPERFRAMES)("of %s: headers, lengths, checksums and payloads are right", async (_, original, gsoSize) => {
    const segments = await split(original, gsoSize);
    expect(segments).toHaveLength(Math.ceil((original.bytes.length - original.headerLength) / gsoSize));
    expectSegmentsOf(original, gsoSize, segments);
  });

  it("number the IPv4 ids on, modulo 2^16", async () => {
    const segments = await split(superframe({ id: 0xfffe, payloadLength: 4000 }));
    expect(segments.map((segment) => parseFrame(segment).ip.readUInt16BE(4))).toEqual([0xfffe, 0xffff, 0, 1]);
  });

  it("carry sequence numbers of their first byte, modulo 2^32", async () => {
    const segments = await split(superframe({ seq: 0xfffffc00 }));
    const numbers = segments.map((segment) => parseFrame(segment).transport.readUInt32BE(4));
    expect(numbers).toEqual([0xfffffc00, 0xffffffe8, 0x3d0]);
  });

  it("have FIN and PSH only on the last, CWR only on the first", async () => {
    const flags = ACK | TCP_FIN | TCP_PSH | TCP_CWR;
    const expected = [ACK | TCP_CWR, ACK, ACK | TCP_FIN | TCP_PSH];
    expect(flagsOf(await split(superframe({ flags, gsoBits: GSO_ECN })))).toEqual(expected);
    expect(flagsOf(await split(superframe({ flags })))).toEqual(expected);
    expect(flagsOf(await split(superframe({ flags, family: 6, gsoBits: GSO_ECN })))).toEqual(expected);
  });

  it("all keep CWR when the sender counts it (Accurate ECN), ECE and the AE bit in any case", async () => {
    const flags = ACK | TCP_CWR | 0x40;
    expect(flagsOf(await split(superframe({ flags, gsoBits: GSO_ACCECN })))).toEqual([flags, flags, flags]);
    expect(flagsOf(await split(superframe({ flags: ACK | 0x40 })))).toEqual([ACK | 0x40, ACK | 0x40, ACK | 0x40]);
    const original = superframe();
    const segments = await split({ ...original, bytes: changed(original, original.transportOffset + 12, 0x51) });
    expect(segments.map((segment) => parseFrame(segment).transport[12])).toEqual([0x51, 0x51, 0x51]);
  });

  it("keep a UDP checksum of zero apart from none (RFC 768)", async () => {
    const original = superframe({ protocol: "udp", payload: new Uint8Array(3000) });
    const [first] = await split(original);
    // The word that makes the first segment's sum 0xffff, and so its checksum zero.
    original.bytes.set(parseFrame(first!).transport.subarray(6, 8), original.headerLength);
    const segments = await split(original);
    expect(parseFrame(segments[0]!).transport.readUInt16BE(6)).toBe(0xffff);
    expectSegmentsOf(original, 1000, segments);
  });

  it("do not depend on what the superframe has in its checksum fields", async () => {
    const original = superframe();
    const expected = await split(original);
    for (const offset of [original.ipOffset + 10, original.transportOffset + 16]) {
      expect(await split({ ...original, bytes: changed(original, offset, 0x5a) })).toEqual(expected);
    }
  });

  it("behind a routing header keep the destination that the sender's sum stands for (RFC 8200 section 8.1)", async () => {
    const last = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    const routing = { type: 43, bytes: [0, 2, 2, 1, 0, 0, 0, 0, ...last] };
    const original = superframe({ family: 6, ipv6Extensions: [routing], dstIp: "2001:db8::9" });
    const segments = await split(original);
    for (const segment of segments) expect(mistakesOf(segment)).toEqual([]);
    // On its way the packet is addressed to a router, and the sum still is for the last destination.
    const routed = changed(original, original.ipOffset + 39, 7);
    for (const segment of await split({ ...original, bytes: routed })) {
      segment[original.ipOffset + 39] = 9;
      expect(mistakesOf(segment)).toEqual([]);
    }
  });

  it("are one, and the frame completed, when the payload is not longer than the segment size", async () => {
    for (const payloadLength of [0, 1, 999, 1000]) {
      const original = superframe({ payloadLength, flags: ACK | TCP_FIN | TCP_PSH | TCP_CWR });
      const segments = await split(original);
      expect(segments).toHaveLength(1);
      expectSegmentsOf(original, 1000, segments);
      expect(flagsOf(segments)).toEqual([ACK | TCP_FIN | TCP_PSH | TCP_CWR]);
    }
  });

  it("may be of one byte each", async () => {
    const original = superframe({ payloadLength: 2000 });
    const segments = await split(original, 1);
    expect(segments).toHaveLength(2000);
    expectSegmentsOf(original, 1, segments);
  });

  it("of random superframes are right", async () => {
    const property = fc.asyncProperty(
      superframeArbitrary,
      fc.integer({ min: 20, max: 2000 }),
      async (frame, gsoSize) => {
        expectSegmentsOf(frame, gsoSize, await split(frame, gsoSize));
      },
    );
    await fc.assert(property, { numRuns: 300 });
  });
});

describe("refused", () => {
  const ipv4 = superframe();
  const ipv6 = superframe({ family: 6 });
  const udp = superframe({ protocol: "udp" });
  const extension = superframe({ family: 6, ipv6Extensions: [{ type: 60, bytes: [0, 0, 1, 4, 0, 0, 0, 0] }] });
  const manyExtensions = (length: number): Superframe =>
    superframe({
      family: 6,
      ipv6Extensions: Array.from({ length }, () => ({ type: 60, bytes: [0, 0, 1, 4, 0, 0, 0, 0] })),
    });
  const fragment = { type: 44, bytes: [0, 0, 0, 1, 0, 0, 0, 0] };

  const cases: [string, Uint8Array, gsoType?: number][] = [
    ["SYN", superframe({ flags: 0x12 }).bytes],
    ["RST", superframe({ flags: 0x14 }).bytes],
    ["URG", superframe({ flags: 0x30 }).bytes],
    ["an IPv4 packet with more fragments", changed(ipv4, 20, 0x20)],
    ["a later IPv4 fragment", changed(ipv4, 21, 1)],
    ["an IPv6 fragment", superframe({ family: 6, ipv6Extensions: [fragment] }).bytes, GSO_TCPV6],
    ["TCP over IPv4 that is said to be TCP over IPv6", ipv4.bytes, GSO_TCPV6],
    ["TCP over IPv6 that is said to be TCP over IPv4", ipv6.bytes, GSO_TCPV4],
    ["TCP that is said to be UDP", ipv4.bytes, GSO_UDP_L4],
    ["UDP that is said to be TCP", udp.bytes, GSO_TCPV4],
    ["another protocol", changed(ipv4, 23, 47)],
    ["an IPv6 packet of another protocol", changed(ipv6, 20, 51), GSO_TCPV6],
    ["no type", ipv4.bytes, 0],
    ["the old fragmenting UDP offload", udp.bytes, 3],
    ["a tunnel bit", ipv4.bytes, GSO_TCPV4 | 0x20],
    ["another Ethernet type", changed(ipv4, 13, 6)],
    ["three VLAN tags", superframe({ vlans: [1, 2, 3] }).bytes],
    ["IPv4 whose version is 6", changed(ipv4, 14, 0x65)],
    ["IPv6 whose version is 4", changed(ipv6, 14, 0x40), GSO_TCPV6],
    ["an IPv4 header of 16 bytes", shortIpv4Header(ipv4)],
    ["an IPv4 packet longer than the frame", changed(ipv4, 16, 0xff)],
    ["an IPv4 packet shorter than the frame", changed(ipv4, 17, ipv4.bytes[17]! - 1)],
    ["an IPv6 packet longer than the frame", changed(ipv6, 19, ipv6.bytes[19]! + 1), GSO_TCPV6],
    ["an IPv6 packet shorter than the frame", changed(ipv6, 19, ipv6.bytes[19]! - 1), GSO_TCPV6],
    ["bytes behind the packet", Uint8Array.of(...ipv4.bytes, 0)],
    ["a TCP header of 16 bytes", changed(ipv4, ipv4.transportOffset + 12, 0x40)],
    ["a TCP header longer than the packet", changed(superframe({ payloadLength: 3 }), 34 + 12, 0x60)],
    ["UDP whose length is not the packet's", changed(udp, udp.transportOffset + 5, 7), GSO_UDP_L4],
    ["an extension header that ends behind the packet", changed(extension, 14 + 41, 0xff), GSO_TCPV6],
    ["headers of more than 256 bytes", manyExtensions(23).bytes, GSO_TCPV6],
  ];
  it.each(cases)("is %s", async (_, bytes, gsoType = GSO_TCPV4) => {
    expect(await isRefused(bytes, gsoType)).toBe(true);
  });

  it("is nothing that the cases start from", async () => {
    for (const { bytes, gsoType } of [ipv4, ipv6, udp, extension, manyExtensions(22)])
      expect(await isRefused(bytes, gsoType)).toBe(false);
  });

  it("is a segment size of zero", async () => {
    expect(await isRefused(ipv4.bytes, GSO_TCPV4, 0)).toBe(true);
  });

  it("is every superframe that is cut, wherever", async () => {
    for (const [, { bytes, gsoType, headerLength }] of SUPERFRAMES) {
      const lengths = Array.from({ length: headerLength + 2 }, (_, length) => length);
      const answers = await Promise.all(lengths.map((length) => isRefused(bytes.subarray(0, length), gsoType)));
      expect(answers.indexOf(false)).toBe(-1);
    }
  });

  it("is every packet that ends in its TCP or UDP header", async () => {
    for (const [, original] of SUPERFRAMES) {
      const { gsoType, transportOffset, headerLength } = original;
      const lengths = Array.from({ length: headerLength - transportOffset }, (_, i) => transportOffset + i);
      const answers = await Promise.all(lengths.map((length) => isRefused(cut(original, length), gsoType)));
      expect(answers.indexOf(false)).toBe(-1);
    }
  });
});

describe("garbage", () => {
  const types = fc.constantFrom(GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4);

  it("does no harm", async () => {
    const property = fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), types, async (bytes, gsoType) => {
      expect(await isRefused(bytes, gsoType)).toBe(true);
    });
    await fc.assert(property, { numRuns: 300 });
  });

  it("in the headers of a superframe gives a refusal or the whole payload", async () => {
    const start = fc.constantFrom(...SUPERFRAMES.map(([, frame]) => frame).filter(({ bytes }) => bytes.length < 4000));
    const changes = fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { minLength: 1, maxLength: 4 });
    let isSplit = 0;
    const property = fc.asyncProperty(start, changes, types, async (original, places, otherType) => {
      const bytes = Uint8Array.from(original.bytes);
      for (const [offset, value] of places) bytes[offset] = value;
      for (const gsoType of [original.gsoType, otherType]) {
        const segments = await tool.split(gsoType, 500, bytes);
        if (segments === undefined) continue;
        isSplit++;
        const payloads = segments.map((segment) => parseFrame(segment).payload);
        expect(Buffer.concat(payloads).equals(parseFrame(bytes).payload)).toBe(true);
      }
    });
    await fc.assert(property, { numRuns: 400 });
    expect(isSplit).toBeGreaterThan(0);
  });
});
