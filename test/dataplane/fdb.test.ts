import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Fdb,
  LEARN_BUSY,
  LEARN_FULL,
  LEARN_MOVED,
  LEARN_NEW,
  LEARN_REMOTE_FULL,
  LEARN_STATIC,
} from "../../src/dataplane/fdb.ts";
import { allocateFdb, FDB_CONTROL, FDB_STATIC } from "../../src/dataplane/fdb-memory.ts";

const make = (capacity = 4096) => {
  const memory = allocateFdb(capacity, 64, 4096);
  return { memory, fdb: new Fdb(memory) };
};
const learnedOf = (fdb: Fdb) => [...fdb.entries()].map(({ bd, macHi, macLo, target }) => [bd, macHi, macLo, target]);

describe("Fdb", () => {
  it("finds nothing in an empty table", () => {
    expect(make().fdb.find(1, 0x0200, 5)).toBe(-1);
  });

  it("finds a learned MAC in its own bridge domain only", () => {
    const { fdb } = make();
    expect(fdb.learn(1, 0x0200, 5, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.target(fdb.find(1, 0x0200, 5))).toBe(7);
    expect(fdb.find(2, 0x0200, 5)).toBe(-1);
    expect(fdb.find(1, 0x0201, 5)).toBe(-1);
    expect([fdb.live, fdb.accounts.learned(1), fdb.accounts.fixed(1)]).toEqual([1, 1, 0]);
  });

  it("moves a MAC that appears behind another remote VTEP", () => {
    const { fdb } = make();
    fdb.learn(1, 0x0200, 5, 7, 10);
    expect(fdb.learn(1, 0x0200, 5, 8, 20)).toBe(LEARN_MOVED);
    expect([...fdb.entries()]).toEqual([
      { bd: 1, macHi: 0x0200, macLo: 5, target: 8, flags: 0, updatedS: 20, usedS: 20 },
    ]);
    expect(fdb.live).toBe(1);
  });

  it("lets a static entry win over a learned one, and over later learning", () => {
    const { fdb } = make();
    fdb.learn(1, 0x0200, 5, 7, 10);
    expect(fdb.setStatic(1, 0x0200, 5, 9, FDB_CONTROL, 11)).toBe(true);
    expect(fdb.learn(1, 0x0200, 5, 7, 12)).toBe(LEARN_STATIC);
    expect(fdb.target(fdb.find(1, 0x0200, 5))).toBe(9);
    expect([fdb.accounts.learned(1), fdb.accounts.fixed(1)]).toEqual([0, 1]);
    expect([...fdb.entries()][0]!.flags).toBe(FDB_STATIC | FDB_CONTROL);
  });

  it("refuses to learn beyond the bridge domain's limit, and says so", () => {
    const { fdb } = make();
    fdb.accounts.setPolicy(1, { limit: 2, limitPerRemote: 0, isFair: false, isDamped: false });
    expect(fdb.learn(1, 0x0200, 1, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.learn(1, 0x0200, 2, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.learn(1, 0x0200, 3, 7, 10)).toBe(LEARN_FULL);
    expect(fdb.learn(1, 0x0200, 2, 8, 10)).toBe(LEARN_MOVED);
    expect(fdb.learn(2, 0x0200, 3, 7, 10)).toBe(LEARN_NEW);
  });

  it("refuses to learn more behind one remote VTEP than it may have, and goes on behind others", () => {
    const { fdb } = make();
    fdb.accounts.setPolicy(1, { limit: 0, limitPerRemote: 2, isFair: false, isDamped: false });
    expect(fdb.learn(1, 0x0200, 1, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.learn(1, 0x0200, 2, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.learn(1, 0x0200, 3, 7, 10)).toBe(LEARN_REMOTE_FULL);
    expect(fdb.learn(1, 0x0200, 3, 8, 10)).toBe(LEARN_NEW);
    // Where an operator says that it is, it is; and that makes room.
    fdb.setStatic(1, 0x0200, 4, 7, 0, 10);
    fdb.setStatic(1, 0x0200, 1, 7, 0, 10);
    expect([fdb.accounts.learnedAt(7), fdb.accounts.learned(1)]).toEqual([1, 2]);
    expect(fdb.learn(1, 0x0200, 5, 7, 10)).toBe(LEARN_NEW);
  });

  it("forgets a MAC that moved to a remote VTEP that may have no more", () => {
    const { fdb } = make();
    fdb.accounts.setPolicy(1, { limit: 0, limitPerRemote: 1, isFair: false, isDamped: false });
    fdb.learn(1, 0x0200, 1, 7, 10);
    fdb.learn(1, 0x0200, 2, 8, 10);
    expect(fdb.learn(1, 0x0200, 2, 7, 10)).toBe(LEARN_REMOTE_FULL);
    expect(fdb.find(1, 0x0200, 2)).toBe(-1);
    expect([fdb.accounts.learnedAt(7), fdb.accounts.learnedAt(8), fdb.accounts.learned(1)]).toEqual([1, 0, 1]);
    expect(fdb.learn(1, 0x0200, 1, 8, 10)).toBe(LEARN_MOVED);
    expect([fdb.accounts.learnedAt(7), fdb.accounts.learnedAt(8)]).toEqual([0, 1]);
  });

  it("is bounded as a whole: neither learning nor static entries exceed the capacity", () => {
    const { fdb } = make(1024);
    for (let mac = 0; mac < 1024; mac++) expect(fdb.learn(1, 0x0200, mac, 7, 10)).toBe(LEARN_NEW);
    expect(fdb.learn(1, 0x0200, 5000, 7, 10)).toBe(LEARN_FULL);
    expect(fdb.setStatic(1, 0x0200, 5000, 7, 0, 10)).toBe(false);
    expect(fdb.setStatic(1, 0x0200, 3, 8, 0, 10)).toBe(true);
    expect(fdb.live).toBe(1024);
  });

  it("still ends a search when the table was flushed and refilled at once", () => {
    const { fdb } = make(1024);
    for (let round = 0; round < 5; round++) {
      for (let mac = 0; mac < 1024; mac++) fdb.learn(1, 0x0200, round * 1024 + mac, 7, 10);
      fdb.sweep(10, () => true);
    }
    expect(fdb.find(1, 0x0300, 1)).toBe(-1);
    expect(fdb.live).toBe(0);
    fdb.sweep(13, () => false);
    fdb.sweep(14, () => false);
    expect(fdb.learn(1, 0x0200, 1, 7, 14)).toBe(LEARN_NEW);
  });

  it("removes what a sweep calls dead and finds the rest behind the gaps", () => {
    const { fdb } = make();
    for (let mac = 0; mac < 3000; mac++) fdb.learn(1, 0x0200, mac, mac + 1, mac);
    expect(fdb.sweep(3000, (_bd, _target, _flags, usedS) => usedS % 3 === 0)).toBe(1000);
    for (let mac = 0; mac < 3000; mac++) expect(fdb.find(1, 0x0200, mac) >= 0).toBe(mac % 3 !== 0);
  });

  it("does not give a slot to another MAC before the grace time is over", () => {
    const { fdb } = make();
    fdb.learn(1, 0x0200, 5, 7, 10);
    const handle = fdb.find(1, 0x0200, 5);
    fdb.remove(1, 0x0200, 5, 10);
    fdb.sweep(11, () => false);
    fdb.learn(1, 0x0200, 5, 8, 11);
    expect(fdb.find(1, 0x0200, 5)).not.toBe(handle);
    expect(fdb.remove(1, 0x0200, 6, 11)).toBe(false);
  });

  it("empties the table again when everything has aged (no tombs stay)", () => {
    const { fdb, memory } = make();
    for (let mac = 0; mac < 3000; mac++) fdb.learn(1, 0x0200, mac, 1, 10);
    fdb.sweep(20, () => true);
    for (let nowS = 21; nowS < 30; nowS++) fdb.sweep(nowS, () => false);
    expect(memory.slots.filter((_, word) => word % 6 === 1 && memory.slots[word] !== 0)).toHaveLength(0);
  });

  it("gives up learning while another thread holds the lock, and goes on afterwards", () => {
    const { fdb, memory } = make();
    memory.header[0] = 1;
    expect(fdb.learn(1, 0x0200, 5, 7, 10)).toBe(LEARN_BUSY);
    expect(fdb.find(1, 0x0200, 5)).toBe(-1);
    memory.header[0] = 0;
    expect(fdb.learn(1, 0x0200, 5, 7, 10)).toBe(LEARN_NEW);
  });

  it("holds one million entries in 64 MiB", () => {
    const { fdb, memory } = make(1_000_000);
    for (let mac = 0; mac < 1_000_000; mac++) fdb.learn(1, 0x0200, mac, 7, 10);
    expect(fdb.live).toBe(1_000_000);
    expect(memory.slots.byteLength + memory.header.byteLength).toBeLessThanOrEqual(64 << 20);
    expect(fdb.target(fdb.find(1, 0x0200, 999_999))).toBe(7);
  });

  it("behaves like a map under any sequence of learning, static entries, removal and sweeps", () => {
    const mac = fc.integer({ min: 0, max: 60 });
    const step = fc.oneof(
      fc.record({ verb: fc.constant("learn" as const), mac, target: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ verb: fc.constant("static" as const), mac, target: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ verb: fc.constant("remove" as const), mac, target: fc.constant(0) }),
      fc.record({ verb: fc.constant("sweep" as const), mac: fc.constant(0), target: fc.integer({ min: 1, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { fdb } = make(1024);
        const model = new Map<number, { target: number; fixed: boolean }>();
        let nowS = 0;
        for (const { verb, mac: lo, target } of steps) {
          nowS++;
          if (verb === "learn") {
            fdb.learn(1, 0x0200, lo, target, nowS);
            if (model.get(lo)?.fixed !== true) model.set(lo, { target, fixed: false });
          } else if (verb === "static") {
            fdb.setStatic(1, 0x0200, lo, target, 0, nowS);
            model.set(lo, { target, fixed: true });
          } else if (verb === "remove") {
            expect(fdb.remove(1, 0x0200, lo, nowS)).toBe(model.delete(lo));
          } else {
            fdb.sweep(nowS, (_bd, at) => at === target);
            for (const [key, entry] of model) if (entry.target === target) model.delete(key);
          }
        }
        const expected = [...model].map(([lo, entry]) => [1, 0x0200, lo, entry.target]);
        for (const target of [1, 2, 3, 4, 5]) {
          const learned = [...model.values()].filter((entry) => !entry.fixed && entry.target === target);
          expect(fdb.accounts.learnedAt(target)).toBe(learned.length);
        }
        expect(fdb.accounts.learned(1) + fdb.accounts.fixed(1)).toBe(model.size);
        const byMac = (a: number[], b: number[]) => a[2]! - b[2]!;
        expect(learnedOf(fdb).sort(byMac)).toEqual(expected.sort(byMac));
      }),
    );
  });
});
