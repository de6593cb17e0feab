/**
 * Fair eviction: when a tunnel has all the learned entries it may have, a remote VTEP with few of them still gets its MACs
 * learned, at the expense of those with the most. A VTEP that floods random MACs then hurts itself, not the others.
 *
 * A worker that cannot learn behind a VTEP that has fewer entries than another reports it (at most eight times a second for
 * each bridge domain), and goes on; here the greediest VTEPs lose their least recently used entries, down to the share at
 * which WANTED of the limit are free. The share stays in force until there is room again: otherwise who floods would have
 * the free places before the next frame of who asked. More askers make the share smaller, but never smaller than what the
 * asker has, so it ends where all have the same. Static entries stay. The whole table being full evicts nobody: tunnels
 * do not pay for each other.
 *
 * Work is bounded: two passes over the table for all tunnels that asked within COLLECT_MS, blocks at a time under its lock,
 * and one comparison for a worker. Main thread.
 *
 * Rejected: an order by use in the table itself (a list over shared memory, relinked by every hit, costs each frame a lock);
 * eviction by the worker that learns (it would have to search the table, with frames waiting).
 */
import type { Fdb } from "../dataplane/fdb.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";
import { UPCALL_BD, UPCALL_REMOTE } from "../dataplane/upcall-ring.ts";
import { monotonicS } from "./clock.ts";

/** Of a tunnel's limit, as a right shift: one in 64, at least one. */
const WANTED_SHIFT = 6;
const COLLECT_MS = 20;

/** Which entries of a remote VTEP go: those last used before a second, and `ties` of those used in it. */
interface Oldest {
  readonly beforeS: number;
  ties: number;
}

export class Eviction {
  private readonly fdb: Fdb;
  private readonly slotsOf: (bd: number) => readonly number[];
  private readonly evicted = new Map<number, number>();
  /** Fewest entries of an asker, by bridge domain. */
  private readonly askers = new Map<number, number>();
  private readonly shared = new Set<number>();
  private timer: NodeJS.Timeout | undefined;

  /** @param slotsOf remote slots of a bridge domain */
  constructor(fdb: Fdb, slotsOf: (bd: number) => readonly number[]) {
    this.fdb = fdb;
    this.slotsOf = slotsOf;
  }

  /** Takes an UPCALL_FDB_FULL. */
  asked(record: Int32Array): void {
    const bd = record[UPCALL_BD]!;
    const learned = this.fdb.accounts.learnedAt(record[UPCALL_REMOTE]!);
    this.askers.set(bd, Math.min(learned, this.askers.get(bd) ?? learned));
    this.timer ??= setTimeout(() => this.run(), COLLECT_MS);
  }

  /** Entries evicted from a bridge domain since `reset`. */
  count(bd: number): number {
    return this.evicted.get(bd) ?? 0;
  }

  /** A bridge domain has a new owner. */
  reset(bd: number): void {
    this.evicted.delete(bd);
    this.lift(bd);
  }

  /** Once a second: who was held at a share may have more again when there is room. */
  tick(): void {
    const { accounts } = this.fdb;
    for (const bd of this.shared) {
      if (accounts.limit(bd) - accounts.learned(bd) > 2 * wanted(accounts.limit(bd))) this.lift(bd);
    }
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  /** Makes room for all who asked. */
  run(): void {
    this.timer = undefined;
    const surplus = new Map<number, number>();
    for (const [bd, learned] of this.askers) this.share(bd, learned, surplus);
    this.askers.clear();
    if (surplus.size > 0) this.evict(surplus);
  }

  /** Fixes the tunnel's share and notes by slot how many entries are beyond it. */
  private share(bd: number, learnedByAsker: number, surplus: Map<number, number>): void {
    const { accounts } = this.fdb;
    const slots = this.slotsOf(bd);
    const counts = slots.map((slot) => accounts.learnedAt(slot));
    const most = counts.reduce((max, count) => Math.max(max, count), 0);
    accounts.setMost(bd, most);
    const share = Math.max(shareThatFrees(wanted(accounts.limit(bd)), counts), learnedByAsker + 1);
    if (share >= most) return;
    accounts.setShare(bd, share);
    this.shared.add(bd);
    for (const [index, count] of counts.entries()) if (count > share) surplus.set(slots[index]!, count - share);
  }

  private evict(surplus: ReadonlyMap<number, number>): void {
    const nowS = monotonicS();
    const usedS = new Map([...surplus.keys()].map((slot) => [slot, [] as number[]]));
    this.fdb.sweep(nowS, (_bd, target, flags, second) => {
      if ((flags & FDB_STATIC) === 0) usedS.get(target)?.push(second);
      return false;
    });
    const goes = new Map([...surplus].map(([slot, count]) => [slot, oldest(usedS.get(slot)!, count)]));
    this.fdb.sweep(nowS, (bd, target, flags, second) => {
      const old = goes.get(target);
      if (old === undefined || (flags & FDB_STATIC) !== 0 || second > old.beforeS) return false;
      if (second === old.beforeS && --old.ties < 0) return false;
      this.evicted.set(bd, this.count(bd) + 1);
      return true;
    });
  }

  private lift(bd: number): void {
    this.fdb.accounts.setShare(bd, 0);
    this.shared.delete(bd);
  }
}

/** Entries to free, of a limit. */
const wanted = (limit: number): number => Math.max(1, limit >> WANTED_SHIFT);

/** The largest share that frees so many entries when nobody has more than it. */
const shareThatFrees = (entries: number, counts: readonly number[]): number => {
  const descending = counts.toSorted((a, b) => b - a);
  let sum = 0;
  for (const [index, count] of descending.entries()) {
    sum += count;
    const share = Math.floor((sum - entries) / (index + 1));
    if (share >= (descending[index + 1] ?? 0)) return share;
  }
  return 0;
};

const oldest = (usedS: number[], count: number): Oldest => {
  usedS.sort((a, b) => a - b);
  const beforeS = usedS[Math.min(count, usedS.length) - 1] ?? 0;
  return { beforeS, ties: count - usedS.filter((second) => second < beforeS).length };
};
