import { describe, expect, it } from "vitest";
import {
  FLAG_IP_PACKET,
  FLAG_IPV6,
  FRAME_FLAGS,
  FRAME_INNER_IP,
  FRAME_SEGMENTS,
  HELD_FRAMES,
} from "../../src/binding/abi.ts";
import {
  BD_ACCEPT_ANY,
  BD_EMBEDDING,
  BD_EMBEDDING_PREFIX,
  BD_PAYLOADS,
  CARRIES_IPV6,
} from "../../src/dataplane/bridge-domain.ts";
import { DECAP, DROP_COLUMNS, ENCAP } from "../../src/dataplane/counters.ts";
import { EMBEDDED_IN_PREFIX, PREFIX_LENGTH_SHIFT } from "../../src/dataplane/embedded-vtep.ts";
import { UPCALL_UNKNOWN_VTEP } from "../../src/dataplane/upcall-ring.ts";
import { formatVtepAddress } from "../../src/dataplane/vtep-address.ts";
import {
  DROP_REASON_COLUMNS,
  MAC_INVALID_SOURCE,
  NEIGH_QUEUEFULL,
  NO_TX_TARGET,
  NOT_DROPPED,
} from "../../src/drop-reason.ts";
import { ipPacket } from "../support/frame-builder.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

const OF_ONE_VTEP = 8;

const drops =
  ({ counters }: MemoryVtep, bd: number, direction: number) =>
  (reason: number) =>
    counters.drop[bd * DROP_COLUMNS + direction * DROP_REASON_COLUMNS + reason];

/** The main thread's part: a slot for each VTEP that is asked for, unless `refuses`. Returns who was. */
const answer = (vtep: MemoryVtep, bd: number, refuses = false): string[] => {
  const asked: string[] = [];
  vtep.upcalls.drain((record) => {
    expect(record[0]).toBe(UPCALL_UNKNOWN_VTEP);
    const address = formatVtepAddress(new Uint8Array(record.slice(2, 6).buffer));
    if (!refuses && !asked.includes(address)) vtep.remote(bd, address, 0);
    asked.push(address);
  });
  return asked;
};

describe("packets to VTEPs without a slot", () => {
  const setUp = () => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(0);
    vtep.tables.bridgeDomains.set(bd, BD_PAYLOADS, CARRIES_IPV6);
    vtep.tables.bridgeDomains.set(bd, BD_EMBEDDING, EMBEDDED_IN_PREFIX | (16 << PREFIX_LENGTH_SHIFT));
    vtep.tables.bridgeDomains.set(bd, BD_EMBEDDING_PREFIX, 0x2002 << 16);
    /** @param n of 192.0.2.n; the payload tells packets apart */
    const to = (n: number, payload = "") =>
      vtep.fromTap({
        port,
        dst: "00:00:00:00:00:00",
        bytes: ipPacket(
          { srcIp: "2002::1", dstIp: `2002:c000:2${n.toString(16).padStart(2, "0")}::1` },
          59,
          payload.padEnd(64),
        ),
        words: { [FRAME_FLAGS]: FLAG_IP_PACKET | FLAG_IPV6, [FRAME_INNER_IP]: 0 },
      });
    const sentTo = (): (string | undefined)[] => vtep.run().map((copy) => copy.to?.address);
    return { vtep, bd, to, sentTo, dropped: drops(vtep, bd, ENCAP) };
  };
  const textOf = (vtep: MemoryVtep, frame: number): string =>
    Buffer.from(vtep.bytes(frame).subarray(40)).toString().trimEnd();

  it("wait until there is one, and go before what came later", () => {
    const { vtep, bd, to, sentTo } = setUp();
    to(2, "one");
    to(3, "two");
    to(2, "three");
    expect(sentTo()).toEqual([]);
    vtep.batch.arena.fill(0xa5, 0, 1 << 20); // Another batch.
    expect(answer(vtep, bd)).toEqual(["192.0.2.2", "192.0.2.3", "192.0.2.2"]);
    to(2, "four");
    const sent = vtep.run();
    expect(sent.map((copy) => [copy.to?.address, textOf(vtep, copy.frame)])).toEqual([
      ["192.0.2.2", "one"],
      ["192.0.2.3", "two"],
      ["192.0.2.2", "three"],
      ["192.0.2.2", "four"],
    ]);
    expect(vtep.forwarder.isHolding).toBe(false);
    expect(sentTo()).toEqual([]);
  });

  it("wait on while the question is not taken, and those behind them, too", () => {
    const { vtep, bd, to, sentTo } = setUp();
    to(2);
    expect(sentTo()).toEqual([]);
    expect(sentTo()).toEqual([]);
    expect(vtep.forwarder.isHolding).toBe(true);
    answer(vtep, bd);
    to(3);
    expect(sentTo()).toEqual(["192.0.2.2"]);
    answer(vtep, bd);
    expect(sentTo()).toEqual(["192.0.2.3"]);
  });

  it("are dropped when there is none, and when no more may wait", () => {
    const { vtep, bd, to, sentTo, dropped } = setUp();
    to(2);
    sentTo();
    answer(vtep, bd, true);
    expect(sentTo()).toEqual([]);
    // They do not ask again.
    expect([answer(vtep, bd), dropped(NEIGH_QUEUEFULL), dropped(NO_TX_TARGET)]).toEqual([[], 1, 0]);
    to(2);
    sentTo();
    vtep.forwarder.resume(true);
    expect([vtep.forwarder.isHolding, dropped(NEIGH_QUEUEFULL)]).toEqual([false, 2]);
  });

  it(`are at most ${OF_ONE_VTEP} for one VTEP and ${HELD_FRAMES} in all, again and again`, () => {
    const { vtep, bd, to, sentTo, dropped } = setUp();
    for (let n = 0; n < OF_ONE_VTEP + 3; n++) to(1, `${n}`);
    expect([sentTo(), dropped(NEIGH_QUEUEFULL)]).toEqual([[], 3]);
    for (let n = 2; n < 60; n++) to(n);
    sentTo();
    expect(dropped(NEIGH_QUEUEFULL)).toBe(3 + 58 - (HELD_FRAMES - OF_ONE_VTEP));
    answer(vtep, bd);
    expect(sentTo()).toHaveLength(HELD_FRAMES);
    // The places are used again, from the middle of the ring on.
    for (let n = 100; n < 120; n++) to(n);
    sentTo();
    answer(vtep, bd);
    expect(sentTo()).toEqual(Array.from({ length: 20 }, (_, n) => `192.0.2.${100 + n}`));
    for (let n = 120; n < 140; n++) to(n);
    sentTo();
    answer(vtep, bd);
    expect(sentTo()).toEqual(Array.from({ length: 20 }, (_, n) => `192.0.2.${120 + n}`));
  });
});

