/**
 * Counters: one set of columns per worker in shared memory, written by that worker alone, added up by the main thread
 * when somebody asks. Doubles count exactly to 2^53 (9 PB) and cost the loop nothing to write; pairs of integers would
 * need a carry, BigInts would allocate.
 *
 * Layout, in doubles:
 *   link:   [bridge domain][LINK_COLUMNS]
 *   drop:   [bridge domain][direction][DROP_REASON_COLUMNS]
 *   remote: [remote slot][REMOTE_COLUMNS]
 *   socket: [binding][DROP_REASON_COLUMNS]   datagrams that belong to no tunnel
 *   worker: [WORKER_COLUMNS]
 */
import { DROP_REASON_COLUMNS } from "../drop-reason.ts";
import { MAX_BINDINGS } from "./binding-table.ts";
import { MAX_BRIDGE_DOMAINS } from "./bridge-domain.ts";
import { MAX_REMOTES } from "./remote-table.ts";

export const LINK_COLUMNS = 16;
/** Overlay to underlay: copies sent, and their overlay bytes. */
export const LINK_TX_FRAMES = 0;
export const LINK_TX_BYTES = 1;
/** Underlay to overlay. */
export const LINK_RX_FRAMES = 2;
export const LINK_RX_BYTES = 3;
/** BUM frames from the overlay that went to the flood list. */
export const LINK_FLOODED = 4;
export const LINK_LEARNS = 5;
export const LINK_MOVES = 6;
export const LINK_FDB_FULL = 7;
export const LINK_RESERVED_BITS = 8;
/** MACs not learned because their VTEP had all the entries it may have. */
export const LINK_FDB_REMOTE_FULL = 9;
/** Frames whose MAC was held where it is. */
export const LINK_MOVES_DAMPED = 10;
/** Questions for neighbours that were answered here. */
export const LINK_NEIGHBOUR_ANSWERS = 13;
/** GRE keepalives that were answered here. */
export const LINK_KEEPALIVES = 15;

export const ENCAP = 0;
export const DECAP = 1;
export const DROP_COLUMNS: number = 2 * DROP_REASON_COLUMNS;

export const REMOTE_COLUMNS = 4;
export const REMOTE_TX_FRAMES = 0;
export const REMOTE_TX_BYTES = 1;
export const REMOTE_RX_FRAMES = 2;
export const REMOTE_RX_BYTES = 3;

export const WORKER_COLUMNS = 4;
export const WORKER_WAKEUPS = 0;
export const WORKER_BATCHES = 1;
export const WORKER_FRAMES = 2;

export interface Counters {
  readonly link: Float64Array;
  readonly drop: Float64Array;
  readonly remote: Float64Array;
  readonly socket: Float64Array;
  readonly worker: Float64Array;
}

/** Starts a new owner of a row at zero in all workers' sets: rows are given out again when a tunnel or remote is gone. */
export const clearRow = (sets: readonly Counters[], group: keyof Counters, row: number, columns: number): void => {
  for (const set of sets) set[group].fill(0, row * columns, (row + 1) * columns);
};

const doubles = (count: number): Float64Array => new Float64Array(new SharedArrayBuffer(count * 8));

export const allocateCounters = (): Counters => ({
  link: doubles(MAX_BRIDGE_DOMAINS * LINK_COLUMNS),
  drop: doubles(MAX_BRIDGE_DOMAINS * DROP_COLUMNS),
  remote: doubles(MAX_REMOTES * REMOTE_COLUMNS),
  socket: doubles(MAX_BINDINGS * DROP_REASON_COLUMNS),
  worker: doubles(WORKER_COLUMNS),
});
