/**
 * Layout of the FDB's shared memory; fdb.ts says what it is for.
 *
 *   slots    SLOT words each, see below
 *   header   lock, counts of the whole table, then one count of non-empty slots per block
 *   domains  FDB_DOMAIN_WORDS per bridge domain: what its learned entries may be, and how many it has
 *   targets  learned entries per remote slot
 */

export const SLOT = 6; // words
export const KEY_LO = 0; // MAC bytes 2..5
export const KEY_HI = 1; // bridge domain << 16 | MAC bytes 0..1; or one of the three markers
export const TARGET = 2; // slot of the remote VTEP, see remote-table.ts
export const FLAGS = 3; // FDB_* bits, and what move-damping.ts remembers
export const UPDATED = 4; // second when made or moved; in a grave: when it was buried
export const USED = 5; // second of the last hit, as source or as destination

export const EMPTY = 0;
export const TOMB = 1;
export const GRAVE = 2;
/** Live keys are at or above this, because bridge domains count from 1. */
export const FIRST_KEY: number = 1 << 16;

export const FDB_STATIC = 1;
/** Made over the control socket rather than by the configuration file. */
export const FDB_CONTROL = 2;
/** With FDB_STATIC: frames of the MAC from elsewhere are delivered, where without it they are dropped. */
export const FDB_STICKY = 4;
/** All FDB_* bits. */
export const FDB_FLAGS = 7;

/** Slots swept under one hold of the lock: some 5 us. */
export const BLOCK_SLOTS = 1024;

export const LOCK = 0;
export const LIVE = 1;
/** Slots that are not EMPTY: what a probe may have to cross. */
export const OCCUPIED = 2;
export const HEADER_WORDS = 16;

// A bridge domain's row.
export const FDB_DOMAIN_WORDS = 8;
export const LEARNED = 0;
export const FIXED = 1;
/** Learned entries allowed in all, and behind one remote VTEP; 0 = as many as there is room for. */
export const LIMIT = 2;
export const LIMIT_PER_REMOTE = 3;
/** FAIR, DAMPED. */
export const OPTIONS = 4;
/** Learned entries that one remote VTEP may have while the bridge domain is full, so that others have some; 0 = any. */
export const SHARE = 5;
/** At least what the remote VTEP with the most learned entries has. */
export const MOST = 6;
/** When eviction was last asked for. */
export const ASKED = 7;

// In OPTIONS.
/** Who has few entries may have those of who has many evicted; see daemon/eviction.ts. */
export const FAIR = 1;
/** An entry that moves too often is held; see move-damping.ts. */
export const DAMPED = 2;

/** The shared parts; typed arrays over SharedArrayBuffers, so that they can be handed to a worker. */
export interface FdbMemory {
  readonly slots: Int32Array;
  readonly header: Int32Array;
  readonly domains: Int32Array;
  readonly targets: Int32Array;
  readonly capacity: number;
}

const slotsFor = (capacity: number): number => 2 ** Math.ceil(Math.log2(Math.max(capacity, BLOCK_SLOTS) * 1.9));

const words = (count: number): Int32Array => new Int32Array(new SharedArrayBuffer(count * 4));

/** @param maxTargets remote slots are below this */
export const allocateFdb = (capacity: number, maxBridgeDomains: number, maxTargets: number): FdbMemory => {
  const slots = slotsFor(capacity);
  return {
    slots: words(slots * SLOT),
    header: words(HEADER_WORDS + slots / BLOCK_SLOTS),
    domains: words(maxBridgeDomains * FDB_DOMAIN_WORDS),
    targets: words(maxTargets),
    capacity,
  };
};
