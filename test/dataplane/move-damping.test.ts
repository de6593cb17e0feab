import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LINK_COLUMNS, LINK_MOVES, LINK_MOVES_DAMPED } from "../../src/dataplane/counters.ts";
import { countMove, HOLD_S, isHeld, MAX_MOVES, WINDOW_S } from "../../src/dataplane/move-damping.ts";
import {
  UPCALL_BD,
  UPCALL_HELD_AT,
  UPCALL_KIND,
  UPCALL_MAC_HELD,
  UPCALL_MAC_HI,
  UPCALL_MAC_LO,
  UPCALL_SEEN_AT,
} from "../../src/dataplane/upcall-ring.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

/** Whether each attempt to move, by second, was let through. */
const moves = (seconds: readonly number[], flags = 0): boolean[] => {
  let word = flags;
  return seconds.map((nowS) => {
    word = countMove(word, nowS);
    return !isHeld(word, nowS);
  });
};

describe("move damping", () => {
  it("lets five moves in ten seconds through, then none for five seconds, then begins again", () => {
    expect([MAX_MOVES, WINDOW_S, HOLD_S]).toEqual([5, 10, 5]);
    expect(moves([100, 100, 101, 105, 109, 109])).toEqual([true, true, true, true, true, false]);
    expect(moves([100, 100, 100, 100, 100, 100, 104, 105, 106])).toEqual([
      ...[true, true, true, true, true],
      ...[false, false],
      ...[true, true],
    ]);
  });

  it("never stops a MAC that moves five times in each window, and at the end of a window starts at zero", () => {
    expect(moves([100, 102, 104, 106, 108, 110, 112, 114, 116, 118])).toEqual(Array(10).fill(true));
  });

  it("works at any second, also where 24 bits of it go round, and leaves the other flags alone", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7fffff00 }), fc.integer({ min: 0, max: 7 }), (startS, others) => {
        const offsets = [0, 1, 2, 3, 4, 5, 9];
        expect(moves(offsets.map((offset) => startS + offset))).toEqual([true, true, true, true, true, false, false]);
        let word = others;
        for (const offset of offsets) {
          word = countMove(word, startS + offset);
          expect(word & 7).toBe(others);
        }
        expect(isHeld(word, startS + 5 + HOLD_S)).toBe(false);
      }),
    );
  });
});

describe("a MAC behind two VTEPs", () => {
  const STATION = "02:00:00:00:00:05";
  const setUp = (isDamped: boolean) => {
    const vtep = new MemoryVtep();
    const { bd } = vtep.tunnel(42, { isDamped });
    const remotes = ["192.0.2.2", "192.0.2.3"].map((address) => vtep.remote(bd, address, 42)) as [number, number];
    const flap = (count: number): number => {
      for (let n = 0; n < count; n++) {
        vtep.fromUnderlay({ port: vtep.rxPort, from: `192.0.2.${2 + (n % 2)}`, vni: 42, src: STATION });
      }
      return vtep.run().length;
    };
    const link = (column: number) => vtep.counters.link[bd * LINK_COLUMNS + column];
    const at = (): number => vtep.tables.fdb.target(vtep.tables.fdb.find(bd, ...macWords(STATION)));
    const held: Int32Array[] = [];
    const drain = () => vtep.upcalls.drain((record) => held.push(record.slice()));
    return { vtep, bd, remotes, flap, link, at, held, drain };
  };

  it("stays where it is after five moves; its frames are delivered, and it is told of once", () => {
    const { vtep, bd, remotes, flap, link, at, held, drain } = setUp(true);
    expect(flap(20)).toBe(20);
    // Learned at the first, moved five times, so at the second; seven more frames come from the first.
    expect([link(LINK_MOVES), link(LINK_MOVES_DAMPED), at()]).toEqual([5, 7, remotes[1]]);
    drain();
    expect(held).toHaveLength(1);
    const [record] = held as [Int32Array];
    expect([UPCALL_KIND, UPCALL_BD, UPCALL_MAC_HI, UPCALL_MAC_LO].map((word) => record[word])).toEqual([
      UPCALL_MAC_HELD,
      bd,
      ...macWords(STATION),
    ]);
    expect([record[UPCALL_HELD_AT], record[UPCALL_SEEN_AT]]).toEqual([remotes[1], remotes[0]]);
    vtep.nowS += HOLD_S;
    flap(1);
    expect(at()).toBe(remotes[0]);
    expect(vtep.tables.fdb.accounts.learnedAt(remotes[0])).toBe(1);
    expect([...vtep.tables.fdb.entries()].map(({ flags }) => flags)).toEqual([0]);
  });

  it("moves with each frame where damping is off", () => {
    const { flap, link, held, drain } = setUp(false);
    flap(20);
    drain();
    expect([link(LINK_MOVES), link(LINK_MOVES_DAMPED), held.length]).toEqual([19, 0, 0]);
  });
});
