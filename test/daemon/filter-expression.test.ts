/** A capture's filter, from its words to what passes. */
import { describe, expect, it } from "vitest";
import { compileFilter } from "../../src/daemon/filter-expression.ts";
import { type CaptureContext, INBOUND, OUTBOUND, passes } from "../../src/dataplane/capture-filter.ts";
import { PacketFields } from "../../src/dataplane/packet-fields.ts";
import { UNKNOWN_VTEP } from "../../src/drop-reason.ts";
import {
  arpFrame,
  ETHERTYPE_IPV4,
  ethernetFrame,
  ipPacket,
  MAC_A,
  MAC_B,
  MAC_BROADCAST,
  tcpFrame,
  udpFrame,
} from "../support/frame-builder.ts";

const flow = { src: MAC_A, dst: MAC_B, srcIp: "10.0.0.1", dstIp: "10.0.1.2" };
const FRAMES: Readonly<Record<string, Uint8Array>> = {
  tcp: tcpFrame({ ...flow, srcPort: 1000, dstPort: 80 }),
  udp: udpFrame({ ...flow, srcPort: 5353, dstPort: 53 }),
  tcp6: tcpFrame({ ...flow, srcIp: "fd00::1", dstIp: "fd00:1::2", srcPort: 22, dstPort: 9 }),
  arp: arpFrame({ operation: "request", senderMac: MAC_A, senderIp: "10.0.0.1", targetIp: "10.0.0.9" }),
  icmp: ethernetFrame(
    { dst: MAC_BROADCAST, src: MAC_A, etherType: ETHERTYPE_IPV4 },
    ipPacket({ srcIp: "10.0.0.1", dstIp: "10.0.0.255" }, 1, "ping"),
  ),
  tagged: udpFrame({ ...flow, vlans: [7], srcPort: 1, dstPort: 2 }),
};

const context = (more: Partial<CaptureContext> = {}): CaptureContext => ({
  direction: OUTBOUND,
  reason: 0,
  bd: 1,
  hasOuter: false,
  outer: new Int32Array(8),
  ...more,
});

const takes = (filter: string, bytes: Uint8Array, more: Partial<CaptureContext> = {}, isPacket = false): boolean => {
  const fields = new PacketFields();
  fields.read(bytes, 0, bytes.length, bytes.length, isPacket);
  return passes(
    compileFilter(filter, (vni) => (vni === 42 ? [1, 2] : [])),
    fields.words,
    context(more),
  );
};

const taken = (filter: string, more?: Partial<CaptureContext>): string =>
  Object.keys(FRAMES)
    .filter((name) => takes(filter, FRAMES[name]!, more))
    .join(" ");

const ALL = Object.keys(FRAMES).join(" ");

describe("a capture filter", () => {
  it.each([
    ["", ALL],
    ["tcp", "tcp tcp6"],
    ["udp", "udp tagged"],
    ["ip", "tcp udp icmp tagged"],
    ["ip6", "tcp6"],
    ["arp", "arp"],
    ["icmp", "icmp"],
    ["proto 1", "icmp"],
    ["port 80", "tcp"],
    ["src port 80", ""],
    ["dst port 80 or src port 5353", "tcp udp"],
    ["portrange 50-100", "tcp udp"],
    ["host 10.0.0.1", "tcp udp arp icmp tagged"],
    ["10.0.0.9", "arp"],
    ["src host 10.0.1.2", ""],
    ["dst 10.0.1.2", "tcp udp tagged"],
    ["net 10.0.0.0/24 and not arp", "tcp udp icmp tagged"],
    ["dst net 10.0.1.0/24", "tcp udp tagged"],
    ["net fd00:1::/32", "tcp6"],
    ["host fd00::1", "tcp6"],
    ["net 0.0.0.0/0", "tcp udp arp icmp tagged"],
    [`ether src ${MAC_A}`, ALL],
    [`ether dst host ${MAC_B}`, "tcp udp tcp6 tagged"],
    ["ether broadcast", "arp icmp"],
    ["multicast", "arp icmp"],
    ["ether proto 0x806", "arp"],
    ["vlan", "tagged"],
    ["vlan 7 and udp", "tagged"],
    ["vlan 8", ""],
    ["vni 42", ALL],
    ["vni 43", ""],
    ["in", ""],
    ["outbound", ALL],
    ["drop", ""],
    ["not (tcp or udp) && !arp", "icmp"],
    ["tcp or udp and port 53", "tcp udp tcp6"],
    ["(tcp or udp) and port 53", "udp"],
    ["tcp port 80 or udp dst port 53", "tcp udp"],
    ["ip host 10.0.1.2 and not udp", "tcp"],
    ["not not tcp", "tcp tcp6"],
    ["greater 10 and less 20000", ALL],
    ["outer host 192.0.2.1", ""],
  ])("%s: %s", (filter, expected) => {
    expect(taken(filter)).toBe(expected);
  });

  it("knows directions, drop reasons and outer addresses", () => {
    expect(taken("in", { direction: INBOUND })).toBe(ALL);
    expect(taken("drop", { reason: UNKNOWN_VTEP })).toBe(ALL);
    expect(taken("drop unknown_vtep", { reason: UNKNOWN_VTEP })).toBe(ALL);
    expect(taken("drop pkt_too_big or drop UNKNOWN_VTEP and arp", { reason: UNKNOWN_VTEP })).toBe("arp");
    expect(taken("drop pkt_too_big", { reason: UNKNOWN_VTEP })).toBe("");
    const outer = Int32Array.of(0, 0, 0xffff, 0xc0000201 | 0, 0, 0, 0xffff, 0xc0000202 | 0);
    expect(taken("outer src 192.0.2.1 and outer dst net 192.0.2.0/30", { hasOuter: true, outer })).toBe(ALL);
    expect(taken("outer src 192.0.2.2", { hasOuter: true, outer })).toBe("");
  });

  it("reads packets without Ethernet header, and cut ones", () => {
    const packet = FRAMES["tcp6"]!.subarray(14);
    expect(takes("ip6 and tcp port 22", packet, {}, true)).toBe(true);
    expect(takes("ether broadcast or vlan", packet, {}, true)).toBe(false);
    for (let length = 0; length < 60; length++) {
      expect(takes("tcp and port 80", FRAMES["tcp"]!.subarray(0, length))).toBe(length >= 38);
    }
  });

  it.each([
    ["tcq", /filter: expected an address, ip, .* got "tcq"/],
    ["tcp and", /filter: expected .* behind "tcp and", got the end/],
    ["host", /got the end/],
    ["port 70000", /expected a port, 0 to 65535 behind "port", got "70000"/],
    ["net 10.0.0.0/33", /expected a prefix of 0 to 32 bits/],
    ["(tcp", /expected \) behind "\( tcp", got the end/],
    ["tcp udp", /expected and, or or the end behind "tcp", got "udp"/],
    ["drop unknown", /expected a drop reason/],
    ["ether src 1:2", /expected a MAC address/],
    ["portrange 5-1", /expected ports as 1000-2000/],
    [Array.from({ length: 300 }, () => "tcp").join(" or "), /expected at most 256 tests, got 300/],
    ["(".repeat(900), /expected an address/],
  ])("refuses %s", (filter, message) => {
    expect(() => compileFilter(filter, () => [])).toThrow(message);
  });
});
