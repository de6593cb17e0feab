import { describe, expect, it } from "vitest";
import {
  arpFrame,
  ipPacket,
  MAC_A,
  MAC_B,
  onesComplementSum,
  pseudoHeaderSum,
  TCP_SYN,
  tcpFrame,
  udpFrame,
  vxlanDatagram,
} from "./frame-builder.ts";

const flow4 = { dst: MAC_B, src: MAC_A, srcIp: "198.51.100.1", dstIp: "198.51.100.2", srcPort: 4000, dstPort: 5000 };
const flow6 = { ...flow4, srcIp: "2001:db8::1", dstIp: "2001:db8::2" };
const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

/** A receiver's check: pseudo header and segment, checksum included, sum up to all ones. */
const verify = (flow: typeof flow4, protocol: number, segment: Uint8Array): boolean =>
  onesComplementSum(segment, pseudoHeaderSum(flow.srcIp, flow.dstIp, protocol, segment.length)) === 0xffff;

describe("frame builder", () => {
  it("sums as the example of RFC 1071 section 3", () => {
    expect(onesComplementSum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7))).toBe(0xddf2);
  });

  it("writes an ARP request byte for byte", () => {
    const frame = arpFrame({
      operation: "request",
      senderMac: MAC_A,
      senderIp: "198.51.100.1",
      targetIp: "198.51.100.2",
    });
    expect(hex(frame)).toBe("ffffffffffff02000000000a0806000108000604000102000000000ac6336401000000000000c6336402");
  });

  it("writes an IPv4 header whose checksum a receiver accepts", () => {
    const packet = ipPacket({ ...flow4, tos: 3, id: 0x1234, ttl: 9 }, 17, "abc");
    expect(hex(packet.subarray(0, 10))).toBe("45030017123440000911");
    expect(onesComplementSum(packet.subarray(0, 20))).toBe(0xffff);
  });

  it("writes TCP and UDP checksums that a receiver accepts, over IPv4 and IPv6, odd lengths too", () => {
    for (const [flow, ipEnd] of [
      [flow4, 34],
      [flow6, 54],
    ] as const) {
      for (const payload of ["", "odd", "even"]) {
        expect(verify(flow, 17, udpFrame({ ...flow, payload }).subarray(ipEnd))).toBe(true);
        const options = Uint8Array.of(2, 4, 5, 0xb4);
        expect(verify(flow, 6, tcpFrame({ ...flow, payload, options, flags: TCP_SYN }).subarray(ipEnd))).toBe(true);
      }
    }
  });

  it("leaves only the pseudo-header sum in a partial checksum, and nothing in a zero one", () => {
    const partial = Buffer.from(tcpFrame({ ...flow4, payload: "odd", checksum: "partial" }));
    expect(partial.readUInt16BE(34 + 16)).toBe(pseudoHeaderSum(flow4.srcIp, flow4.dstIp, 6, 23));
    expect(Buffer.from(udpFrame({ ...flow4, checksum: "zero" })).readUInt16BE(34 + 6)).toBe(0);
  });

  it("puts tags between the addresses and the type, the outer one 802.1ad", () => {
    expect(hex(udpFrame({ ...flow4, vlans: [7, 9] }).subarray(12, 22))).toBe("88a80007810000090800");
  });

  it("puts flags and VNI into the VXLAN header (RFC 7348 section 5)", () => {
    expect(hex(vxlanDatagram(0x123456, Uint8Array.of(1, 2)))).toBe("08000000123456000102");
  });
});
