/** FDB: what a lookup and a new entry cost, from a table that fits the first cache to one that fits none. */
import { Fdb } from "../../src/dataplane/fdb.ts";
import { allocateFdb } from "../../src/dataplane/fdb-memory.ts";
import { bench } from "../micro.ts";

const HI = 0x0200;
/** Visits entries in an order that no prefetcher follows; odd, so it reaches all of a power of two. */
const STRIDE = 0x9e3779b1;

const filled = (entries: number): Fdb => {
  const fdb = new Fdb(allocateFdb(entries, 16, 16));
  for (let mac = 0; mac < entries; mac++) fdb.learn(1, HI, mac, 7, 1);
  return fdb;
};

for (const entries of [1024, 65_536, 1_048_576]) {
  bench(`fdb.find/hit entries=${entries}`, { iterations: 2_000_000, thresholdNs: 250 }, () => {
    const fdb = filled(entries);
    return (iterations) => {
      let sum = 0;
      for (let i = 0; i < iterations; i++) sum += fdb.target(fdb.find(1, HI, Math.imul(i, STRIDE) & (entries - 1)));
      return sum;
    };
  });
}

bench("fdb.find/miss entries=65536", { iterations: 2_000_000, thresholdNs: 250 }, () => {
  const fdb = filled(65_536);
  return (iterations) => {
    let sum = 0;
    for (let i = 0; i < iterations; i++) sum += fdb.find(2, HI, Math.imul(i, STRIDE) & 65_535);
    return sum;
  };
});

bench("fdb.learn/new entries=65536", { iterations: 65_536, thresholdNs: 500 }, () => {
  const fdb = new Fdb(allocateFdb(65_536, 16, 16));
  let nowS = 1;
  return (iterations) => {
    let sum = 0;
    for (let i = 0; i < iterations; i++) sum += fdb.learn(1, HI, Math.imul(i, STRIDE), 7, nowS);
    for (nowS += 3; fdb.live > 0; nowS += 3) fdb.sweep(nowS, () => true);
    for (let pass = 0; pass < 3; pass++, nowS += 3) fdb.sweep(nowS, () => false);
    return sum;
  };
});

bench("fdb.learn/move entries=65536", { iterations: 1_000_000, thresholdNs: 400 }, () => {
  const fdb = filled(65_536);
  return (iterations) => {
    let sum = 0;
    for (let i = 0; i < iterations; i++) sum += fdb.learn(1, HI, Math.imul(i, STRIDE) & 65_535, 7 + (i & 1), 1);
    return sum;
  };
});
