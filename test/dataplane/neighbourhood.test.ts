import { describe, expect, it } from "vitest";
import { FLAG_IPV6, FLAG_VLAN, FRAME_FLAGS } from "../../src/binding/abi.ts";
import { BD_NEIGHBOURS } from "../../src/dataplane/bridge-domain.ts";
import { LINK_COLUMNS, LINK_NEIGHBOUR_ANSWERS, LINK_RX_FRAMES } from "../../src/dataplane/counters.ts";
import { NEIGHBOUR_ROUTER, NEIGHBOUR_STATIC } from "../../src/dataplane/neighbour-table.ts";
import { ANSWER, TELL_L2_MISS, TELL_L3_MISS } from "../../src/dataplane/neighbourhood.ts";
import {
  UPCALL_L2_MISS,
  UPCALL_L3_MISS,
  UPCALL_NEIGHBOUR,
  UPCALL_NEIGHBOUR_IS_HERE,
} from "../../src/dataplane/upcall-ring.ts";
import { arpFrame, MAC_BROADCAST } from "../support/frame-builder.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";
import { neighbourFrame } from "../support/neighbour-frame.ts";

const ASKER = "02:00:00:00:00:0a";
const STATION = "02:00:00:00:00:0b";
const IPV4_WORDS = [0, 0, 0xffff, 0x0a000002] as const;
const IPV6_WORDS = [0xfd00 << 16, 0, 0, 2] as const;
const NODE_GROUP = "33:33:ff:00:00:02";

const request = { operation: "request", senderMac: ASKER, senderIp: "10.0.0.1", targetIp: "10.0.0.2" } as const;
const solicitation = { kind: "solicitation", src: "fd00::1", target: "fd00::2", mac: ASKER } as const;

const setUp = (watch = ANSWER) => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42);
  const remote = vtep.remote(bd, "192.0.2.2", 42);
  vtep.flood(bd, [remote]);
  vtep.tables.bridgeDomains.set(bd, BD_NEIGHBOURS, watch);
  const { neighbours, fdb } = vtep.tables;
  const know = (words: readonly [number, number, number, number], flags = 0) =>
    neighbours.insert(bd, words, ...macWords(STATION), flags, vtep.nowS);
  const locate = () => fdb.setStatic(bd, ...macWords(STATION), remote, 0, vtep.nowS);
  const ask = (frame: Uint8Array, dst: string, flags = 0) => {
    const [sent] = vtep.fromTap({ port, dst, src: ASKER, bytes: frame, words: { [FRAME_FLAGS]: flags } }).run();
    return sent?.to === undefined ? sent?.port : sent.to.address;
  };
  const told = () => {
    const records: number[][] = [];
    vtep.upcalls.drain((record) => records.push([...record.subarray(0, 8)]));
    return records;
  };
  return { vtep, bd, port, know, locate, ask, told, link: (c: number) => vtep.counters.link[bd * LINK_COLUMNS + c] };
};

