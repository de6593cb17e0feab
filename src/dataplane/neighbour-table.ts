/**
 * Neighbours: (bridge domain, IP address) -> MAC, for all tunnels that answer ARP and neighbour discovery themselves.
 *
 * Holds: open addressing with linear probing in one Int32Array over shared memory, SLOT words a slot, twice as many slots
 * as entries. An address is four words in network order, IPv4 mapped into IPv6.
 *
 * Threads: the main thread writes, any worker reads without a lock. An entry never changes its MAC in place, since two
 * words cannot be read at once: the new entry is made, then the old one removed. A removed slot lies in its GRAVE for
 * GRAVE_S seconds, so that a reader who has just found it reads what it was, then becomes a TOMB that a new entry may
 * take, and EMPTY when nothing behind it needs it.
 *
 * Limits: MAX_NEIGHBOURS entries in all.
 */
import { VtepdError } from "../errors.ts";

export const MAX_NEIGHBOURS = 65_536;

const SLOTS = MAX_NEIGHBOURS * 2;
const SLOT = 8; // words
const DOMAIN = 0; // bridge domain, or one of the three markers
const ADDRESS = 1; // words 1..4
const MAC_HI = 5; // MAC bytes 0..1, and NEIGHBOUR_* bits
const MAC_LO = 6;
const SEEN = 7; // second in which the neighbour was last heard

const EMPTY = 0;
const TOMB = -1;
const GRAVE = -2;
const GRAVE_S = 2;

/** In what `flags` returns. */
export const NEIGHBOUR_ROUTER: number = 1 << 16;
export const NEIGHBOUR_STATIC: number = 1 << 17;

export const allocateNeighbours = (): Int32Array => new Int32Array(new SharedArrayBuffer(SLOTS * SLOT * 4));

/** Four words, network order. */
export type AddressWords = readonly [number, number, number, number];

export class NeighbourTable {
  private readonly words: Int32Array;
  private count = 0;
  private readonly graves: { at: number; untilS: number }[] = [];

  constructor(words: Int32Array = allocateNeighbours()) {
    this.words = words;
  }

  /** Handle of the neighbour with this address, or -1. Any thread. */
  find(bd: number, a0: number, a1: number, a2: number, a3: number): number {
    const { words } = this;
    for (let slot = hash(bd, a0, a1, a2, a3); ; slot = (slot + 1) & (SLOTS - 1)) {
      const at = slot * SLOT;
      const domain = words[at]!;
      if (domain === EMPTY) return -1;
      if (
        domain === bd &&
        words[at + ADDRESS + 3] === a3 &&
        words[at + ADDRESS + 2] === a2 &&
        words[at + ADDRESS + 1] === a1 &&
        words[at + ADDRESS] === a0
      ) {
        return at;
      }
    }
  }

  macHi(handle: number): number {
    return this.words[handle + MAC_HI]! & 0xffff;
  }

  macLo(handle: number): number {
    return this.words[handle + MAC_LO]!;
  }

  /** NEIGHBOUR_* bits. */
  flags(handle: number): number {
    return this.words[handle + MAC_HI]! & ~0xffff;
  }

  seenS(handle: number): number {
    return this.words[handle + SEEN]!;
  }

  /** Main thread. */
  touch(handle: number, nowS: number): void {
    this.words[handle + SEEN] = nowS;
  }

  /** Makes an entry; one of the same address must be removed afterwards. Main thread. @throws ERR_LIMIT */
  insert(bd: number, address: AddressWords, macHi: number, macLo: number, flags: number, nowS: number): number {
    const { words } = this;
    this.bury(nowS);
    if (this.count >= MAX_NEIGHBOURS) {
      throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_NEIGHBOURS} neighbours in all, got one more`);
    }
    let slot = hash(bd, ...address);
    while (words[slot * SLOT] !== EMPTY && words[slot * SLOT] !== TOMB) slot = (slot + 1) & (SLOTS - 1);
    const at = slot * SLOT;
    words.set(address, at + ADDRESS);
    words[at + MAC_HI] = macHi | flags;
    words[at + MAC_LO] = macLo;
    words[at + SEEN] = nowS;
    Atomics.store(words, at, bd);
    this.count++;
    return at;
  }

  /** Main thread. */
  remove(handle: number, nowS: number): void {
    Atomics.store(this.words, handle + DOMAIN, GRAVE);
    this.count--;
    this.graves.push({ at: handle, untilS: nowS + GRAVE_S });
  }

  /** Old graves become tombs, and tombs with nothing behind them empty. */
  private bury(nowS: number): void {
    const { words, graves } = this;
    while (graves.length > 0 && graves[0]!.untilS <= nowS) {
      let { at } = graves.shift()!;
      words[at] = TOMB;
      if (words[((at / SLOT + 1) & (SLOTS - 1)) * SLOT] !== EMPTY) continue;
      for (; words[at] === TOMB; at = ((at / SLOT - 1) & (SLOTS - 1)) * SLOT) words[at] = EMPTY;
    }
  }
}

const hash = (bd: number, a0: number, a1: number, a2: number, a3: number): number => {
  let h = Math.imul(a3 ^ Math.imul(bd, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ a2 ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ a1 ^ a0 ^ (h >>> 16), 0x27d4eb2f);
  return (h ^ (h >>> 15)) & (SLOTS - 1);
};
