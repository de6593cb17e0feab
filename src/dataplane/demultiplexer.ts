/**
 * Which tunnel a received datagram is for: by the VNI of its header, by GRE key and outer source, or by its security
 * association. A refusal names its
 * reason; all of them are about the datagram alone, and are counted on the socket.
 *
 * Most batches come from one VTEP into one tunnel, so what was found last is kept and compared before the tables are
 * asked; `forget` empties that memory when the tables may have changed.
 */
import {
  ESP_FORGED as ESP_FORGERY,
  ESP_INVALID,
  ESP_REPLAYED as ESP_REPLAY,
  ESP_TRUNCATED,
  ESP_UNHANDLED,
  ESP_UNKNOWN,
  FLAG_BAD_OUTER_CSUM,
  FLAG_IP_PACKET,
  FLAG_IPV6,
  FRAME_ASSOCIATION,
  FRAME_DATAGRAM_LENGTH,
  FRAME_FLAGS,
  FRAME_HEADER_OFFSET,
  FRAME_SOURCE,
} from "../binding/abi.ts";
import {
  ESP_FORGED,
  ESP_NO_ASSOCIATION,
  ESP_REPLAYED,
  GRE_CSUM,
  HDR_TRUNC,
  INVALID_HDR,
  NO_TUNNEL,
  NOT_DROPPED,
  UDP_CSUM,
  UNHANDLED_PROTO,
  VXLAN_VNI_NOT_FOUND,
} from "../drop-reason.ts";
import { checkErspan, isErspan, readErspanSession } from "../wire/erspan.ts";
import {
  checkGre,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_TEB,
  GRE_KEY,
  readGreFlags,
  readGreKey,
  readGreProtocol,
} from "../wire/gre.ts";
import { checkGue, GUE_HEADER_BYTES } from "../wire/gue.ts";
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_IPV6 } from "../wire/underlay-headers.ts";
import { checkVniHeader, hasReservedBits, readVni, type VniRule } from "../wire/vni-header.ts";
import type { Batch } from "./batch.ts";
import {
  BINDING_FORMAT,
  BINDING_IS_IN_GUE,
  BINDING_MASK,
  BINDING_REASON,
  BINDING_RESERVED0,
  BINDING_RESERVED1,
  BINDING_VALUE,
  BINDING_WORDS,
  FORMAT_ESP,
  FORMAT_GRE,
  FORMAT_VNI,
} from "./binding-table.ts";
import { PEER_ETHERNET, PEER_KEYED, PEER_MIRROR } from "./peer-table.ts";
import type { Tables } from "./tables.ts";

/** By -FRAME_ASSOCIATION. */
const ESP_REASONS = new Int32Array(7);
ESP_REASONS[-ESP_TRUNCATED] = HDR_TRUNC;
ESP_REASONS[-ESP_UNKNOWN] = ESP_NO_ASSOCIATION;
ESP_REASONS[-ESP_REPLAY] = ESP_REPLAYED;
ESP_REASONS[-ESP_FORGERY] = ESP_FORGED;
ESP_REASONS[-ESP_INVALID] = INVALID_HDR;
ESP_REASONS[-ESP_UNHANDLED] = UNHANDLED_PROTO;

export class Demultiplexer {
  /** Why `find` returned 0. */
  reason: number = NOT_DROPPED;
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly tables: Tables;
  private readonly bindings: Int32Array;
  private binding = -1;
  private format = FORMAT_VNI;
  private isInGue = false;
  private readonly rule: { -readonly [Word in keyof VniRule]: VniRule[Word] } = {
    mask: 0,
    value: 0,
    reason: 0,
    reserved0: 0,
    reserved1: 0,
  };
  private lastVni = -1;
  private lastBd = 0;

  constructor(batch: Batch, tables: Tables) {
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.tables = tables;
    this.bindings = tables.bindings.words;
  }

  /** Call before each batch. */
  forget(): void {
    this.binding = -1;
  }

  /** The bridge domain, or 0. @param row first word of the descriptor @param binding of the socket it came from */
  find(row: number, binding: number): number {
    if (binding !== this.binding) this.load(binding);
    if (this.format === FORMAT_VNI) return this.byVni(row, binding);
    return this.format === FORMAT_ESP ? this.byAssociation(row) : this.byPeer(row, binding);
  }

  /** Of a datagram that `find` has just found a tunnel for. */
  hasReservedBits(row: number): boolean {
    return (
      this.format === FORMAT_VNI && hasReservedBits(this.arena, this.frames[row + FRAME_HEADER_OFFSET]!, this.rule)
    );
  }

  /** Of the same: GRE_* bits of its header, 0 when it has none. */
  greFlags(row: number): number {
    return this.format === FORMAT_GRE ? readGreFlags(this.arena, this.greOffset(row)) : 0;
  }

