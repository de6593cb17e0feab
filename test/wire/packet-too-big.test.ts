import { describe, expect, it } from "vitest";
import {
  mayTellTooBig,
  TOO_BIG_BYTES_IPV4,
  TOO_BIG_BYTES_IPV6,
  tooBigBytes,
  writePacketLength,
  writeTooBig,
} from "../../src/wire/packet-too-big.ts";
import { ipBytes, ipPacket, onesComplementSum, pseudoHeaderSum } from "../support/frame-builder.ts";

const V4 = { srcIp: "192.0.2.7", dstIp: "198.51.100.9" };
const V6 = { srcIp: "2001:db8::7", dstIp: "2001:db8:1::9" };
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const IP = 64;

/** Bytes with the packet at IP, everything else poisoned. */
const around = (packet: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(IP + packet.length).fill(0xa5);
  bytes.set(packet, IP);
  return bytes;
};

const may = (packet: Uint8Array, mtu = 1400): boolean => mayTellTooBig(around(packet), IP, IP + packet.length, mtu);

describe("writeTooBig", () => {
  it("makes an ICMP fragmentation needed from the destination (RFC 792, RFC 1191 section 4)", () => {
    const packet = ipPacket(V4, UDP, new Uint8Array(1480).fill(7));
    const bytes = around(packet);
    const length = writeTooBig(bytes, IP, bytes.length, 1346);
    expect(length).toBe(576); // RFC 1812 section 4.3.2.3
    expect(tooBigBytes(bytes, IP)).toBe(TOO_BIG_BYTES_IPV4);
    const answer = Buffer.from(bytes.slice(IP - TOO_BIG_BYTES_IPV4).subarray(0, length));
    expect([answer[0], answer.readUInt16BE(2), answer[8], answer[9]]).toEqual([0x45, 576, 64, ICMP]);
    expect(answer.subarray(12, 20)).toEqual(Buffer.from([...ipBytes(V4.dstIp), ...ipBytes(V4.srcIp)]));
    expect(onesComplementSum(answer.subarray(0, 20))).toBe(0xffff);
    expect([...answer.subarray(20, 22)]).toEqual([3, 4]);
    expect([answer.readUInt16BE(24), answer.readUInt16BE(26)]).toEqual([0, 1346]);
    expect(onesComplementSum(answer.subarray(20))).toBe(0xffff);
    expect(answer.subarray(28)).toEqual(Buffer.from(packet.subarray(0, 576 - 28)));
    expect(bytes.subarray(0, IP - TOO_BIG_BYTES_IPV4).every((byte) => byte === 0xa5)).toBe(true);
  });

  it("makes an ICMPv6 packet too big from the destination (RFC 4443 section 3.2)", () => {
    const packet = ipPacket(V6, UDP, new Uint8Array(1460).fill(7));
    const bytes = around(packet);
    const length = writeTooBig(bytes, IP, bytes.length, 1326);
    expect(length).toBe(1280);
    expect(tooBigBytes(bytes, IP)).toBe(TOO_BIG_BYTES_IPV6);
    const answer = Buffer.from(bytes.slice(IP - TOO_BIG_BYTES_IPV6).subarray(0, length));
    expect([answer.readUInt32BE(0), answer.readUInt16BE(4), answer[6], answer[7]]).toEqual([
      0x60000000,
      1240,
      ICMPV6,
      64,
    ]);
    expect(answer.subarray(8, 40)).toEqual(Buffer.from([...ipBytes(V6.dstIp), ...ipBytes(V6.srcIp)]));
    expect([...answer.subarray(40, 42)]).toEqual([2, 0]);
    expect(answer.readUInt32BE(44)).toBe(1326);
    expect(onesComplementSum(answer.subarray(40), pseudoHeaderSum(V6.srcIp, V6.dstIp, ICMPV6, 1240))).toBe(0xffff);
    expect(answer.subarray(48)).toEqual(Buffer.from(packet.subarray(0, 1280 - 48)));
  });

  it("quotes a short packet whole", () => {
    const bytes = around(ipPacket(V4, UDP, new Uint8Array(100)));
    expect(writeTooBig(bytes, IP, bytes.length, 68)).toBe(28 + 120);
  });
});

