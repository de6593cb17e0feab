/**
 * What is asked of a received packet beyond its sender where a tunnel carries more than Ethernet frames behind a VNI: an IP
 * version that it carries, a source that may come from there (embedded-vtep.ts), and of a GRE header the checksum and the sequence number that both ends agreed on.
 *
 * Sequence numbers (RFC 2890 section 2.2): a packet older than one that was accepted before is dropped, as the kernel does; there
 * is no buffer that waits for those in between. Workers share the number that is next; where a tunnel has one, its binding is
 * received by one worker, so that nothing is overtaken here.
 */
import { FLAG_IP_PACKET, FLAG_IPV4, FLAG_IPV6, FRAME_FLAGS, FRAME_LENGTH } from "../binding/abi.ts";
import {
  GRE_CSUM,
  GRE_SEQUENCE_ERROR,
  IP_INVALID_SOURCE,
  NOT_DROPPED,
  PKT_TOO_SMALL,
  UNHANDLED_PROTO,
} from "../drop-reason.ts";
import { GRE_CHECKSUM, GRE_SEQUENCE, readGreSequence } from "../wire/gre.ts";
import type { Batch } from "./batch.ts";
import {
  BD_EMBEDDING,
  BD_GRE_NEXT,
  BD_GRE_REQUIRED,
  BD_WORDS,
  CARRIES_IPV4,
  CARRIES_IPV6,
  ETHERNET_IN_GRE,
} from "./bridge-domain.ts";
import type { EmbeddedVtep } from "./embedded-vtep.ts";
import type { Tables } from "./tables.ts";

/** An IPv4 header. */
const LEAST_BYTES = 20;

export class PacketCheck {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly domains: Int32Array;
  private readonly embedded: EmbeddedVtep;

  constructor(batch: Batch, tables: Tables, embedded: EmbeddedVtep) {
    this.embedded = embedded;
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.domains = tables.bridgeDomains.words;
  }

  /** A drop reason. @param row first word of the descriptor @param payloads CARRIES_* @param gre GRE_* bits of the header @param greOffset where that is in the arena @param remote slot of the sender, or 0 */
  check(row: number, bd: number, payloads: number, gre: number, greOffset: number, remote: number): number {
    if (payloads === ETHERNET_IN_GRE) return this.checkGre(bd, gre, greOffset);
    const flags = this.frames[row + FRAME_FLAGS]!;
    const version = ((flags & FLAG_IPV4) === 0 ? 0 : CARRIES_IPV4) | ((flags & FLAG_IPV6) === 0 ? 0 : CARRIES_IPV6);
    if (this.frames[row + FRAME_LENGTH]! < LEAST_BYTES) return PKT_TOO_SMALL;
    if ((flags & FLAG_IP_PACKET) === 0 || (version & payloads) === 0) return UNHANDLED_PROTO;
    const isRefused = this.domains[bd * BD_WORDS + BD_EMBEDDING] !== 0 && !this.embedded.admits(row, bd, remote);
    if (isRefused) return IP_INVALID_SOURCE;
    return this.checkGre(bd, gre, greOffset);
  }

  private checkGre(bd: number, gre: number, greOffset: number): number {
    const required = this.domains[bd * BD_WORDS + BD_GRE_REQUIRED]!;
    if (required === 0) return NOT_DROPPED;
    if ((required & GRE_CHECKSUM & ~gre) !== 0) return GRE_CSUM;
    if ((required & GRE_SEQUENCE) === 0) return NOT_DROPPED;
    if ((gre & GRE_SEQUENCE) === 0) return GRE_SEQUENCE_ERROR;
    return this.takeSequence(bd, readGreSequence(this.arena, greOffset));
  }

  private takeSequence(bd: number, sequence: number): number {
    const at = bd * BD_WORDS + BD_GRE_NEXT;
    const next = this.domains[at]!;
    if (next !== 0 && ((sequence - next) | 0) < 0) return GRE_SEQUENCE_ERROR;
    this.domains[at] = (sequence + 1) | 0;
    return NOT_DROPPED;
  }
}
