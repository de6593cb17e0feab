/**
 * Frames larger than one packet to their remote VTEP can carry (REMOTE_FRAME_LIMIT): fragmented outside, dropped, or answered
 * with an ICMP "packet too big" that goes back to the sender (wire/packet-too-big.ts), as the tunnel's policy says. Where an
 * answer is the policy but the sender would not be told (no IP, IPv4 that may be fragmented, an MTU below the family's least),
 * the frame is fragmented outside, unless the tunnel forbids that.
 *
 * The answer is made in the arena: the quoted packet stays where it is, the headers before it go into the slot's headroom.
 * A superframe is as large as its segments are, and is quoted as the first of them.
 */
import {
  FRAME_BD,
  FRAME_DST_HI,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_REASON,
  FRAME_SEGMENTS,
  INNER_DF,
  OUTER_DF,
  STATUS_NOW_MS,
} from "../binding/abi.ts";
import { DROP_REASON_COLUMNS, PKT_TOO_BIG, PKT_TOO_BIG_TOLD } from "../drop-reason.ts";
import { isGroupMac } from "../wire/mac.ts";
import { mayTellTooBig, tooBigBytes, writePacketLength, writeTooBig } from "../wire/packet-too-big.ts";
import { becomeAnswer } from "./answer.ts";
import type { Batch } from "./batch.ts";
import { BD_OUTER, BD_OVERSIZE, BD_WORDS } from "./bridge-domain.ts";
import { type Counters, DROP_COLUMNS, ENCAP } from "./counters.ts";
import { type Policers, TOO_BIG_ANSWER } from "./policers.ts";
import type { Tables } from "./tables.ts";

/** BD_OVERSIZE */
export const OVERSIZE_ICMP = 0;
export const OVERSIZE_FRAGMENT = 1;
export const OVERSIZE_DROP = 2;

const MAC_BYTES = 6;

export class Oversize {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly status: Int32Array;
  private readonly domains: Int32Array;
  private readonly policers: Policers;
  private readonly counters: Counters;

  constructor(batch: Batch, tables: Tables, counters: Counters) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.status = batch.status;
    this.domains = tables.bridgeDomains.words;
    this.policers = tables.policers;
    this.counters = counters;
  }

  /**
   * Whether a frame longer than `limit` goes on all the same: its segments are not, or it is to be fragmented.
   * @param row first word of the descriptor
   */
  passes(row: number, limit: number): boolean {
    const { frames } = this;
    const size = this.sizeOf(row);
    if (size <= limit) return true;
    const domain = frames[row + FRAME_BD]! * BD_WORDS;
    const policy = this.domains[domain + BD_OVERSIZE]!;
    if (policy === OVERSIZE_DROP || (policy === OVERSIZE_ICMP && this.mayAnswer(row, size, limit))) return false;
    if ((this.domains[domain + BD_OUTER]! & OUTER_DF) !== 0) return false;
    frames[row + FRAME_INNER_IP]! &= ~INNER_DF; // An inherited DF would forbid it.
    return true;
  }

  /** What becomes of a frame that does not pass: counted, and answered when that is the policy; true when it is an answer now. */
  refuse(row: number, limit: number): boolean {
    const { frames } = this;
    const bd = frames[row + FRAME_BD]!;
    const segments = frames[row + FRAME_SEGMENTS]!;
    const answers =
      this.domains[bd * BD_WORDS + BD_OVERSIZE] === OVERSIZE_ICMP &&
      this.mayAnswer(row, this.sizeOf(row), limit) &&
      this.policers.take(bd, TOO_BIG_ANSWER, 1, this.status[STATUS_NOW_MS]!);
    const reason = answers ? PKT_TOO_BIG_TOLD : PKT_TOO_BIG;
    frames[row + FRAME_REASON] = reason;
    this.counters.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + reason]! += segments;
    if (answers) this.answer(row, limit);
    return answers;
  }

  /** Bytes of the frame, of a superframe's largest segment. */
  private sizeOf(row: number): number {
    const { frames } = this;
    const length = frames[row + FRAME_LENGTH]!;
    const gso = frames[row + FRAME_GSO]! & 0xffff;
    // A superframe may be a single short segment.
    return gso === 0 ? length : Math.min(length, gso + (frames[row + FRAME_HEADERS]! & 0xffff));
  }

  private mayAnswer(row: number, size: number, limit: number): boolean {
    const { frames } = this;
    const inner = frames[row + FRAME_INNER_IP]!;
    if (inner === 0 || isGroupMac(frames[row + FRAME_DST_HI]!)) return false;
    const ip = (inner >> 16) & 255;
    const offset = frames[row + FRAME_OFFSET]!;
    return mayTellTooBig(this.arena, offset + ip, offset + size, limit - ip);
  }

  private answer(row: number, limit: number): void {
    const { arena, frames } = this;
    const from = frames[row + FRAME_OFFSET]!;
    const header = (frames[row + FRAME_INNER_IP]! >> 16) & 255;
    const size = this.sizeOf(row);
    const ip = from + header;
    const to = from - tooBigBytes(arena, ip);
    if (header !== 0) swapMacs(arena, from, to);
    for (let i = 2 * MAC_BYTES; i < header; i++) arena[to + i] = arena[from + i]!;
    if (frames[row + FRAME_GSO] !== 0) writePacketLength(arena, ip, size - header);
    const length = writeTooBig(arena, ip, from + size, limit - header);
    frames[row + FRAME_OFFSET] = to;
    becomeAnswer(frames, row, header + length, this.domains, this.counters.link);
  }
}

const swapMacs = (arena: Uint8Array, from: number, to: number): void => {
  for (let i = 0; i < MAC_BYTES; i++) {
    arena[to + i] = arena[from + MAC_BYTES + i]!;
    arena[to + MAC_BYTES + i] = arena[from + i]!;
  }
};
