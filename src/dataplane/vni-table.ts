/**
 * (underlay binding, VNI) -> bridge domain: which tunnel a datagram belongs to.
 *
 * Open addressing over ENTRY words a slot, four times as many slots as bridge domains, so probes are short and never
 * full. The main thread writes; workers read without a lock: the key is written last, and a removed entry keeps its slot
 * as a tomb (domain 0) that only the same key takes again or a rebuild of the chain clears.
 */
import { MAX_BRIDGE_DOMAINS } from "./bridge-domain.ts";

const ENTRY = 2; // words
const KEY = 0; // binding << 24 | VNI, plus one in the binding, so that 0 is an empty slot
const BD = 1; // 0 = tomb
const SLOTS = MAX_BRIDGE_DOMAINS * 4;
const EMPTY = 0;

const keyOf = (binding: number, vni: number): number => ((binding + 1) << 24) | vni;
const slotOf = (key: number): number => (Math.imul(key, 0x9e3779b1) >>> 8) & (SLOTS - 1);

export class VniTable {
  readonly words: Int32Array;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(SLOTS * ENTRY * 4))) {
    this.words = words;
  }

  /** The bridge domain, or 0. Any thread. */
  find(binding: number, vni: number): number {
    const { words } = this;
    const key = keyOf(binding, vni);
    for (let slot = slotOf(key); ; slot = (slot + 1) & (SLOTS - 1)) {
      const found = words[slot * ENTRY + KEY]!;
      if (found === key) return words[slot * ENTRY + BD]!;
      if (found === EMPTY) return 0;
    }
  }

  /** Main thread. */
  set(binding: number, vni: number, bd: number): void {
    const { words } = this;
    const key = keyOf(binding, vni);
    let slot = slotOf(key);
    while (words[slot * ENTRY + KEY] !== EMPTY && words[slot * ENTRY + KEY] !== key) slot = (slot + 1) & (SLOTS - 1);
    words[slot * ENTRY + BD] = bd;
    Atomics.store(words, slot * ENTRY + KEY, key);
  }

  /** Main thread. Keeps the key in place while others may lie behind it; clears the end of the chain. */
  delete(binding: number, vni: number): void {
    const { words } = this;
    const key = keyOf(binding, vni);
    let slot = slotOf(key);
    while (words[slot * ENTRY + KEY] !== key) {
      if (words[slot * ENTRY + KEY] === EMPTY) return;
      slot = (slot + 1) & (SLOTS - 1);
    }
    Atomics.store(words, slot * ENTRY + BD, 0);
    while (words[((slot + 1) & (SLOTS - 1)) * ENTRY + KEY] === EMPTY && words[slot * ENTRY + BD] === 0) {
      if (words[slot * ENTRY + KEY] === EMPTY) return;
      Atomics.store(words, slot * ENTRY + KEY, EMPTY);
      slot = (slot - 1) & (SLOTS - 1);
    }
  }
}
