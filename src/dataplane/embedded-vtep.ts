/**
 * IPv4 addresses of VTEPs that stand in the IPv6 addresses behind them, so that nobody has to be named: behind a prefix (6to4, RFC
 * 3056; 6rd, RFC 5969), or as interface identifier (ISATAP, RFC 5214). To the underlay the inner destination tells where to;
 * from there the inner source must be that of the outer one, unless the sender is one of the tunnel's relays or routers, which
 * are its flood list (RFC 3964 section 5, RFC 5969 section 9.2, RFC 5214 section 7.3).
 *
 * A VTEP gets its slot from the main thread, as strangers do; until then packets to it wait (unknown-vteps.ts). Only
 * addresses that can be a VTEP's are taken: no multicast, broadcast, loopback or unspecified one, and for 6to4 no private one.
 */
import { FRAME_INNER_IP, FRAME_OFFSET, FRAME_SOURCE } from "../binding/abi.ts";
import type { Batch } from "./batch.ts";
import {
  BD_EMBEDDING,
  BD_EMBEDDING_BASE,
  BD_EMBEDDING_LOCAL,
  BD_EMBEDDING_PREFIX,
  BD_FLOOD,
  BD_NEXT_HOP,
  BD_WORDS,
} from "./bridge-domain.ts";
import type { RemoteTable } from "./remote-table.ts";
import { prefixMask, readWord } from "./route-table.ts";
import type { Tables } from "./tables.ts";
import type { UnknownVteps } from "./unknown-vteps.ts";

// BD_EMBEDDING: the kind, for EMBEDDED_IN_PREFIX with the lengths of both prefixes.
export const EMBEDDED_IN_PREFIX = 1;
export const EMBEDDED_IN_IDENTIFIER = 2;
/** Private addresses are refused, too. */
export const EMBEDDED_IS_GLOBAL = 4;
const KIND_MASK = 3;
export const PREFIX_LENGTH_SHIFT = 8;
export const BASE_LENGTH_SHIFT = 16;

/** Instead of a slot: the packet waits for one, or there is no room for it to wait. */
export const HELD = -1;
export const NO_ROOM = -2;

const SOURCE = 8;
const DESTINATION = 24;
/** First half of an ISATAP identifier; the bit is set for globally unique IPv4 addresses. */
const ISATAP = 0x00005efe;
const ISATAP_UNIVERSAL = 0x02000000;

/** Of an address in network order. */
const canBeVtep = (address: number, mustBeGlobal: boolean): boolean => {
  const first = address >>> 24;
  if (first === 0 || first === 127 || first >= 224) return false;
  if (!mustBeGlobal) return true;
  const two = address >>> 16;
  return first !== 10 && (two & 0xfff0) !== 0xac10 && two !== 0xc0a8 && two !== 0xa9fe;
};

