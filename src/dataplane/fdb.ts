/**
 * The forwarding database: (bridge domain, MAC) -> target, for all bridge domains of the daemon in one table.
 *
 * Holds: open addressing with linear probing in one Int32Array over shared memory, SLOT words a slot, twice as many slots
 * as entries. 24 bytes a slot keep 1 M entries in 48 MiB; 32 bytes would not straddle cache lines but measured no faster
 * (bench/micro/fdb.bench.ts) and cost a third more memory.
 *
 * A slot is EMPTY, live, in its GRAVE or a TOMB, told by KEY_HI. Invariants:
 *  - a live entry is reachable from its hash without crossing an EMPTY slot;
 *  - KEY_HI is written last when an entry is made, so a reader that finds the key finds the rest;
 *  - a slot never goes from one key to another while somebody may still read it: a removed entry first lies in its GRAVE
 *    for GRAVE_S seconds (a reader takes nanoseconds), then is a TOMB that a new entry may take, and becomes EMPTY when
 *    nothing behind it needs it.
 *
 * Threads: any thread may read at any time, without a lock. Writers take one spin lock; a worker gives up after
 * LOCK_SPINS (the next frame will teach it again), because nothing on the data path waits. Only the main thread makes
 * static entries, ages, flushes and iterates; a worker makes, moves and, rarely, removes a learned one.
 *
 * Limits: `capacity` entries in all, and of learned ones what their accounts (fdb-accounts.ts) allow, per bridge domain and per
 * remote VTEP. Full means not learned; the frame still goes out as unknown unicast.
 *
 * Rejected: learn rings to one writer thread (a worker would not see its own learning at the next frame); one table per
 * bridge domain (4094 tables sized for the worst case).
 */

import { FdbAccounts } from "./fdb-accounts.ts";
import {
  BLOCK_SLOTS,
  EMPTY,
  FDB_FLAGS,
  FDB_STATIC,
  FDB_STICKY,
  type FdbMemory,
  FIRST_KEY,
  FLAGS,
  GRAVE,
  HEADER_WORDS,
  KEY_HI,
  KEY_LO,
  LIVE,
  LOCK,
  OCCUPIED,
  SLOT,
  TARGET,
  TOMB,
  UPDATED,
  USED,
} from "./fdb-memory.ts";
import { countMove, isHeld } from "./move-damping.ts";

const GRAVE_S = 2;
const LOCK_SPINS = 200;

// What `learn` did.
export const LEARN_NEW = 1;
export const LEARN_MOVED = 2;
export const LEARN_STATIC = 3;
export const LEARN_FULL = 4;
export const LEARN_BUSY = 5;
export const LEARN_REMOTE_FULL = 6;
/** As LEARN_FULL, but another remote VTEP has more than this one: the main thread should evict (daemon/eviction.ts). */
export const LEARN_UNFAIR = 7;
/** The MAC moved too often: from now on it is held where it is, for a while. */
export const LEARN_HELD = 8;

/** One entry as the main thread reads it. */
export interface FdbEntry {
  readonly bd: number;
  readonly macHi: number;
  readonly macLo: number;
  readonly target: number;
  readonly flags: number;
  readonly updatedS: number;
  readonly usedS: number;
}

/** Whether an entry is to be removed. */
type Dead = (bd: number, target: number, flags: number, usedS: number, macHi: number, macLo: number) => boolean;

export class Fdb {
  readonly capacity: number;
  private readonly slots: Int32Array;
  private readonly header: Int32Array;
  private readonly mask: number;
  private readonly blocks: number;
  readonly accounts: FdbAccounts;

  constructor(memory: FdbMemory) {
    this.capacity = memory.capacity;
    this.slots = memory.slots;
    this.header = memory.header;
    const slotCount = memory.slots.length / SLOT;
    this.mask = slotCount - 1;
    this.blocks = slotCount / BLOCK_SLOTS;
    this.accounts = new FdbAccounts(memory);
  }

  /** Handle of the entry (valid until it is removed), or -1. Any thread. */
  find(bd: number, macHi: number, macLo: number): number {
    const { slots, mask } = this;
    const key = (bd << 16) | macHi;
    let slot = hash(key, macLo) & mask;
    for (;;) {
      const at = slot * SLOT;
      const found = slots[at + KEY_HI]!;
      if (found === key && slots[at + KEY_LO] === macLo) return at;
      if (found === EMPTY) return -1;
      slot = (slot + 1) & mask;
    }
  }

  /**
   * Reads the slot where a search for the MAC would begin, so that it is in the cache when `find` comes: in a large table
   * each search waits for memory, and asking for a whole batch first lets those waits overlap. Returns what it read.
   */
  preload(bd: number, macHi: number, macLo: number): number {
    return this.slots[(hash((bd << 16) | macHi, macLo) & this.mask) * SLOT + KEY_HI]!;
  }

