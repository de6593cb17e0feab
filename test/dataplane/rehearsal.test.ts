/** A rehearsal decides as the loop does, and leaves everything as it was. */
import { beforeEach, expect, it } from "vitest";
import {
  FRAME_DST_HI,
  FRAME_DST_LO,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_PORT,
  FRAME_SEGMENTS,
  FRAME_WORDS,
} from "../../src/binding/abi.ts";
import { BROADCAST } from "../../src/dataplane/policers.ts";
import { REHEARSAL_OFFSET, rehearse } from "../../src/dataplane/rehearsal.ts";
import type { TableMemory } from "../../src/dataplane/tables.ts";
import { NO_TX_TARGET, NOT_DROPPED, POLICED, UNKNOWN_VTEP } from "../../src/drop-reason.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

let vtep: MemoryVtep;
let bd: number;
let port: number;
let near: number;
let far: number;

beforeEach(() => {
  vtep = new MemoryVtep();
  ({ bd, port } = vtep.tunnel(42));
  near = vtep.remote(bd, "192.0.2.2", 42);
  far = vtep.remote(bd, "192.0.2.3", 42);
});

const now = () => ({ s: vtep.nowS, ms: vtep.nowMs });

const overlay = (dst: string) =>
  rehearse(vtep.memory, now(), ({ frames }) => {
    frames.fill(0, 0, FRAME_WORDS);
    frames[FRAME_PORT] = port;
    frames[FRAME_LENGTH] = 64;
    frames[FRAME_OFFSET] = REHEARSAL_OFFSET;
    frames[FRAME_SEGMENTS] = 1;
    [frames[FRAME_DST_HI], frames[FRAME_DST_LO]] = macWords(dst);
  });

/** As the harness would describe it, taken from its own batch. */
const underlay = (from: string, src: string) => {
  const other = new MemoryVtep();
  other.fromUnderlay({ port: vtep.rxPort, from, vni: 42, src });
  return rehearse(vtep.memory, now(), (batch) => {
    batch.arena.set(other.batch.arena.subarray(0, 64));
    batch.frames.set(other.batch.frames.subarray(0, FRAME_WORDS));
  });
};

const snapshot = (value: unknown): unknown => {
  if (ArrayBuffer.isView(value))
    return Buffer.from(value.buffer as ArrayBuffer).reduce((sum, byte, at) => (sum * 31 + byte * (at + 1)) | 0, 7);
  return Object.fromEntries(
    Object.entries(value as TableMemory).map(([key, part]) => [key, typeof part === "number" ? part : snapshot(part)]),
  );
};

it("says where frames from the overlay go, as the loop does afterwards", () => {
  vtep.flood(bd, [near, far]);
  vtep.tables.fdb.learn(bd, ...macWords("02:00:00:00:00:05"), far, vtep.nowS);
  for (const dst of ["02:00:00:00:00:05", "02:00:00:00:00:06", "ff:ff:ff:ff:ff:ff"]) {
    const { copies, reason } = overlay(dst);
    const really = vtep.fromTap({ port, dst }).run();
    expect(reason).toBe(NOT_DROPPED);
    expect(copies.map(({ remote }) => remote).sort()).toEqual(
      really.map(({ to }) => (to!.address === "192.0.2.2" ? near : far)).sort(),
    );
    for (const { header } of copies) expect(Buffer.from(header).toString("hex")).toBe("0800000000002a00");
  }
  expect(overlay("02:00:00:00:00:05").copies.map(({ remote }) => remote)).toEqual([far]);
});

it("says why a frame would be dropped", () => {
  expect(overlay("02:00:00:00:00:05")).toMatchObject({ copies: [], reason: NO_TX_TARGET });
  expect(underlay("192.0.2.9", "02:00:00:00:00:05")).toMatchObject({ copies: [], reason: UNKNOWN_VTEP });
});

it("learns in its copies only, takes no tokens, counts nothing", () => {
  vtep.flood(bd, [near, far]);
  vtep.tables.policers.set(bd, BROADCAST, 1, 1);
  vtep.tables.fdb.learn(bd, ...macWords("02:00:00:00:00:05"), far, vtep.nowS);
  vtep.nowS += 10;
  const before = snapshot(vtep.memory);
  for (let n = 0; n < 3; n++) expect(overlay("ff:ff:ff:ff:ff:ff").copies).toHaveLength(2);
  overlay("02:00:00:00:00:05");
  const { after, copies } = underlay("192.0.2.2", "02:00:00:00:00:07");
  expect(copies).toMatchObject([{ remote: 0, port }]);
  expect(after.fdb.target(after.fdb.find(bd, ...macWords("02:00:00:00:00:07")))).toBe(near);
  expect(vtep.tables.fdb.find(bd, ...macWords("02:00:00:00:00:07"))).toBe(-1);
  expect(snapshot(vtep.memory)).toEqual(before);
  // One token was there: the loop still has it, and then none.
  expect(vtep.fromTap({ port, dst: "ff:ff:ff:ff:ff:ff" }).run()).toHaveLength(2);
  expect(overlay("ff:ff:ff:ff:ff:ff")).toMatchObject({ copies: [], reason: POLICED });
});