export class EmbeddedVtep {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly domains: Int32Array;
  private readonly floods: Int32Array;
  private readonly remotes: RemoteTable;
  private readonly unknown: UnknownVteps;
  /** A mapped address as bytes and as the words of the remote table, in one memory. */
  private readonly bytes = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0);
  private readonly words = new Int32Array(this.bytes.buffer);
  /** What `find` found, network order. */
  private address = 0;

  constructor(batch: Batch, tables: Tables, unknown: UnknownVteps) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.domains = tables.bridgeDomains.words;
    this.floods = tables.floods.words;
    this.remotes = tables.remotes;
    this.unknown = unknown;
  }

  /** The slot that an IPv6 packet of a tunnel with BD_EMBEDDING goes to, 0, HELD or NO_ROOM. */
  nextHop(row: number, bd: number): number {
    const destination = this.packet(row) + DESTINATION;
    const embedding = this.domains[bd * BD_WORDS + BD_EMBEDDING]!;
    if (!this.find(bd, destination)) {
      const isMulticast = this.arena[destination] === 0xff;
      const isForRouters = (embedding & KIND_MASK) === EMBEDDED_IN_IDENTIFIER || !isMulticast;
      return isForRouters ? this.domains[bd * BD_WORDS + BD_NEXT_HOP]! : 0;
    }
    const { address, words } = this;
    const isOwn = address === this.domains[bd * BD_WORDS + BD_EMBEDDING_LOCAL];
    if (isOwn || !canBeVtep(address, (embedding & EMBEDDED_IS_GLOBAL) !== 0)) return 0;
    this.map(address);
    const slot = this.remotes.find(bd, words[0]!, words[1]!, words[2]!, words[3]!);
    if (slot !== 0) return slot;
    return this.unknown.hold(row, this.frames[row + FRAME_OFFSET]!, bd, words, 0) ? HELD : NO_ROOM;
  }

  /** Whether such a packet may come from its outer source. @param remote slot of that, or 0 */
  admits(row: number, bd: number, remote: number): boolean {
    const { domains, frames, words } = this;
    const packet = this.packet(row);
    const embedding = domains[bd * BD_WORDS + BD_EMBEDDING]!;
    if (!this.find(bd, packet + SOURCE)) {
      if (!this.isRelay(bd, remote)) return false;
    } else {
      if (!canBeVtep(this.address, (embedding & EMBEDDED_IS_GLOBAL) !== 0)) return false;
      this.map(this.address);
      if (frames[row + FRAME_SOURCE + 3] !== words[3] || frames[row + FRAME_SOURCE + 2] !== words[2]) return false;
    }
    // Or the host would send it on through the tunnel: a way to hide who sent it.
    if ((embedding & KIND_MASK) !== EMBEDDED_IN_PREFIX || !this.find(bd, packet + DESTINATION)) return true;
    return this.address === domains[bd * BD_WORDS + BD_EMBEDDING_LOCAL];
  }

  private packet(row: number): number {
    return this.frames[row + FRAME_OFFSET]! + ((this.frames[row + FRAME_INNER_IP]! >> 16) & 255);
  }

  /** Whether the IPv6 address at an offset of the arena has one inside; `address` is it then. */
  private find(bd: number, at: number): boolean {
    const { arena, domains } = this;
    const domain = bd * BD_WORDS;
    const embedding = domains[domain + BD_EMBEDDING]!;
    if ((embedding & KIND_MASK) === EMBEDDED_IN_IDENTIFIER) {
      if ((readWord(arena, at + 8) & ~ISATAP_UNIVERSAL) !== ISATAP) return false;
      this.address = readWord(arena, at + 12);
      return true;
    }
    const length = (embedding >> PREFIX_LENGTH_SHIFT) & 255;
    const w0 = readWord(arena, at);
    const w1 = readWord(arena, at + 4);
    const differs =
      ((w0 ^ domains[domain + BD_EMBEDDING_PREFIX]!) & prefixMask(length, 0)) |
      ((w1 ^ domains[domain + BD_EMBEDDING_PREFIX + 1]!) & prefixMask(length, 1));
    if (differs !== 0) return false;
    // The 32 bits behind the prefix; JavaScript shifts by the count modulo 32.
    const behind = length < 32 ? (w0 << length) | (w1 >>> (32 - length)) : w1 << (length - 32);
    const baseLength = (embedding >> BASE_LENGTH_SHIFT) & 31;
    this.address = domains[domain + BD_EMBEDDING_BASE]! | (behind >>> baseLength) | 0;
    return true;
  }

  private map(address: number): void {
    const { bytes } = this;
    bytes[12] = address >>> 24;
    bytes[13] = address >>> 16;
    bytes[14] = address >>> 8;
    bytes[15] = address;
  }

  private isRelay(bd: number, remote: number): boolean {
    const list = this.domains[bd * BD_WORDS + BD_FLOOD]!;
    for (let n = this.floods[list]!; n > 0; n--) if (this.floods[list + n] === remote) return true;
    return false;
  }
}
