/** What workers tell whoever listens: learned and moved MACs, no more than anybody reads, and nothing unasked. */
import { beforeEach, expect, it } from "vitest";
import {
  UPCALL_AT,
  UPCALL_BD,
  UPCALL_FROM,
  UPCALL_KIND,
  UPCALL_LEARNED,
  UPCALL_MAC_LO,
} from "../../src/dataplane/upcall-ring.ts";
import { MemoryVtep } from "../support/memory-io.ts";

let vtep: MemoryVtep;
let bd: number;
let near: number;
let far: number;

beforeEach(() => {
  vtep = new MemoryVtep(65_536);
  bd = vtep.tunnel(42, { limit: 0 }).bd;
  near = vtep.remote(bd, "192.0.2.2", 42);
  far = vtep.remote(bd, "192.0.2.3", 42);
});

const station = (n: number): string =>
  `02:00:00:00:${(n >> 8).toString(16).padStart(2, "0")}:${(n & 255).toString(16).padStart(2, "0")}`;

/** Frames of `count` stations, from `first` on, in batches of at most 128. */
const hear = (first: number, count: number, from = "192.0.2.2"): void => {
  for (let n = 0; n < count; n++) {
    vtep.fromUnderlay({ port: vtep.rxPort, from, vni: 42, src: station(first + n) });
    if (n % 128 === 127 || n === count - 1) vtep.run();
  }
};

const told = (): number[][] => {
  const records: number[][] = [];
  vtep.upcalls.drain((record) => records.push([...record.subarray(0, 6)]));
  return records;
};

it("tells of a MAC that is learned and of where it moves, once each", () => {
  vtep.upcalls.watch(true);
  hear(1, 1);
  hear(1, 1);
  hear(1, 1, "192.0.2.3");
  const records = told();
  expect(records.map((record) => record[UPCALL_KIND])).toEqual([UPCALL_LEARNED, UPCALL_LEARNED]);
  expect(records.map((record) => [record[UPCALL_BD], record[UPCALL_FROM], record[UPCALL_AT]])).toEqual([
    [bd, 0, near],
    [bd, near, far],
  ]);
  expect(records[0]![UPCALL_MAC_LO]).toBe(1);
});

it("tells nothing while nobody listens", () => {
  hear(1, 3);
  expect(told()).toEqual([]);
  vtep.upcalls.watch(true);
  hear(4, 1);
  vtep.upcalls.watch(false);
  hear(5, 1);
  expect(told()).toHaveLength(1);
  expect(vtep.upcalls.lostEvents).toBe(0);
});

it("leaves half of the ring to what must be acted upon, and counts the rest", () => {
  vtep.upcalls.watch(true);
  hear(0, 700);
  expect(vtep.upcalls.lostEvents).toBe(700 - 512);
  expect(vtep.upcalls.begin()).not.toBe(0);
  expect(told()).toHaveLength(512);
});

it("tells 5000 a second, and the next second again", () => {
  vtep.upcalls.watch(true);
  let heard = 0;
  for (let n = 0; n < 5100; n += 300) {
    hear(n, 300);
    heard += told().length;
  }
  expect(heard).toBe(5000);
  expect(vtep.upcalls.lostEvents).toBe(100);
  vtep.nowS++;
  hear(6000, 10);
  expect(told()).toHaveLength(10);
});
