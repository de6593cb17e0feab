import { describe, expect, it } from "vitest";
import { PROTOCOL_GRE, PROTOCOL_UDP, underlayHeaderBytes, underlayHeaders } from "../../src/wire/underlay-headers.ts";

const COMMON = {
  dstMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  srcMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  src: Uint8Array.of(192, 0, 2, 1),
  dst: Uint8Array.of(192, 0, 2, 2),
  ttl: 65,
};

/** Ethernet, IPv4. */
const beforeProtocol = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 65];

describe("underlay headers (RFC 791, RFC 768)", () => {
  it("are written whole, with zeros for what differs from packet to packet", () => {
    const bytes = underlayHeaders({ ...COMMON, protocol: PROTOCOL_UDP, dstPort: 4789 });
    expect([...bytes]).toEqual([
      ...[...beforeProtocol, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
      ...[0, 0, 0x12, 0xb5, 0, 0, 0, 0],
    ]);
    expect(underlayHeaderBytes(PROTOCOL_UDP)).toBe(bytes.length);
  });

  it("end with the IPv4 header where the tunnel header follows that", () => {
    const bytes = underlayHeaders({ ...COMMON, protocol: PROTOCOL_GRE, dstPort: 0 });
    expect([...bytes]).toEqual([...beforeProtocol, 47, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    expect(underlayHeaderBytes(PROTOCOL_GRE)).toBe(bytes.length);
  });
});