describe("a question from the overlay", () => {
  it("for a known IPv4 neighbour is answered in place, and no copy leaves", () => {
    const { vtep, port, know, locate, ask, link } = setUp();
    know(IPV4_WORDS);
    locate();
    expect(ask(arpFrame(request), MAC_BROADCAST)).toBe(port);
    expect(vtep.sent).toHaveLength(1);
    const reply = { operation: "reply", senderMac: STATION, senderIp: "10.0.0.2", targetIp: "10.0.0.1" } as const;
    expect(Buffer.from(vtep.bytes(0))).toEqual(Buffer.from(arpFrame({ ...reply, targetMac: ASKER })));
    expect([link(LINK_NEIGHBOUR_ANSWERS), link(LINK_RX_FRAMES)]).toEqual([1, 1]);
  });

  it.each([
    ["a host", 0, 0x60],
    ["a router", NEIGHBOUR_ROUTER, 0xe0],
  ])("for a known IPv6 neighbour, %s, is answered with its flags", (_what, flags, wire) => {
    const { vtep, port, know, locate, ask } = setUp();
    know(IPV6_WORDS, flags | NEIGHBOUR_STATIC);
    locate();
    expect(ask(neighbourFrame(solicitation), NODE_GROUP, FLAG_IPV6)).toBe(port);
    const answer = neighbourFrame({
      kind: "advertisement",
      src: "fd00::2",
      dst: "fd00::1",
      dstMac: ASKER,
      target: "fd00::2",
      mac: STATION,
      flags: wire,
    });
    expect(Buffer.from(vtep.bytes(0)).toString("hex")).toBe(Buffer.from(answer).toString("hex"));
  });

  it("is flooded when the neighbour is not known", () => {
    const { locate, ask } = setUp();
    locate();
    expect(ask(arpFrame(request), MAC_BROADCAST)).toBe("192.0.2.2");
    expect(ask(neighbourFrame(solicitation), NODE_GROUP, FLAG_IPV6)).toBe("192.0.2.2");
  });

  it("is flooded when no VTEP has the neighbour's MAC: it may be on our own side", () => {
    const { know, ask } = setUp();
    know(IPV4_WORDS, NEIGHBOUR_STATIC);
    expect(ask(arpFrame(request), MAC_BROADCAST)).toBe("192.0.2.2");
  });

  it.each([
    ["an ARP probe", arpFrame({ ...request, senderIp: "0.0.0.0" }), MAC_BROADCAST, 0],
    ["an ARP announcement", arpFrame({ ...request, senderIp: "10.0.0.2" }), MAC_BROADCAST, 0],
    ["an ARP reply", arpFrame({ ...request, operation: "reply", dst: MAC_BROADCAST }), MAC_BROADCAST, 0],
    ["a unicast ARP request", arpFrame({ ...request, dst: STATION }), STATION, 0],
    ["a tagged ARP request", arpFrame({ ...request, vlans: [7] }), MAC_BROADCAST, FLAG_VLAN],
    ["a search for a duplicate address", neighbourFrame({ ...solicitation, src: "::" }), NODE_GROUP, FLAG_IPV6],
    ["a unicast solicitation", neighbourFrame({ ...solicitation, dstMac: STATION }), STATION, FLAG_IPV6],
    ["a broken solicitation", neighbourFrame({ ...solicitation, checksum: 1 }), NODE_GROUP, FLAG_IPV6],
  ])("is left to its owner when it is %s", (_what, frame, dst, flags) => {
    const { know, locate, ask } = setUp();
    know(IPV4_WORDS, NEIGHBOUR_STATIC);
    know(IPV6_WORDS, NEIGHBOUR_STATIC);
    locate();
    expect(ask(frame, dst, flags)).toBe("192.0.2.2");
  });

  it("is not looked at in a tunnel that does not answer", () => {
    const { know, locate, ask } = setUp(0);
    know(IPV4_WORDS);
    locate();
    expect(ask(arpFrame(request), MAC_BROADCAST)).toBe("192.0.2.2");
  });

  it("concerns the neighbours of its own tunnel only", () => {
    const { vtep, know, locate } = setUp();
    know(IPV4_WORDS);
    locate();
    const other = vtep.tunnel(43);
    vtep.flood(other.bd, [vtep.remote(other.bd, "192.0.2.3", 43)]);
    vtep.tables.bridgeDomains.set(other.bd, BD_NEIGHBOURS, ANSWER);
    const [sent] = vtep.fromTap({ port: other.port, dst: MAC_BROADCAST, bytes: arpFrame(request) }).run();
    expect(sent?.to?.address).toBe("192.0.2.3");
  });
});