describe("frames of VTEPs without a slot", () => {
  const STATION = "02:00:00:00:00:05";
  const setUp = (options: Parameters<MemoryVtep["tunnel"]>[1] = {}) => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(0, options);
    vtep.tables.bridgeDomains.set(bd, BD_ACCEPT_ANY, 1);
    const frame = { port: vtep.rxPort, from: "198.51.100.7", vni: 0, src: STATION };
    const learnedAt = (mac: string): string | undefined => {
      const entry = vtep.tables.fdb.find(bd, ...macWords(mac));
      return entry < 0 ? undefined : formatVtepAddress(vtep.tables.remotes.address(vtep.tables.fdb.target(entry)));
    };
    return { vtep, bd, port, frame, learnedAt, dropped: drops(vtep, bd, DECAP) };
  };

  it("wait, and are learned with the first", () => {
    const { vtep, bd, port, frame, learnedAt } = setUp();
    vtep.fromUnderlay(frame);
    expect(vtep.run()).toEqual([]);
    expect(answer(vtep, bd)).toEqual(["198.51.100.7"]);
    const sent = vtep.fromTap({ port, dst: STATION }).run();
    expect(sent.map((copy) => copy.to?.address)).toEqual([undefined, "198.51.100.7"]);
    expect(learnedAt(STATION)).toBe("198.51.100.7");
  });

  it("are delivered without being learned when no slot is to be had, and when no more may wait", () => {
    const { vtep, bd, port, frame, learnedAt } = setUp();
    vtep.fromUnderlay(frame).run();
    answer(vtep, bd, true);
    expect(vtep.run().map((copy) => copy.port)).toEqual([port]);
    expect(learnedAt(STATION)).toBeUndefined();
    answer(vtep, bd, true);
    for (let n = 0; n < OF_ONE_VTEP; n++) vtep.fromUnderlay(frame);
    expect(vtep.run()).toEqual([]);
    expect(vtep.fromUnderlay(frame).run()).toHaveLength(1);
    expect(drops(vtep, bd, DECAP)(NOT_DROPPED)).toBe(0);
  });

  it("do not wait where nothing is learned, where they are refused, or where they were merged", () => {
    const without = setUp({ learning: false });
    expect(without.vtep.fromUnderlay(without.frame).run()).toHaveLength(1);
    const { vtep, frame, dropped } = setUp();
    expect(vtep.fromUnderlay({ ...frame, src: "01:00:5e:00:00:01" }).run()).toEqual([]);
    expect([vtep.forwarder.isHolding, dropped(MAC_INVALID_SOURCE)]).toEqual([false, 1]);
    vtep.fromUnderlay(frame);
    vtep.batch.frames[FRAME_SEGMENTS] = 3;
    expect([vtep.run().length, vtep.forwarder.isHolding]).toEqual([1, false]);
  });
});
