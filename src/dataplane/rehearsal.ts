/**
 * What would happen to a frame now: the very classes that forward it, on the main thread, over the tables as they are. What
 * they write (entries and their times, tokens, sequence numbers, counters, upcalls) they write into copies that nobody reads
 * afterwards, and what they send is noted instead. So it cannot differ from what a worker does, but for what only a kernel
 * knows: whether it takes a packet.
 */
import {
  ACTION_FRAME,
  ACTION_OUTER,
  ACTION_PORT,
  ACTION_RESULT,
  ACTION_TEMPLATE,
  ACTION_TEMPLATE_LENGTH,
  ACTION_VTEP,
  ACTION_WORDS,
  BATCH_FRAMES,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_REASON,
  FRAME_VERDICT,
  FRAME_WORDS,
  SLOT_HEADROOM,
  STATUS_NOW_MS,
  STATUS_NOW_S,
} from "../binding/abi.ts";
import { allocateBatch, type Batch } from "./batch.ts";
import { allocateCounters, type Counters } from "./counters.ts";
import { LOCK } from "./fdb-memory.ts";
import { Forwarder } from "./forwarder.ts";
import { openTables, type TableMemory, type Tables } from "./tables.ts";
import { allocateUpcalls, UpcallRing } from "./upcall-ring.ts";

/** What the addon says of a port that does not exist. */
const EINVAL = 22;

/** One copy that would go to a socket or a device. */
export interface RehearsedCopy {
  readonly port: number;
  /** Slot; 0 = to the device. */
  readonly remote: number;
  /** What stands in front of the frame. */
  readonly header: Uint8Array;
  readonly bytes: Uint8Array;
  /** ACTION_OUTER */
  readonly outer: number;
}

export interface Outcome {
  readonly copies: readonly RehearsedCopy[];
  /** As frame descriptors have them; the reason is 0 when nothing was dropped. */
  readonly verdict: number;
  readonly reason: number;
  /** Whether it first waits for the main thread to know a VTEP, as a worker does. */
  readonly hasWaited: boolean;
  readonly counters: Counters;
  /** The tables as they would be. */
  readonly after: Tables;
}

const copyOf = (memory: TableMemory): TableMemory => {
  const { fdb, sourcePolicers } = memory;
  const header = fdb.header.slice();
  header[LOCK] = 0; // a worker may have held it
  return {
    ...memory,
    fdb: { ...fdb, slots: fdb.slots.slice(), header, domains: fdb.domains.slice(), targets: fdb.targets.slice() },
    bridgeDomains: memory.bridgeDomains.slice(),
    policers: memory.policers.slice(),
    sourcePolicers: copyPolicers(sourcePolicers),
    neighbours: memory.neighbours.slice(),
    associations: memory.associations.slice(),
  };
};

const copyPolicers = (memory: TableMemory["sourcePolicers"]): TableMemory["sourcePolicers"] =>
  Object.fromEntries(Object.entries(memory).map(([key, words]) => [key, words.slice()])) as typeof memory;

/** Where the frame lies in the arena: room before it for what may be put there. */
export const REHEARSAL_OFFSET: number = 4096 + SLOT_HEADROOM;

/** @param place describes the frame: its bytes at REHEARSAL_OFFSET or behind, its descriptor in the first row */
export const rehearse = (
  memory: TableMemory,
  now: { readonly s: number; readonly ms: number },
  place: (batch: Batch) => void,
): Outcome => {
  const batch = allocateBatch();
  const tables = openTables(copyOf(memory));
  const counters = allocateCounters();
  const copies: RehearsedCopy[] = [];
  const { templates } = memory.remotes;
  const sender = { send: (count: number): number => note(batch, templates, count, copies) };
  const forwarder = new Forwarder(batch, tables, counters, new UpcallRing(allocateUpcalls()), sender);
  batch.status[STATUS_NOW_S] = now.s;
  batch.status[STATUS_NOW_MS] = now.ms;
  place(batch);
  batch.frames[FRAME_REASON] = 0;
  forwarder.forward(1);
  const hasWaited = forwarder.isHolding;
  if (hasWaited) forwarder.resume(true);
  // One that has waited was copied to the first row for those.
  const row = hasWaited ? BATCH_FRAMES * FRAME_WORDS : 0;
  const [verdict, reason] = [batch.frames[row + FRAME_VERDICT]!, batch.frames[row + FRAME_REASON]!];
  return { copies, verdict, reason, hasWaited, counters, after: tables };
};

const note = (batch: Batch, templates: Uint8Array, count: number, copies: RehearsedCopy[]): number => {
  const { actions, frames, arena } = batch;
  let refused = 0;
  for (let action = 0; action < count * ACTION_WORDS; action += ACTION_WORDS) {
    const port = actions[action + ACTION_PORT]!;
    const errno = port < 0 ? EINVAL : 0;
    actions[action + ACTION_RESULT] = errno;
    if (errno !== 0) {
      refused++;
      continue;
    }
    const row = actions[action + ACTION_FRAME]! * FRAME_WORDS;
    const remote = actions[action + ACTION_VTEP]!;
    const template = actions[action + ACTION_TEMPLATE]!;
    const length = remote === 0 ? 0 : actions[action + ACTION_TEMPLATE_LENGTH]!;
    const offset = frames[row + FRAME_OFFSET]!;
    copies.push({
      port,
      remote,
      header: templates.slice(template, template + length),
      bytes: arena.slice(offset, offset + frames[row + FRAME_LENGTH]!),
      outer: remote === 0 ? 0 : actions[action + ACTION_OUTER]!,
    });
  }
  return refused;
};