  target(handle: number): number {
    return this.slots[handle + TARGET]!;
  }

  isStatic(handle: number): boolean {
    return (this.slots[handle + FLAGS]! & FDB_STATIC) !== 0;
  }

  /** Whether the entry may not move, for the time being. */
  isHeld(handle: number, nowS: number): boolean {
    return isHeld(this.slots[handle + FLAGS]!, nowS);
  }

  isSticky(handle: number): boolean {
    return (this.slots[handle + FLAGS]! & FDB_STICKY) !== 0;
  }

  /** Notes a hit. Writes only when the second changed, so that a busy entry's cache line stays shared between workers. */
  touch(handle: number, nowS: number): void {
    if (this.slots[handle + USED] !== nowS) this.slots[handle + USED] = nowS;
  }

  /**
   * Makes the MAC's entry point to `target`: a new entry, or a move. Static entries win. Call it when `find` said -1 or
   * another target; any worker. Returns LEARN_*.
   */
  learn(bd: number, macHi: number, macLo: number, target: number, nowS: number): number {
    if (!this.tryLock()) return LEARN_BUSY;
    const result = this.learnLocked(bd, macHi, macLo, target, nowS);
    this.unlock();
    return result;
  }

  private learnLocked(bd: number, macHi: number, macLo: number, target: number, nowS: number): number {
    const handle = this.find(bd, macHi, macLo);
    if (handle >= 0) return this.move(handle, target, nowS);
    const { accounts } = this;
    if (accounts.isRemoteFull(bd, target)) return LEARN_REMOTE_FULL;
    if (this.isFull() || accounts.hasItsShare(bd, target)) return LEARN_FULL;
    if (accounts.isFull(bd)) return accounts.mayAsk(bd, target) ? LEARN_UNFAIR : LEARN_FULL;
    this.insert(bd, macHi, macLo, target, 0, nowS);
    accounts.addLearned(bd, target);
    return LEARN_NEW;
  }

  /** Where the remote VTEP may have no more entries, the old one goes all the same: the MAC is no longer there. */
  private move(handle: number, target: number, nowS: number): number {
    const { slots, accounts } = this;
    if ((slots[handle + FLAGS]! & FDB_STATIC) !== 0) return LEARN_STATIC;
    const from = slots[handle + TARGET]!;
    if (from !== target) {
      const bd = slots[handle + KEY_HI]! >>> 16;
      if (accounts.isDamped(bd)) {
        const flags = countMove(slots[handle + FLAGS]!, nowS);
        slots[handle + FLAGS] = flags;
        if (isHeld(flags, nowS)) return LEARN_HELD;
      }
      if (accounts.isRemoteFull(bd, target)) {
        this.bury(handle, nowS);
        return LEARN_REMOTE_FULL;
      }
      accounts.move(bd, from, target);
    }
    slots[handle + TARGET] = target;
    slots[handle + UPDATED] = nowS;
    slots[handle + USED] = nowS;
    return LEARN_MOVED;
  }

  /**
   * Makes or overwrites an entry as static, whatever was learned. Returns false when the table is full. Main thread.
   * @param flags FDB_CONTROL, FDB_STICKY
   */
  setStatic(bd: number, macHi: number, macLo: number, target: number, flags: number, nowS: number): boolean {
    this.lock();
    try {
      const { slots, accounts } = this;
      const handle = this.find(bd, macHi, macLo);
      if (handle < 0) {
        if (this.isFull()) return false;
        this.insert(bd, macHi, macLo, target, FDB_STATIC | flags, nowS);
        accounts.addFixed(bd);
        return true;
      }
      if ((slots[handle + FLAGS]! & FDB_STATIC) === 0) {
        accounts.removeLearned(bd, slots[handle + TARGET]!);
        accounts.addFixed(bd);
      }
      slots[handle + FLAGS] = FDB_STATIC | flags;
      slots[handle + TARGET] = target;
      slots[handle + UPDATED] = nowS;
      return true;
    } finally {
      this.unlock();
    }
  }

  /** Removes one entry. Returns false when there is none. Main thread. */
  remove(bd: number, macHi: number, macLo: number, nowS: number): boolean {
    this.lock();
    try {
      const handle = this.find(bd, macHi, macLo);
      if (handle < 0) return false;
      this.bury(handle, nowS);
      return true;
    } finally {
      this.unlock();
    }
  }

  /**
   * One pass over all occupied blocks: removes entries for which `dead` says so and lets graves and tombs go. `dead` gets
   * (bridge domain, target, flags, second of last use, MAC). Returns how many entries were removed. Main thread.
   */
  sweep(nowS: number, dead: Dead): number {
    let removed = 0;
    for (let block = 0; block < this.blocks; block++) {
      if (this.header[HEADER_WORDS + block] === 0) continue;
      this.lock();
      removed += this.sweepBlock(block, nowS, dead);
      this.unlock();
    }
    return removed;
  }

