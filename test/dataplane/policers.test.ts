import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocatePolicers, BROADCAST, MULTICAST, Policers } from "../../src/dataplane/policers.ts";

const BD = 7;

describe("a policer", () => {
  it("lets everything through until it is set, and its neighbours' frames after that", () => {
    const policers = new Policers(allocatePolicers());
    for (let n = 0; n < 1000; n++) expect(policers.take(BD, BROADCAST, 1, 5)).toBe(true);
    policers.set(BD, BROADCAST, 1, 1);
    expect([policers.take(BD, BROADCAST, 1, 5), policers.take(BD, BROADCAST, 1, 5)]).toEqual([true, false]);
    expect([policers.take(BD, MULTICAST, 1, 5), policers.take(BD + 1, BROADCAST, 1, 5)]).toEqual([true, true]);
    policers.clear(BD);
    expect(policers.take(BD, BROADCAST, 1, 5)).toBe(true);
  });

  it("lets the burst and then the rate through, whatever the times and sizes, and never more", () => {
    const offer = fc.record({ pauseMs: fc.nat(300), segments: fc.integer({ min: 1, max: 40 }) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 0x7fffffff - 2000, max: 0x7fffffff }), // the clock goes round
        fc.array(offer, { minLength: 1, maxLength: 200 }),
        (rate, burst, startMs, offers) => {
          const policers = new Policers(allocatePolicers());
          policers.set(BD, BROADCAST, rate, burst);
          policers.take(BD, BROADCAST, 1, startMs);
          let [passedMs, passed] = [0, 1];
          for (const { pauseMs, segments } of offers) {
            passedMs += pauseMs;
            if (policers.take(BD, BROADCAST, segments, (startMs + passedMs) & 0x7fffffff)) passed += segments;
          }
          expect(passed).toBeLessThanOrEqual(burst + (passedMs * rate) / 1000);
        },
      ),
    );
  });

  it("gives the whole rate to one who always asks", () => {
    const policers = new Policers(allocatePolicers());
    policers.set(BD, BROADCAST, 250, 10);
    let passed = 0;
    for (let ms = 0; ms < 4000; ms++) for (let n = 0; n < 3; n++) if (policers.take(BD, BROADCAST, 1, ms)) passed++;
    expect(passed).toBeGreaterThanOrEqual(1000);
    expect(passed).toBeLessThanOrEqual(1010);
  });

  it("is one for all workers, however they take turns, and gives each what is left", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2000 }),
        fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 2000 }),
        (burst, offers) => {
          const memory = allocatePolicers();
          const workers = Array.from({ length: 4 }, () => new Policers(memory));
          workers[0]!.set(BD, BROADCAST, 1, burst);
          let passed = 0;
          for (const [worker, segments] of offers) {
            if (workers[worker]!.take(BD, BROADCAST, segments, 0)) passed += segments;
          }
          expect(passed).toBeLessThanOrEqual(burst);
          while (workers.some((worker) => worker.take(BD, BROADCAST, 1, 0))) passed++;
          expect(passed).toBe(burst);
        },
      ),
    );
  });
});
