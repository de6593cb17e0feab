/**
 * VTEPs that have no slot of the remote table yet: the main thread is asked for one, and the frame waits here meanwhile, be it
 * that it is to go there (embedded-vtep.ts) or that it came from there and its source is to be learned (decap.ts). A worker
 * cannot make slots itself.
 *
 * A frame that waits is copied to a descriptor and an arena slot of its own (FRAME_ROWS of binding/abi.ts), untouched: when
 * the main thread has taken the question (a ticket, upcall-ring.ts) and wakes the worker, it is classified from the beginning,
 * before what has come since. It waits once: if there is still no slot then, it goes the way of frames that do not wait. A few
 * frames for each VTEP, HELD_FRAMES in all; the rest do not wait.
 */
import {
  BATCH_FRAMES,
  FRAME_HEADER_OFFSET,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_WORDS,
  HELD_FRAMES,
  SLOT_BYTES,
  SLOT_HEADROOM,
  TAP_SLOTS,
  UDP_SLOTS,
} from "../binding/abi.ts";
import type { Batch } from "./batch.ts";
import { UPCALL_BD, UPCALL_KIND, UPCALL_UNKNOWN_VTEP, type UpcallRing } from "./upcall-ring.ts";

/** So that one VTEP does not take the room of all. */
const HELD_OF_ONE_VTEP = 8;
const FIRST_SLOT = TAP_SLOTS + UDP_SLOTS;
/** Bridge domain and address of each frame that waits. */
const KEY_WORDS = 5;

export class UnknownVteps {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly upcalls: UpcallRing;
  /** A ring: `count` from `first` on, in the order in which they came. */
  private readonly keys = new Int32Array(HELD_FRAMES * KEY_WORDS);
  private readonly tickets = new Int32Array(HELD_FRAMES);
  private first = 0;
  private count = 0;
  /** Those that have waited are being classified: none waits again. */
  private isReleasing = false;

  constructor(batch: Batch, upcalls: UpcallRing) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.upcalls = upcalls;
  }

  get isHolding(): boolean {
    return this.count !== 0;
  }

  /** Asks the main thread for a slot. @param words where four words of a mapped address are, from `at` on */
  report(bd: number, words: Int32Array, at: number): boolean {
    const { upcalls } = this;
    const record = upcalls.begin();
    if (record === 0) return false;
    upcalls.record[record + UPCALL_KIND] = UPCALL_UNKNOWN_VTEP;
    upcalls.record[record + UPCALL_BD] = bd;
    for (let i = 0; i < 4; i++) upcalls.record[record + 2 + i] = words[at + i]!;
    upcalls.commit();
    return true;
  }

  /**
   * The same, and keeps the frame for then, from the arena's byte `start` on. Returns false when it cannot wait.
   * @param row first word of the descriptor
   */
  hold(row: number, start: number, bd: number, words: Int32Array, at: number): boolean {
    if (this.isReleasing || !this.report(bd, words, at)) return false;
    const { arena, frames, keys } = this;
    const bytes = frames[row + FRAME_OFFSET]! + frames[row + FRAME_LENGTH]! - start;
    const hasRoom = this.count < HELD_FRAMES && bytes <= SLOT_BYTES - SLOT_HEADROOM;
    if (!hasRoom || this.heldFor(bd, words, at) === HELD_OF_ONE_VTEP) return false;
    const place = (this.first + this.count++) % HELD_FRAMES;
    const to = (FIRST_SLOT + place) * SLOT_BYTES + SLOT_HEADROOM;
    const held = (BATCH_FRAMES + place) * FRAME_WORDS;
    arena.copyWithin(to, start, start + bytes);
    frames.copyWithin(held, row, row + FRAME_WORDS);
    frames[held + FRAME_OFFSET]! += to - start;
    frames[held + FRAME_HEADER_OFFSET]! += to - start;
    keys[place * KEY_WORDS] = bd;
    for (let i = 0; i < 4; i++) keys[place * KEY_WORDS + 1 + i] = words[at + i]!;
    this.tickets[place] = this.upcalls.ticket;
    return true;
  }

  /** Index of the next frame that has waited long enough, or -1; to be called until then. @param isForced none may wait any longer */
  release(isForced: boolean): number {
    this.isReleasing = this.count !== 0 && (isForced || this.upcalls.isTaken(this.tickets[this.first]!));
    if (!this.isReleasing) return -1;
    const place = this.first;
    this.first = (place + 1) % HELD_FRAMES;
    this.count--;
    return BATCH_FRAMES + place;
  }

  private heldFor(bd: number, words: Int32Array, at: number): number {
    const { keys } = this;
    let held = 0;
    for (let n = 0; n < this.count; n++) {
      const key = ((this.first + n) % HELD_FRAMES) * KEY_WORDS;
      const isSame =
        keys[key] === bd &&
        keys[key + 4] === words[at + 3] &&
        keys[key + 3] === words[at + 2] &&
        keys[key + 2] === words[at + 1] &&
        keys[key + 1] === words[at];
      if (isSame) held++;
    }
    return held;
  }
}