  private sweepBlock(block: number, nowS: number, dead: Dead): number {
    const { slots, mask } = this;
    let removed = 0;
    // Backwards, because a tomb can go as soon as the slot behind it is empty.
    for (let slot = (block + 1) * BLOCK_SLOTS - 1; slot >= block * BLOCK_SLOTS; slot--) {
      const at = slot * SLOT;
      const key = slots[at + KEY_HI]!;
      if (key >= FIRST_KEY) {
        const target = slots[at + TARGET]!;
        const flags = slots[at + FLAGS]!;
        if (!dead(key >>> 16, target, flags, slots[at + USED]!, key & 0xffff, slots[at + KEY_LO]!)) continue;
        this.bury(at, nowS);
        removed++;
      } else if (key === GRAVE && nowS - slots[at + UPDATED]! >= GRAVE_S) {
        slots[at + KEY_HI] = TOMB;
      }
      if (slots[at + KEY_HI] === TOMB && slots[((slot + 1) & mask) * SLOT + KEY_HI] === EMPTY) {
        slots[at + KEY_HI] = EMPTY;
        this.header[HEADER_WORDS + block]!--;
        this.header[OCCUPIED]!--;
      }
    }
    return removed;
  }

  /** All live entries, in no order; those made or removed meanwhile may or may not be seen. Main thread. */
  *entries(): Generator<FdbEntry> {
    const { slots } = this;
    for (let block = 0; block < this.blocks; block++) {
      if (this.header[HEADER_WORDS + block] === 0) continue;
      for (let slot = block * BLOCK_SLOTS; slot < (block + 1) * BLOCK_SLOTS; slot++) {
        const at = slot * SLOT;
        const key = slots[at + KEY_HI]!;
        if (key < FIRST_KEY) continue;
        yield {
          bd: key >>> 16,
          macHi: key & 0xffff,
          macLo: slots[at + KEY_LO]!,
          target: slots[at + TARGET]!,
          flags: slots[at + FLAGS]! & FDB_FLAGS,
          updatedS: slots[at + UPDATED]!,
          usedS: slots[at + USED]!,
        };
      }
    }
  }

  get live(): number {
    return this.header[LIVE]!;
  }

  /** Graves count too: a table flushed and refilled within GRAVE_S must still have EMPTY slots for probes to end at. */
  private isFull(): boolean {
    return this.header[LIVE]! >= this.capacity || this.header[OCCUPIED]! >= this.mask - (this.mask >>> 4);
  }

  private insert(bd: number, macHi: number, macLo: number, target: number, flags: number, nowS: number): void {
    const { slots, mask, header } = this;
    const key = (bd << 16) | macHi;
    let slot = hash(key, macLo) & mask;
    while (slots[slot * SLOT + KEY_HI] !== EMPTY && slots[slot * SLOT + KEY_HI] !== TOMB) slot = (slot + 1) & mask;
    const at = slot * SLOT;
    if (slots[at + KEY_HI] === EMPTY) {
      header[HEADER_WORDS + Math.trunc(slot / BLOCK_SLOTS)]!++;
      header[OCCUPIED]!++;
    }
    slots[at + KEY_LO] = macLo;
    slots[at + TARGET] = target;
    slots[at + FLAGS] = flags;
    slots[at + UPDATED] = nowS;
    slots[at + USED] = nowS;
    Atomics.store(slots, at + KEY_HI, key);
    header[LIVE]!++;
  }

  private bury(handle: number, nowS: number): void {
    const { slots, accounts } = this;
    const bd = slots[handle + KEY_HI]! >>> 16;
    if ((slots[handle + FLAGS]! & FDB_STATIC) !== 0) accounts.removeFixed(bd);
    else accounts.removeLearned(bd, slots[handle + TARGET]!);
    this.header[LIVE]!--;
    Atomics.store(slots, handle + KEY_HI, GRAVE);
    slots[handle + UPDATED] = nowS;
  }

  private tryLock(): boolean {
    for (let spin = 0; spin < LOCK_SPINS; spin++) {
      if (Atomics.compareExchange(this.header, LOCK, 0, 1) === 0) return true;
    }
    return false;
  }

  /** Main thread only: holders are workers in the middle of one insertion. */
  private lock(): void {
    while (!this.tryLock());
  }

  private unlock(): void {
    Atomics.store(this.header, LOCK, 0);
  }
}

/** Mixes both key words so that consecutive MACs and bridge domains spread (multipliers: murmur3's finaliser). */
const hash = (key: number, lo: number): number => {
  let h = Math.imul(lo ^ Math.imul(key, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
};
