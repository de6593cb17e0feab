import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Eviction } from "../../src/daemon/eviction.ts";
import { Fdb, LEARN_FULL, LEARN_NEW, LEARN_UNFAIR } from "../../src/dataplane/fdb.ts";
import { allocateFdb } from "../../src/dataplane/fdb-memory.ts";
import { UPCALL_BD, UPCALL_REMOTE, UPCALL_WORDS } from "../../src/dataplane/upcall-ring.ts";

const BD = 1;
const HI = 0x0200;

const setUp = (limit: number, slots: readonly number[] = [1, 2, 3]) => {
  const fdb = new Fdb(allocateFdb(4096, 4, 16));
  fdb.accounts.setPolicy(BD, { limit, limitPerRemote: 0, isFair: true, isDamped: false });
  const eviction = new Eviction(fdb, () => slots);
  const ask = (remote: number): void => {
    const record = new Int32Array(UPCALL_WORDS);
    record[UPCALL_BD] = BD;
    record[UPCALL_REMOTE] = remote;
    eviction.asked(record);
    eviction.stop();
    eviction.run();
  };
  const counts = (): number[] => slots.map((slot) => fdb.accounts.learnedAt(slot));
  return { fdb, eviction, ask, counts };
};

describe("eviction", () => {
  it("takes the least recently used entries of the VTEP with most, as few as make room", () => {
    const { fdb, eviction, ask, counts } = setUp(10);
    for (let mac = 0; mac < 10; mac++) fdb.learn(BD, HI, mac, 1, mac < 5 ? 20 : 10);
    expect(fdb.learn(BD, HI, 100, 1, 30)).toBe(LEARN_FULL);
    expect(fdb.learn(BD, HI, 100, 2, 30)).toBe(LEARN_UNFAIR);
    ask(2);
    expect([counts(), eviction.count(BD)]).toEqual([[9, 0, 0], 1]);
    for (let mac = 0; mac < 5; mac++) expect(fdb.find(BD, HI, mac)).toBeGreaterThan(0);
    // Not for who had most already.
    expect(fdb.learn(BD, HI, 101, 1, 30)).toBe(LEARN_FULL);
    expect(fdb.learn(BD, HI, 100, 2, 30)).toBe(LEARN_NEW);
  });

  it("gives a VTEP its share back when there is room", () => {
    const { fdb, eviction, ask, counts } = setUp(10);
    for (let mac = 0; mac < 10; mac++) fdb.learn(BD, HI, mac, 1, 10);
    fdb.learn(BD, HI, 100, 2, 10);
    ask(2);
    eviction.tick();
    expect(fdb.learn(BD, HI, 50, 1, 11)).toBe(LEARN_FULL);
    for (let mac = 0; mac < 10; mac++) fdb.remove(BD, HI, mac, 11);
    eviction.tick();
    for (let mac = 0; mac < 10; mac++) expect(fdb.learn(BD, HI, mac, 1, 12)).toBe(LEARN_NEW);
    expect(counts()).toEqual([10, 0, 0]);
  });

  it("never takes a static entry, nor one of another bridge domain", () => {
    const { fdb, ask } = setUp(5);
    for (let mac = 0; mac < 5; mac++) fdb.setStatic(BD, HI, mac, 1, 0, 1);
    for (let mac = 10; mac < 15; mac++) fdb.learn(BD, HI, mac, 1, 10);
    for (let mac = 0; mac < 5; mac++) fdb.learn(BD + 1, HI, mac, 4, 1);
    fdb.learn(BD, HI, 100, 2, 10);
    ask(2);
    expect([fdb.accounts.fixed(BD), fdb.accounts.learned(BD), fdb.accounts.learned(BD + 1)]).toEqual([5, 4, 5]);
  });

  it("ends where everybody has the same, however many ask", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 300 }),
        fc.array(fc.record({ remote: fc.integer({ min: 1, max: 3 }), count: fc.integer({ min: 1, max: 40 }) })),
        (limit, offers) => {
          const { fdb, ask, counts } = setUp(limit);
          let mac = 0;
          for (const { remote, count } of offers) {
            for (let n = 0; n < count; n++) if (fdb.learn(BD, HI, mac++, remote, 10) === LEARN_UNFAIR) ask(remote);
            expect(fdb.accounts.learned(BD)).toBeLessThanOrEqual(limit);
            expect(counts().reduce((a, b) => a + b)).toBe(fdb.accounts.learned(BD));
          }
          // All three want everything: nobody is left with less than a third, but for the places kept free.
          for (let n = 0; n < 4 * limit; n++) {
            for (const remote of [1, 2, 3]) if (fdb.learn(BD, HI, mac++, remote, 11) === LEARN_UNFAIR) ask(remote);
          }
          const kept = Math.max(1, limit >> 6);
          for (const count of counts()) expect(count).toBeGreaterThanOrEqual(Math.floor(limit / 3) - kept - 1);
        },
      ),
    );
  });
});
