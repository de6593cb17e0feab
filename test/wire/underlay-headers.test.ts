import { describe, expect, it } from "vitest";
import { UNDERLAY_HEADER_BYTES, writeUnderlayHeaders } from "../../src/wire/underlay-headers.ts";

describe("underlay headers (RFC 791, RFC 768)", () => {
  it("are written whole, with zeros for what differs from packet to packet", () => {
    const bytes = new Uint8Array(UNDERLAY_HEADER_BYTES + 4).fill(0xa5);
    writeUnderlayHeaders(bytes, 2, {
      dstMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
      srcMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
      src: Uint8Array.of(192, 0, 2, 1),
      dst: Uint8Array.of(192, 0, 2, 2),
      dstPort: 4789,
      ttl: 65,
    });
    expect([...bytes]).toEqual([
      ...[0xa5, 0xa5],
      ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0],
      ...[0x45, 0, 0, 0, 0, 0, 0, 0, 65, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
      ...[0, 0, 0x12, 0xb5, 0, 0, 0, 0],
      ...[0xa5, 0xa5],
    ]);
  });
});
