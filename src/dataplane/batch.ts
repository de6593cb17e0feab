/**
 * One worker's batch: the shared memory between its loop and its Io. A frame descriptor, its arena slot and the actions
 * on it are borrowed from `receive` to the next `receive`; nobody keeps an index across batches, except
 * for frames that wait for a remote VTEP (unknown-vteps.ts). Layouts: binding/abi.ts.
 */
import { ACTION_WORDS, ARENA_BYTES, FRAME_ROWS, FRAME_WORDS, MAX_ACTIONS, STATUS_WORDS } from "../binding/abi.ts";

export interface Batch {
  readonly arena: Uint8Array;
  readonly frames: Int32Array;
  readonly actions: Int32Array;
  readonly status: Int32Array;
}

export const allocateBatch = (): Batch => ({
  arena: new Uint8Array(new SharedArrayBuffer(ARENA_BYTES)),
  frames: new Int32Array(new SharedArrayBuffer(FRAME_ROWS * FRAME_WORDS * 4)),
  actions: new Int32Array(new SharedArrayBuffer(MAX_ACTIONS * ACTION_WORDS * 4)),
  status: new Int32Array(new SharedArrayBuffer(STATUS_WORDS * 4)),
});