describe("writePacketLength", () => {
  it("changes the length and keeps an IPv4 header's checksum right", () => {
    const packet = Buffer.from(ipPacket(V4, UDP, new Uint8Array(3000)));
    writePacketLength(packet, 0, 1500);
    expect(packet.readUInt16BE(2)).toBe(1500);
    expect(onesComplementSum(packet.subarray(0, 20))).toBe(0xffff);
  });

  it("changes the payload length of IPv6", () => {
    const packet = Buffer.from(ipPacket(V6, UDP, new Uint8Array(3000)));
    writePacketLength(packet, 0, 1500);
    expect(packet.readUInt16BE(4)).toBe(1460);
  });
});

describe("mayTellTooBig", () => {
  const payload = new Uint8Array(1400);
  const icmp = (type: number): Uint8Array => Uint8Array.from([type, 0, 0, 0, 0, 0, 0, 0]);

  it.each<[string, Uint8Array, number]>([
    ["UDP", ipPacket(V4, UDP, payload), 1400],
    ["UDP over IPv6", ipPacket(V6, UDP, payload), 1400],
    ["an echo request", ipPacket(V4, ICMP, icmp(8)), 1400],
    ["an echo request over IPv6", ipPacket(V6, ICMPV6, icmp(128)), 1400],
    [
      "an echo request behind an extension header",
      ipPacket(V6, 60, Uint8Array.of(ICMPV6, 0, 1, 4, 0, 0, 0, 0, 128)),
      1400,
    ],
    ["a later IPv6 fragment", ipPacket(V6, 44, Uint8Array.of(ICMPV6, 0, 0, 8, 0, 0, 0, 1, 1)), 1400],
    ["the least MTU of IPv4", ipPacket(V4, UDP, payload), 68],
    ["the least MTU of IPv6", ipPacket(V6, UDP, payload), 1280],
  ])("is true for %s", (_what, packet, mtu) => {
    expect(may(packet, mtu)).toBe(true);
  });

  it.each<[string, Uint8Array, number]>([
    ["what may be fragmented", ipPacket({ ...V4, dontFragment: false }, UDP, payload), 1400],
    [
      "a later fragment",
      ipPacket({ ...V4, dontFragment: true, fragment: { offset: 1480, more: false } }, UDP, payload),
      1400,
    ],
    ["an MTU below the least of IPv4", ipPacket(V4, UDP, payload), 67],
    ["an MTU below the least of IPv6", ipPacket(V6, UDP, payload), 1279],
    ["a multicast destination", ipPacket({ ...V4, dstIp: "239.1.1.1" }, UDP, payload), 1400],
    ["a broadcast destination", ipPacket({ ...V4, dstIp: "255.255.255.255" }, UDP, payload), 1400],
    ["a sender without an address", ipPacket({ ...V4, srcIp: "0.0.0.0" }, UDP, payload), 1400],
    ["a loopback sender", ipPacket({ ...V4, srcIp: "127.0.0.1" }, UDP, payload), 1400],
    ["a multicast destination over IPv6", ipPacket({ ...V6, dstIp: "ff02::1" }, UDP, payload), 1400],
    ["a sender without an address over IPv6", ipPacket({ ...V6, srcIp: "::" }, UDP, payload), 1400],
    ["a loopback sender over IPv6", ipPacket({ ...V6, srcIp: "::1" }, UDP, payload), 1400],
    ...[3, 4, 5, 11, 12].map(
      (type) => [`ICMP error ${type}`, ipPacket(V4, ICMP, icmp(type)), 1400] as [string, Uint8Array, number],
    ),
    ...[1, 2, 3, 4, 137].map(
      (type) => [`ICMPv6 error ${type}`, ipPacket(V6, ICMPV6, icmp(type)), 1400] as [string, Uint8Array, number],
    ),
    ["an error behind an extension header", ipPacket(V6, 60, Uint8Array.of(ICMPV6, 0, 1, 4, 0, 0, 0, 0, 1)), 1400],
    ["an extension header that is cut", ipPacket(V6, 60, Uint8Array.of(ICMPV6, 0, 1)), 1400],
    ["ICMP without its type", ipPacket(V4, ICMP, new Uint8Array(0)), 1400],
  ])("is false for %s", (_what, packet, mtu) => {
    expect(may(packet, mtu)).toBe(false);
  });

  it("reads nothing behind the end, whatever the bytes (fuzz)", () => {
    const bytes = new Uint8Array(200);
    for (let round = 0; round < 20_000; round++) {
      for (let i = 0; i < bytes.length; i++) bytes[i] = Math.random() * 256;
      bytes[0] = Math.random() < 0.5 ? 0x45 : 0x60;
      const end = 40 + Math.floor(Math.random() * 160);
      expect(typeof mayTellTooBig(bytes, 0, end, 1400)).toBe("boolean");
    }
  });
});
