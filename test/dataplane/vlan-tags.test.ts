import { describe, expect, it } from "vitest";
import {
  FLAG_IPV4,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FLAG_VLAN,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_SEGMENTS,
  GSO_TCPV4,
} from "../../src/binding/abi.ts";
import { BD_VLAN } from "../../src/dataplane/bridge-domain.ts";
import { DECAP, DROP_COLUMNS, ENCAP, LINK_COLUMNS, LINK_TX_BYTES } from "../../src/dataplane/counters.ts";
import { VLAN_DROP, VLAN_PASS, VLAN_STRIP } from "../../src/dataplane/vlan-tags.ts";
import { DROP_REASON_COLUMNS, PKT_TOO_SMALL, VLAN_TAGGED } from "../../src/drop-reason.ts";
import { MAC_A, MAC_B, MAC_BROADCAST, tcpFrame } from "../support/frame-builder.ts";
import { MemoryVtep } from "../support/memory-io.ts";

const flow = {
  dst: MAC_B,
  src: MAC_A,
  srcIp: "10.42.0.1",
  dstIp: "10.42.0.2",
  srcPort: 1,
  dstPort: 2,
  payload: "hello",
};
const withTags = (...vlans: number[]): Uint8Array => Uint8Array.from(tcpFrame({ ...flow, vlans }));
const ETHERNET = 14;

const setUp = (mode: number) => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42);
  const remotes = ["192.0.2.2", "192.0.2.3"].map((address) => vtep.remote(bd, address, 42));
  vtep.flood(bd, remotes);
  vtep.tables.bridgeDomains.set(bd, BD_VLAN, mode);
  const dropped = (direction: number, reason: number) =>
    vtep.counters.drop[bd * DROP_COLUMNS + direction * DROP_REASON_COLUMNS + reason];
  const word = (index: number): number => vtep.batch.frames[index]!;
  /** The first frame of the last batch, as it would be sent. */
  const bytes = (): Uint8Array => vtep.batch.arena.slice(word(FRAME_OFFSET), word(FRAME_OFFSET) + word(FRAME_LENGTH));
  /** What the addon says of a frame with so many tags. */
  const words = (tags: number): Record<number, number> => {
    const ip = ETHERNET + 4 * tags;
    return {
      [FRAME_FLAGS]: FLAG_IPV4 | FLAG_TCP | FLAG_PARTIAL_CSUM | (tags === 0 ? 0 : FLAG_VLAN),
      [FRAME_HEADERS]: (ip + 40) | (ip << 16),
      [FRAME_CSUM]: (ip + 20) | (16 << 16),
      [FRAME_INNER_IP]: (64 << 8) | (ip << 16),
    };
  };
  const described = (): Record<number, number> =>
    Object.fromEntries([FRAME_FLAGS, FRAME_HEADERS, FRAME_CSUM, FRAME_INNER_IP].map((index) => [index, word(index)]));
  return { vtep, bd, port, dropped, word, bytes, words, described };
};

describe("a VLAN tag from the overlay", () => {
  it("passes untouched by default", () => {
    const { vtep, port, bytes, words, described } = setUp(VLAN_PASS);
    vtep.fromTap({ port, dst: MAC_B, bytes: withTags(10), words: words(1) });
    expect(vtep.run()).toHaveLength(2);
    expect(bytes()).toEqual(withTags(10));
    expect(described()).toEqual(words(1));
  });

  it("makes the frame be dropped and counted where it is to be dropped, and an untagged frame pass", () => {
    const { vtep, port, dropped, words } = setUp(VLAN_DROP);
    vtep.fromTap({ port, dst: MAC_B, bytes: withTags(10), words: words(1) });
    vtep.fromTap({ port, dst: MAC_B, bytes: withTags(), words: words(0) });
    expect(vtep.run().map(({ frame }) => frame)).toEqual([1, 1]);
    expect([dropped(ENCAP, VLAN_TAGGED), dropped(DECAP, VLAN_TAGGED)]).toEqual([1, 0]);
  });

  it("is taken off where it is to be stripped, once for all copies, with all that counts from the frame's start", () => {
    const { vtep, bd, port, bytes, words, described } = setUp(VLAN_STRIP);
    vtep.fromTap({ port, dst: MAC_BROADCAST, bytes: withTags(10), words: words(1) });
    expect(vtep.run().map(({ to }) => to?.address)).toEqual(["192.0.2.2", "192.0.2.3"]);
    expect(bytes()).toEqual(withTags());
    expect(described()).toEqual(words(0));
    expect(vtep.counters.link[bd * LINK_COLUMNS + LINK_TX_BYTES]).toBe(2 * withTags().length);
  });

  it("is the outermost of two, and the other one stays", () => {
    const { vtep, port, bytes, words, described } = setUp(VLAN_STRIP);
    vtep.fromTap({ port, dst: MAC_B, bytes: withTags(20, 10), words: words(2) });
    vtep.run();
    expect(bytes()).toEqual(withTags(10));
    expect(described()).toEqual(words(1));
  });

  it("is taken off a superframe, whose segments are counted without it", () => {
    const { vtep, bd, port, words } = setUp(VLAN_STRIP);
    const superframe = { ...words(1), [FRAME_GSO]: 1000 | (GSO_TCPV4 << 16), [FRAME_SEGMENTS]: 3 };
    vtep.fromTap({ port, dst: MAC_B, length: ETHERNET + 4 + 40 + 2500, words: superframe });
    vtep.run();
    expect(vtep.counters.link[bd * LINK_COLUMNS + LINK_TX_BYTES]).toBe(2 * (3 * (ETHERNET + 40) + 2500));
  });

  it("that is cut short makes the frame too small, not shorter than a header", () => {
    const { vtep, port, dropped } = setUp(VLAN_STRIP);
    vtep.fromTap({ port, dst: MAC_B, length: 17, words: { [FRAME_FLAGS]: FLAG_VLAN } });
    expect(vtep.run()).toHaveLength(0);
    expect(dropped(ENCAP, PKT_TOO_SMALL)).toBe(1);
  });

  it("leaves the other words zero where there is no IP", () => {
    const { vtep, port, described } = setUp(VLAN_STRIP);
    vtep.fromTap({ port, dst: MAC_B, length: 64, words: { [FRAME_FLAGS]: FLAG_VLAN } });
    vtep.run();
    expect(described()).toEqual({ [FRAME_FLAGS]: 0, [FRAME_HEADERS]: 0, [FRAME_CSUM]: 0, [FRAME_INNER_IP]: 0 });
  });
});

describe("a VLAN tag from the underlay", () => {
  const frame = { from: "192.0.2.2", vni: 42, src: MAC_A, flags: FLAG_IPV4 | FLAG_TCP | FLAG_VLAN };

  it("is taken off, or makes the frame be dropped and its source not be learned", () => {
    const strip = setUp(VLAN_STRIP);
    strip.vtep.fromUnderlay({ ...frame, port: strip.vtep.rxPort, bytes: withTags(10) });
    expect(strip.vtep.run()).toEqual([{ port: strip.port, frame: 0 }]);
    expect(strip.bytes()).toEqual(withTags());

    const drop = setUp(VLAN_DROP);
    drop.vtep.fromUnderlay({ ...frame, port: drop.vtep.rxPort, bytes: withTags(10) });
    expect(drop.vtep.run()).toEqual([]);
    expect(drop.dropped(DECAP, VLAN_TAGGED)).toBe(1);
    expect(drop.vtep.tables.fdb.live).toBe(0);
  });
});
