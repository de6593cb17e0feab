/**
 * Routes of tunnels that carry IP packets: the longest prefix that the inner destination is in tells the remote VTEP (its slot in
 * the remote table).
 *
 * All routes of a tunnel are one list of the flood pool, which is replaced by one store and never changed where it stands, so
 * that workers read it without locks. It is a hash table of its own: prefixes of one length are found by one probe, longest length
 * first, so a packet costs as many probes as there are different lengths in its family, however many routes. IPv4 stands as
 * ::ffff:a.b.c.d, its lengths are 96 more. Compiling is the main thread's, `find` the workers'; it allocates nothing.
 */
import { FLAG_IPV4, FRAME_FLAGS, FRAME_INNER_IP, FRAME_OFFSET } from "../binding/abi.ts";
import type { Batch } from "./batch.ts";

/** A route as it is compiled. */
export interface Route {
  /** 16 bytes, IPv4 mapped; bits behind the prefix are 0. */
  readonly network: Uint8Array;
  /** Of the 128 bits. */
  readonly length: number;
  /** Slot in the remote table. */
  readonly remote: number;
}

// The list, behind the count that the pool puts before it:
const MASK = 1; // hash slots - 1
const IPV4_LENGTHS = 2; // how many
const IPV6_LENGTHS = 3;
const LENGTHS = 4; // of IPv4, of IPv6, each from long to short; behind them the rows

const ROW = 6; // words
const ROW_REMOTE = 0; // 0 = empty
const ROW_LENGTH = 1;
const ROW_NETWORK = 2; // four words, network order

const IPV4_BITS = 96;
const IPV4_DESTINATION = 16;
const IPV6_DESTINATION = 24;

export const readWord = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;

/** The bits of word `n` of an address that a prefix has. */
export const prefixMask = (length: number, n: number): number => {
  const bits = length - n * 32;
  if (bits <= 0) return 0;
  return bits >= 32 ? -1 : -1 << (32 - bits);
};

const hash = (length: number, w0: number, w1: number, w2: number, w3: number): number => {
  let h = Math.imul(w3 ^ Math.imul(length, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ w2 ^ (h >>> 13), 0xc2b2ae35);
  h = Math.imul(h ^ w1 ^ (h >>> 16), 0x27d4eb2f);
  h = Math.imul(h ^ w0 ^ (h >>> 15), 0x165667b1);
  return h ^ (h >>> 14);
};

/** What `find` looks into, for FloodPool.store; at most half full. Each prefix once. */
export const compileRoutes = (routes: readonly Route[]): number[] => {
  if (routes.length === 0) return [];
  const lengths = [...new Set(routes.map(({ length }) => length))].sort((a, b) => b - a);
  const isIpv4 = ({ network }: Route): boolean =>
    network.subarray(0, 10).every((byte) => byte === 0) && network[10] === 0xff;
  const ofFamily = (wanted: boolean): number[] =>
    lengths.filter((length) => routes.some((route) => route.length === length && isIpv4(route) === wanted));
  const [ipv4, ipv6] = [ofFamily(true), ofFamily(false)];
  let slots = 4;
  while (slots < routes.length * 2) slots *= 2;
  const rows = new Int32Array(slots * ROW);
  for (const { network, length, remote } of routes) {
    const words = [0, 4, 8, 12].map((at) => readWord(network, at)) as [number, number, number, number];
    let slot = hash(length, ...words) & (slots - 1);
    while (rows[slot * ROW + ROW_REMOTE] !== 0) slot = (slot + 1) & (slots - 1);
    rows.set([remote, length, ...words], slot * ROW);
  }
  return [slots - 1, ipv4.length, ipv6.length, ...ipv4, ...ipv6, ...rows];
};

export class RouteTable {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly words: Int32Array;

  /** @param words of the flood pool */
  constructor(batch: Batch, words: Int32Array) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.words = words;
  }

  /** The remote slot that an IPv4 or IPv6 packet's destination leads to, or 0. @param list of the bridge domain @param row of the descriptor */
  find(list: number, row: number): number {
    const { arena, frames, words } = this;
    const packet = frames[row + FRAME_OFFSET]! + ((frames[row + FRAME_INNER_IP]! >> 16) & 255);
    const ipv4Lengths = words[list + IPV4_LENGTHS]!;
    if ((frames[row + FRAME_FLAGS]! & FLAG_IPV4) !== 0) {
      const word = readWord(arena, packet + IPV4_DESTINATION);
      return this.search(list, list + LENGTHS, ipv4Lengths, 0, 0, 0xffff, word);
    }
    const at = packet + IPV6_DESTINATION;
    const w2 = readWord(arena, at + 8);
    const w3 = readWord(arena, at + 12);
    const first = list + LENGTHS + ipv4Lengths;
    return this.search(list, first, words[list + IPV6_LENGTHS]!, readWord(arena, at), readWord(arena, at + 4), w2, w3);
  }

  /** @param first of the lengths to be tried */
  private search(list: number, first: number, count: number, a0: number, a1: number, a2: number, a3: number): number {
    const { words } = this;
    const mask = words[list + MASK]!;
    const rows = list + LENGTHS + words[list + IPV4_LENGTHS]! + words[list + IPV6_LENGTHS]!;
    for (let n = 0; n < count; n++) {
      const length = words[first + n]!;
      const w0 = a0 & prefixMask(length, 0);
      const w1 = a1 & prefixMask(length, 1);
      const w2 = a2 & prefixMask(length, 2);
      const w3 = a3 & prefixMask(length, 3);
      for (let slot = hash(length, w0, w1, w2, w3) & mask; ; slot = (slot + 1) & mask) {
        const row = rows + slot * ROW;
        const remote = words[row + ROW_REMOTE]!;
        if (remote === 0) break;
        if (
          words[row + ROW_LENGTH] === length &&
          words[row + ROW_NETWORK + 3] === w3 &&
          words[row + ROW_NETWORK + 2] === w2 &&
          words[row + ROW_NETWORK + 1] === w1 &&
          words[row + ROW_NETWORK] === w0
        ) {
          return remote;
        }
      }
    }
    return 0;
  }
}

/** Bits of a prefix as `Route` counts them. */
export const routeLength = (isIpv4: boolean, prefix: number): number => (isIpv4 ? IPV4_BITS : 0) + prefix;
