/**
 * TCP connections through a tunnel are told to use segments that fit (BD_MSS_CLAMP), by the SYNs of both directions: for hosts
 * that never hear of "packet too big". With `auto` a segment fits when it goes through the device and in one packet to the remote
 * VTEP; what that VTEP can send in one packet is taken to be the same.
 */
import { FLAG_IPV4, FLAG_PARTIAL_CSUM, FLAG_TCP, FRAME_FLAGS, FRAME_HEADERS, FRAME_OFFSET } from "../binding/abi.ts";
import { clampMss } from "../wire/tcp-mss.ts";
import type { Batch } from "./batch.ts";
import { BD_MSS_CLAMP, BD_MTU, BD_WORDS } from "./bridge-domain.ts";
import { REMOTE_FRAME_LIMIT, REMOTE_WORDS } from "./remote-table.ts";
import type { Tables } from "./tables.ts";

/** BD_MSS_CLAMP: no clamp; what fits; else bytes. */
export const CLAMP_OFF = 0;
const CLAMP_AUTO = -1;

export const clampWord = (clamp: number | "off" | "auto"): number => {
  if (clamp === "off") return CLAMP_OFF;
  return clamp === "auto" ? CLAMP_AUTO : clamp;
};

const PROTOCOL_TCP = 6;
const IPV6_NEXT_HEADER = 6;
const IPV6_HEADER = 40;
/** IP and TCP headers without options, which is what an MSS leaves out (RFC 6691). */
const HEADERS_IPV4 = 40;
const HEADERS_IPV6 = 60;

export class MssClamp {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly domains: Int32Array;
  private readonly remotes: Int32Array;

  constructor(batch: Batch, tables: Tables) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.domains = tables.bridgeDomains.words;
    this.remotes = tables.remotes.memory.words;
  }

  /**
   * Takes any frame of a bridge domain that clamps.
   * @param row first word of the descriptor @param remote slot of the VTEP that it goes to or comes from, 0 = one without
   */
  apply(row: number, bd: number, remote: number): void {
    const { frames, arena } = this;
    const headers = frames[row + FRAME_HEADERS]!;
    const flags = frames[row + FRAME_FLAGS]!;
    if ((flags & FLAG_TCP) === 0 || headers === 0) return;
    const ipOffset = headers >>> 16;
    const ip = frames[row + FRAME_OFFSET]! + ipOffset;
    const isIpv4 = (flags & FLAG_IPV4) !== 0;
    // Behind extension headers nobody looks.
    if (!isIpv4 && arena[ip + IPV6_NEXT_HEADER] !== PROTOCOL_TCP) return;
    const tcp = ip + (isIpv4 ? (arena[ip]! & 15) * 4 : IPV6_HEADER);
    const clamp = this.domains[bd * BD_WORDS + BD_MSS_CLAMP]!;
    const mss =
      clamp === CLAMP_AUTO ? this.fitting(bd, remote, ipOffset) - (isIpv4 ? HEADERS_IPV4 : HEADERS_IPV6) : clamp;
    if (mss > 0) clampMss(arena, tcp, mss, (flags & FLAG_PARTIAL_CSUM) === 0);
  }

  /** Bytes of the largest IP packet that goes through. */
  private fitting(bd: number, remote: number, ipOffset: number): number {
    const mtu = this.domains[bd * BD_WORDS + BD_MTU]!;
    return remote === 0 ? mtu : Math.min(mtu, this.remotes[remote * REMOTE_WORDS + REMOTE_FRAME_LIMIT]! - ipOffset);
  }
}