  private load(binding: number): void {
    const { bindings, rule } = this;
    const at = binding * BINDING_WORDS;
    this.binding = binding;
    this.format = bindings[at + BINDING_FORMAT]!;
    this.isInGue = bindings[at + BINDING_IS_IN_GUE] !== 0;
    rule.mask = bindings[at + BINDING_MASK]!;
    rule.value = bindings[at + BINDING_VALUE]!;
    rule.reason = bindings[at + BINDING_REASON]!;
    rule.reserved0 = bindings[at + BINDING_RESERVED0]!;
    rule.reserved1 = bindings[at + BINDING_RESERVED1]!;
    this.lastVni = -1;
  }

  private byVni(row: number, binding: number): number {
    const { frames, arena } = this;
    const offset = frames[row + FRAME_HEADER_OFFSET]!;
    const isCorrupt = (frames[row + FRAME_FLAGS]! & FLAG_BAD_OUTER_CSUM) !== 0;
    const invalid = isCorrupt
      ? UDP_CSUM
      : checkVniHeader(arena, offset, frames[row + FRAME_DATAGRAM_LENGTH]!, this.rule);
    if (invalid !== NOT_DROPPED) return this.refuse(invalid);
    const vni = readVni(arena, offset);
    if (vni !== this.lastVni) {
      this.lastVni = vni;
      this.lastBd = this.tables.vnis.find(binding, vni);
    }
    return this.lastBd === 0 ? this.refuse(VXLAN_VNI_NOT_FOUND) : this.lastBd;
  }

  private byAssociation(row: number): number {
    const association = this.frames[row + FRAME_ASSOCIATION]!;
    if (association <= 0) return this.refuse(ESP_REASONS[-association]!);
    const bd = this.tables.associations.bd(association - 1);
    return bd === 0 ? this.refuse(ESP_NO_ASSOCIATION) : bd;
  }

  private byPeer(row: number, binding: number): number {
    const { frames, arena } = this;
    let kind = 0;
    let key = 0;
    const inGue = this.isInGue ? this.checkGue(row) : NOT_DROPPED;
    if (inGue !== NOT_DROPPED) return this.refuse(inGue);
    if (this.format === FORMAT_GRE) {
      const offset = this.greOffset(row);
      const invalid = this.checkGre(row, offset);
      if (invalid !== NOT_DROPPED) return this.refuse(invalid);
      kind = (frames[row + FRAME_FLAGS]! & FLAG_IP_PACKET) === 0 ? PEER_ETHERNET : 0;
      if (isErspan(readGreProtocol(arena, offset))) {
        const session = readErspanSession(arena, offset);
        kind = session < 0 ? PEER_MIRROR : PEER_MIRROR | PEER_KEYED;
        key = Math.max(session, 0);
      } else if ((readGreFlags(arena, offset) & GRE_KEY) !== 0) {
        kind |= PEER_KEYED;
        key = readGreKey(arena, offset);
      }
    }
    const bd = this.tables.peers.find(
      binding,
      kind,
      key,
      frames[row + FRAME_SOURCE]!,
      frames[row + FRAME_SOURCE + 1]!,
      frames[row + FRAME_SOURCE + 2]!,
      frames[row + FRAME_SOURCE + 3]!,
    );
    return bd === 0 ? this.refuse(NO_TUNNEL) : bd;
  }

  /** Where its GRE header begins in the arena, if it has one. */
  greOffset(row: number): number {
    return this.frames[row + FRAME_HEADER_OFFSET]! + (this.isInGue ? GUE_HEADER_BYTES : 0);
  }

  private checkGue(row: number): number {
    const { frames, arena } = this;
    const ofPackets = (frames[row + FRAME_FLAGS]! & FLAG_IPV6) === 0 ? PROTOCOL_IPIP : PROTOCOL_IPV6;
    const protocol = this.format === FORMAT_GRE ? PROTOCOL_GRE : ofPackets;
    return checkGue(arena, frames[row + FRAME_HEADER_OFFSET]!, frames[row + FRAME_DATAGRAM_LENGTH]!, protocol);
  }

  private checkGre(row: number, offset: number): number {
    const { frames, arena } = this;
    const prefix = offset - frames[row + FRAME_HEADER_OFFSET]!;
    const length = frames[row + FRAME_DATAGRAM_LENGTH]! - prefix;
    const invalid = checkGre(arena, offset, length);
    if (invalid !== NOT_DROPPED) return invalid;
    if ((frames[row + FRAME_FLAGS]! & FLAG_BAD_OUTER_CSUM) !== 0) return GRE_CSUM;
    const protocol = readGreProtocol(arena, offset);
    const isKnown = protocol === ETHERTYPE_TEB || protocol === ETHERTYPE_IPV4 || protocol === ETHERTYPE_IPV6;
    if (isKnown) return NOT_DROPPED;
    return isErspan(protocol) ? checkErspan(arena, offset, length) : UNHANDLED_PROTO;
  }

  private refuse(reason: number): number {
    this.reason = reason;
    return 0;
  }
}