describe("what is heard", () => {
  const MAC_HI = 0x0200;

  it("from the underlay tells the main thread who is where", () => {
    const { vtep, bd, told } = setUp();
    const from = { port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: STATION };
    const reply = arpFrame({ operation: "reply", senderMac: STATION, senderIp: "10.0.0.2", targetIp: "10.0.0.1" });
    const advertisement = { kind: "advertisement", src: "fd00::2", target: "fd00::2", mac: STATION } as const;
    vtep.fromUnderlay({ ...from, bytes: reply });
    vtep.fromUnderlay({ ...from, bytes: neighbourFrame({ ...advertisement, flags: 0x80 }), flags: FLAG_IPV6 });
    vtep.fromUnderlay({
      ...from,
      bytes: neighbourFrame({ ...solicitation, src: "fd00::2", target: "fd00::9", mac: STATION }),
      flags: FLAG_IPV6,
    });
    vtep.run();
    expect(told()).toEqual([
      [UPCALL_NEIGHBOUR, bd, ...IPV4_WORDS, MAC_HI, 0x0b],
      [UPCALL_NEIGHBOUR, bd, ...IPV6_WORDS, MAC_HI | NEIGHBOUR_ROUTER, 0x0b],
      [UPCALL_NEIGHBOUR, bd, ...IPV6_WORDS, MAC_HI, 0x0b],
    ]);
  });

  it("is told again only when it is news or old", () => {
    const { vtep, know, told } = setUp();
    know(IPV4_WORDS);
    const hear = (mac: string): number => {
      const bytes = arpFrame({ operation: "reply", senderMac: mac, senderIp: "10.0.0.2", targetIp: "10.0.0.1" });
      vtep.fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: mac, bytes }).run();
      return told().length;
    };
    expect(hear(STATION)).toBe(0);
    expect(hear("02:00:00:00:00:0c")).toBe(1);
    vtep.nowS += 10;
    expect(hear(STATION)).toBe(1);
  });

  it.each([
    ["a probe has no address", arpFrame({ ...request, senderIp: "0.0.0.0" })],
    ["a group MAC is nobody's", arpFrame({ ...request, senderMac: "01:00:5e:00:00:01" })],
  ])("teaches nothing: %s", (_what, bytes) => {
    const { vtep, told } = setUp();
    vtep.fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: ASKER, bytes }).run();
    expect(told()).toEqual([]);
  });

  it("does not shake a static neighbour", () => {
    const { vtep, know, ask, told } = setUp();
    know(IPV4_WORDS, NEIGHBOUR_STATIC);
    const bytes = arpFrame({ ...request, operation: "reply", senderIp: "10.0.0.2" });
    vtep.fromUnderlay({ port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: ASKER, bytes }).run();
    ask(bytes, STATION);
    expect(told()).toEqual([]);
  });

  it("from a neighbour on our own side tells that it is here", () => {
    const { bd, know, ask, told } = setUp();
    know(IPV4_WORDS);
    ask(arpFrame({ ...request, senderIp: "10.0.0.2" }), MAC_BROADCAST);
    expect(told()).toEqual([[UPCALL_NEIGHBOUR_IS_HERE, bd, ...IPV4_WORDS, 0, 0]]);
  });
});

describe("misses", () => {
  it("tell of unknown MACs and addresses, each once a second", () => {
    const { vtep, bd, ask, told } = setUp(TELL_L2_MISS | TELL_L3_MISS);
    const misses = () => {
      ask(arpFrame(request), MAC_BROADCAST);
      ask(arpFrame(request), STATION);
      return told().map((record) => record.slice(0, record[0] === UPCALL_L2_MISS ? 4 : 6));
    };
    const both = [
      [UPCALL_L3_MISS, bd, ...IPV4_WORDS],
      [UPCALL_L2_MISS, bd, 0x0200, 0x0b],
    ];
    expect(misses()).toEqual(both);
    expect(misses()).toEqual([]);
    vtep.nowS++;
    expect(misses()).toEqual(both);
  });

  it("are not told of unasked", () => {
    const { ask, told } = setUp(ANSWER);
    ask(arpFrame(request), MAC_BROADCAST);
    ask(arpFrame(request), STATION);
    expect(told()).toEqual([]);
  });

  it("of addresses do not answer where only misses are asked for", () => {
    const { know, locate, ask, told } = setUp(TELL_L3_MISS);
    know(IPV4_WORDS);
    locate();
    expect(ask(arpFrame(request), MAC_BROADCAST)).toBe("192.0.2.2");
    expect(told()).toEqual([]);
  });
});
