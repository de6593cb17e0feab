import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DROP_COLUMNS, ENCAP } from "../../src/dataplane/counters.ts";
import { BROADCAST, MULTICAST, UNKNOWN_UNICAST_CLASS } from "../../src/dataplane/policers.ts";
import { allocateSourcePolicers, SourcePolicers } from "../../src/dataplane/source-policers.ts";
import { DROP_REASON_COLUMNS, POLICED, POLICED_SOURCE } from "../../src/drop-reason.ts";
import { MemoryVtep } from "../support/memory-io.ts";

const BD = 7;
const HI = 0x0200;

describe("a policer per source MAC", () => {
  it("lets everything through until it is set, and other MACs, classes and tunnels after that", () => {
    const policers = new SourcePolicers(allocateSourcePolicers());
    for (let n = 0; n < 1000; n++) expect(policers.take(BD, BROADCAST, HI, 1, 1, 5)).toBe(true);
    policers.set(BD, BROADCAST, 10, 2);
    const take = (bd: number, kind: number, mac: number): boolean => policers.take(bd, kind, HI, mac, 1, 5);
    expect([take(BD, BROADCAST, 1), take(BD, BROADCAST, 1), take(BD, BROADCAST, 1)]).toEqual([true, true, false]);
    expect([take(BD, BROADCAST, 2), take(BD, MULTICAST, 1), take(BD + 1, BROADCAST, 1)]).toEqual([true, true, true]);
    policers.clear(BD);
    expect(take(BD, BROADCAST, 1)).toBe(true);
  });

  it("lets each MAC's burst and then its rate through, whatever the times and sizes, and never more", () => {
    const offer = fc.record({ pauseMs: fc.nat(300), segments: fc.integer({ min: 1, max: 40 }), mac: fc.nat(3) });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 0x7fffffff - 2000, max: 0x7fffffff }), // the clock goes round
        fc.array(offer, { minLength: 1, maxLength: 200 }),
        (rate, burst, startMs, offers) => {
          const policers = new SourcePolicers(allocateSourcePolicers());
          policers.set(BD, BROADCAST, rate, burst);
          let passedMs = 0;
          const passed = [0, 0, 0, 0];
          for (const { pauseMs, segments, mac } of offers) {
            passedMs += pauseMs;
            const nowMs = (startMs + passedMs) & 0x7fffffff;
            if (policers.take(BD, BROADCAST, HI, mac, segments, nowMs)) passed[mac]! += segments;
          }
          for (const count of passed) expect(count).toBeLessThanOrEqual(burst + (passedMs * rate) / 1000);
        },
      ),
    );
  });

  it("gives each MAC its whole rate", () => {
    const policers = new SourcePolicers(allocateSourcePolicers());
    policers.set(BD, BROADCAST, 250, 10);
    const passed = [0, 0];
    for (let ms = 0; ms < 4000; ms++) {
      for (let n = 0; n < 6; n++) if (policers.take(BD, BROADCAST, HI, n & 1, 1, ms)) passed[n & 1]!++;
    }
    for (const count of passed) {
      expect(count).toBeGreaterThanOrEqual(1000);
      expect(count).toBeLessThanOrEqual(1010);
    }
  });

  it("has so many buckets that of a hundred MACs nearly all have one of their own", () => {
    const policers = new SourcePolicers(allocateSourcePolicers());
    policers.set(BD, BROADCAST, 1, 1);
    let own = 0;
    for (let mac = 0; mac < 100; mac++) if (policers.take(BD, BROADCAST, HI, mac, 1, 5)) own++;
    expect(own).toBeGreaterThanOrEqual(98);
  });
});

describe("a frame beyond its source's rate", () => {
  it("is dropped for a reason of its own, and takes nothing of the tunnel's", () => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(42);
    vtep.flood(bd, [vtep.remote(bd, "192.0.2.2", 42)]);
    const { policers, sourcePolicers } = vtep.tables;
    for (const kind of [BROADCAST, MULTICAST, UNKNOWN_UNICAST_CLASS]) sourcePolicers.set(bd, kind, 1, 2);
    policers.set(bd, BROADCAST, 1, 4);
    const send = (src: string, dst: string, count: number): number => {
      for (let n = 0; n < count; n++) vtep.fromTap({ port, dst, src });
      return vtep.run().length;
    };
    const dropped = (reason: number) => vtep.counters.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + reason];
    expect(send("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", 50)).toBe(2);
    expect(send("02:00:00:00:00:02", "ff:ff:ff:ff:ff:ff", 50)).toBe(2);
    expect([dropped(POLICED_SOURCE), dropped(POLICED)]).toEqual([96, 0]);
    expect(send("02:00:00:00:00:03", "ff:ff:ff:ff:ff:ff", 5)).toBe(0);
    expect(dropped(POLICED)).toBe(2);
    expect(send("02:00:00:00:00:01", "01:00:5e:00:00:fb", 5)).toBe(2);
    expect(send("02:00:00:00:00:01", "02:00:00:00:00:99", 5)).toBe(2);
  });
});
