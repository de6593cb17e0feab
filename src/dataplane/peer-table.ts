/**
 * (underlay binding, key, outer source) -> bridge domain: which tunnel a datagram belongs to where a VNI does not say it. As
 * the kernel looks tunnels up: several may share a local address and a key, or have none, and differ in their remote VTEP. A row
 * whose address is all zeros takes whoever has none of its own.
 *
 * Open addressing, ENTRY words a slot. The main thread writes; workers read without a lock: the state is written last, and a
 * removed row stays as a tomb (domain 0) while others may lie behind it.
 */
import { VtepdError } from "../errors.ts";

const ENTRY = 8; // words
const STATE = 0; // 0 = empty, else binding + 1
const KIND = 1; // PEER_* bits
const KEY = 2;
const BD = 3; // 0 = tomb
const ADDRESS = 4; // four words, mapped
const SLOTS = 1 << 15;
/** Beyond it, probes would become long. */
const MAX_ROWS = SLOTS / 2;

/** The key means something: 0 is a key, too. */
export const PEER_KEYED = 1;
/** Ethernet inside: a gre and a gretap tunnel may have all else in common. */
export const PEER_ETHERNET = 2;
/** Mirrored frames; the key is their session. */
export const PEER_MIRROR = 4;

const ANYBODY: Int32Array = new Int32Array(4);

export interface Peer {
  readonly binding: number;
  /** PEER_* bits. */
  readonly kind: number;
  /** int32; 0 without PEER_KEYED. */
  readonly key: number;
  /** Four words; undefined = whoever has no row of its own. */
  readonly address: Int32Array | undefined;
}

export class PeerTable {
  readonly words: Int32Array;
  private rows = 0;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(SLOTS * ENTRY * 4))) {
    this.words = words;
  }

  /** The bridge domain, or 0. Any thread. */
  find(binding: number, kind: number, key: number, a0: number, a1: number, a2: number, a3: number): number {
    const bd = this.lookUp(binding, kind, key, a0, a1, a2, a3);
    return bd !== 0 ? bd : this.lookUp(binding, kind, key, 0, 0, 0, 0);
  }

  /** The bridge domain that has just this row, or 0. */
  get({ binding, kind, key, address = ANYBODY }: Peer): number {
    return this.lookUp(binding, kind, key, address[0]!, address[1]!, address[2]!, address[3]!);
  }

  /** Main thread. @throws ERR_LIMIT */
  set({ binding, kind, key, address = ANYBODY }: Peer, bd: number): void {
    const { words } = this;
    const at = this.slotOf(binding, kind, key, address[0]!, address[1]!, address[2]!, address[3]!) * ENTRY;
    if (words[at + STATE] === 0) {
      if (++this.rows > MAX_ROWS) {
        throw new VtepdError(
          "ERR_LIMIT",
          `expected at most ${MAX_ROWS} remote VTEPs of tunnels without a VNI, got one more`,
        );
      }
      words[at + KIND] = kind;
      words[at + KEY] = key;
      words.set(address, at + ADDRESS);
      words[at + BD] = 0;
      Atomics.store(words, at + STATE, binding + 1);
    }
    Atomics.store(words, at + BD, bd);
  }

  /** Main thread. */
  delete({ binding, kind, key, address = ANYBODY }: Peer): void {
    const at = this.slotOf(binding, kind, key, address[0]!, address[1]!, address[2]!, address[3]!) * ENTRY;
    if (this.words[at + STATE] === 0) return;
    Atomics.store(this.words, at + BD, 0);
    this.clearTombs(at / ENTRY);
  }

  /** Empties the run of tombs that ends at `slot`, if nothing lies behind it. */
  private clearTombs(slot: number): void {
    const { words } = this;
    if (words[((slot + 1) & (SLOTS - 1)) * ENTRY + STATE] !== 0) return;
    let at = slot;
    while (words[at * ENTRY + STATE] !== 0 && words[at * ENTRY + BD] === 0) {
      Atomics.store(words, at * ENTRY + STATE, 0);
      this.rows--;
      at = (at - 1) & (SLOTS - 1);
    }
  }

  private lookUp(binding: number, kind: number, key: number, a0: number, a1: number, a2: number, a3: number): number {
    const at = this.slotOf(binding, kind, key, a0, a1, a2, a3) * ENTRY;
    return this.words[at + STATE] === 0 ? 0 : this.words[at + BD]!;
  }

  /** The row's slot, or the empty one where it would go. */
  private slotOf(binding: number, kind: number, key: number, a0: number, a1: number, a2: number, a3: number): number {
    const { words } = this;
    let slot = hash(binding, kind, key, a0, a1, a2, a3);
    for (;;) {
      const at = slot * ENTRY;
      const state = words[at + STATE]!;
      if (state === 0) return slot;
      if (
        state === binding + 1 &&
        words[at + KIND] === kind &&
        words[at + KEY] === key &&
        words[at + ADDRESS + 3] === a3 &&
        words[at + ADDRESS + 2] === a2 &&
        words[at + ADDRESS + 1] === a1 &&
        words[at + ADDRESS] === a0
      ) {
        return slot;
      }
      slot = (slot + 1) & (SLOTS - 1);
    }
  }
}

const hash = (binding: number, kind: number, key: number, a0: number, a1: number, a2: number, a3: number): number => {
  let h = Math.imul(a3 ^ Math.imul(key ^ (binding << 8) ^ kind, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ a2 ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ a1 ^ a0 ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) & (SLOTS - 1);
};
