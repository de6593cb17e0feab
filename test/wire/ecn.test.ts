import { describe, expect, it } from "vitest";
import { IP_TUNNEL_ECN, NOT_DROPPED } from "../../src/drop-reason.ts";
import { decapsulateEcn } from "../../src/wire/ecn.ts";
import { onesComplementSum } from "../support/frame-builder.ts";

const [NOT_ECT, ECT_1, ECT_0, CE] = [0, 1, 2, 3];
const DROP = "drop";

/** RFC 6040 figure 4: inner by row, outer by column; what leaves, or that nothing does. */
const TABLE = [
  [NOT_ECT, [NOT_ECT, NOT_ECT, NOT_ECT, DROP]],
  [ECT_1, [ECT_1, ECT_1, ECT_1, CE]],
  [ECT_0, [ECT_0, ECT_1, ECT_0, CE]],
  [CE, [CE, CE, CE, CE]],
] as const;

const cases = TABLE.flatMap(([inner, row]) => row.map((result, outer) => ({ inner, outer, result })));

/** At an odd place, with a DSCP. */
const ipv4 = (ecn: number): Uint8Array => {
  const packet = Uint8Array.of(0, 0x45, 0xb8 | ecn, 0, 84, 0x12, 0x34, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2);
  const sum = ~onesComplementSum(packet.subarray(1)) & 0xffff;
  packet.set([sum >> 8, sum & 255], 11);
  return packet;
};
const ipv6 = (ecn: number): Uint8Array => Uint8Array.of(0, 0x6b, 0x80 | (ecn << 4) | 0xf, 0xff, 0xff);

describe("decapsulateEcn is RFC 6040's table", () => {
  it.each(cases)("IPv4: inner $inner, outer $outer -> $result", ({ inner, outer, result }) => {
    const packet = ipv4(inner);
    expect(decapsulateEcn(packet, 1, inner, outer)).toBe(result === DROP ? IP_TUNNEL_ECN : NOT_DROPPED);
    expect(packet[2]).toBe(0xb8 | (result === DROP ? inner : result));
    expect(onesComplementSum(packet.subarray(1))).toBe(0xffff);
  });

  it.each(cases)("IPv6: inner $inner, outer $outer -> $result", ({ inner, outer, result }) => {
    const packet = ipv6(inner);
    expect(decapsulateEcn(packet, 1, inner, outer)).toBe(result === DROP ? IP_TUNNEL_ECN : NOT_DROPPED);
    expect(packet).toEqual(ipv6(result === DROP ? inner : result));
  });
});
