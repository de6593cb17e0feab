/**
 * Overlay to underlay, first half: a frame that a TAP gave us gets a verdict. The source MAC is not learned here: a
 * bridge domain has one access port, so a local station can be nowhere else (the kernel's vxlan does the same).
 */
import {
  FLAG_IP_PACKET,
  FLAG_IPV4,
  FLAG_IPV6,
  FRAME_BD,
  FRAME_DST_HI,
  FRAME_DST_LO,
  FRAME_FLAGS,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_REASON,
  FRAME_SEGMENTS,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  FRAME_TARGET,
  FRAME_VERDICT,
  STATUS_NOW_MS,
  STATUS_NOW_S,
} from "../binding/abi.ts";
import {
  DROP_REASON_COLUMNS,
  ENCAP_LIMIT,
  NEIGH_QUEUEFULL,
  NO_TX_TARGET,
  NOT_DROPPED,
  PKT_TOO_SMALL,
  POLICED,
  POLICED_SOURCE,
  UNHANDLED_PROTO,
  UNKNOWN_UNICAST,
} from "../drop-reason.ts";
import { mayNotEnterTunnel } from "../wire/encapsulation-limit.ts";
import { isGroupMac } from "../wire/mac.ts";
import type { Batch } from "./batch.ts";
import {
  BD_DROP_UNKNOWN,
  BD_EMBEDDING,
  BD_NEIGHBOURS,
  BD_NEXT_HOP,
  BD_PAYLOADS,
  BD_ROUTES,
  BD_VLAN,
  BD_WORDS,
  CARRIES_IPV4,
  CARRIES_IPV6,
  MINDS_LIMIT,
} from "./bridge-domain.ts";
import { type Counters, DROP_COLUMNS, ENCAP } from "./counters.ts";
import { type EmbeddedVtep, HELD, NO_ROOM } from "./embedded-vtep.ts";
import type { Fdb } from "./fdb.ts";
import type { Misses } from "./misses.ts";
import { type Neighbourhood, TELL_L2_MISS } from "./neighbourhood.ts";
import { BROADCAST, MULTICAST, type Policers, UNKNOWN_UNICAST_CLASS } from "./policers.ts";
import { RouteTable } from "./route-table.ts";
import type { SourcePolicers } from "./source-policers.ts";
import type { Tables } from "./tables.ts";
import { DISCARD, FLOOD, UNICAST } from "./verdict.ts";
import { VLAN_PASS, VlanTags } from "./vlan-tags.ts";

const ETHERNET_HEADER_BYTES = 14;

export class Classifier {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly status: Int32Array;
  private readonly fdb: Fdb;
  private readonly domains: Int32Array;
  private readonly policers: Policers;
  private readonly sourcePolicers: SourcePolicers;
  private readonly drop: Float64Array;
  private readonly vlanTags: VlanTags;
  private readonly routes: RouteTable;
  private readonly neighbourhood: Neighbourhood;
  private readonly misses: Misses;
  private readonly embedded: EmbeddedVtep;

  constructor(
    batch: Batch,
    tables: Tables,
    counters: Counters,
    neighbourhood: Neighbourhood,
    misses: Misses,
    embedded: EmbeddedVtep,
  ) {
    this.embedded = embedded;
    this.neighbourhood = neighbourhood;
    this.misses = misses;
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.status = batch.status;
    this.fdb = tables.fdb;
    this.policers = tables.policers;
    this.sourcePolicers = tables.sourcePolicers;
    this.domains = tables.bridgeDomains.words;
    this.drop = counters.drop;
    this.vlanTags = new VlanTags(batch);
    this.routes = new RouteTable(batch, tables.floods.words);
  }

  /** @param row first word of the descriptor @param bd bridge domain of the TAP it came from */
  classify(row: number, bd: number): void {
    const { frames, fdb } = this;
    frames[row + FRAME_BD] = bd;
    if ((frames[row + FRAME_FLAGS]! & FLAG_IP_PACKET) !== 0) {
      this.classifyPacket(row, bd);
      return;
    }
    if (frames[row + FRAME_LENGTH]! < ETHERNET_HEADER_BYTES) {
      this.discard(row, bd, PKT_TOO_SMALL);
      return;
    }
    const vlan = this.domains[bd * BD_WORDS + BD_VLAN]!;
    if (vlan !== VLAN_PASS) {
      const reason = this.vlanTags.handle(row, vlan);
      if (reason !== NOT_DROPPED) {
        this.discard(row, bd, reason);
        return;
      }
    }
    const watch = this.domains[bd * BD_WORDS + BD_NEIGHBOURS]!;
    if (watch !== 0 && this.neighbourhood.fromOverlay(row, bd, watch)) return;
    const macHi = frames[row + FRAME_DST_HI]!;
    if (isGroupMac(macHi)) {
      const isBroadcast = macHi === 0xffff && frames[row + FRAME_DST_LO] === -1;
      this.flood(row, bd, isBroadcast ? BROADCAST : MULTICAST);
      return;
    }
    const entry = fdb.find(bd, macHi, frames[row + FRAME_DST_LO]!);
    if (entry < 0) {
      this.unknown(row, bd);
      return;
    }
    fdb.touch(entry, this.status[STATUS_NOW_S]!);
    frames[row + FRAME_VERDICT] = UNICAST;
    frames[row + FRAME_TARGET] = fdb.target(entry);
  }

  /** An IP packet of a TUN: to where its route says, or to the one remote that there is. */
  private classifyPacket(row: number, bd: number): void {
    const { frames, domains } = this;
    const flags = frames[row + FRAME_FLAGS]!;
    const version = ((flags & FLAG_IPV4) === 0 ? 0 : CARRIES_IPV4) | ((flags & FLAG_IPV6) === 0 ? 0 : CARRIES_IPV6);
    const payloads = domains[bd * BD_WORDS + BD_PAYLOADS]!;
    if ((version & payloads) === 0) {
      this.discard(row, bd, UNHANDLED_PROTO);
      return;
    }
    if (version === CARRIES_IPV6 && (payloads & MINDS_LIMIT) !== 0 && this.mayNotEnter(row)) {
      this.discard(row, bd, ENCAP_LIMIT);
      return;
    }
    const routes = domains[bd * BD_WORDS + BD_ROUTES]!;
    const routed = routes === 0 ? 0 : this.routes.find(routes, row);
    const remote = routed !== 0 ? routed : this.nextHop(row, bd);
    if (remote > 0) {
      frames[row + FRAME_VERDICT] = UNICAST;
      frames[row + FRAME_TARGET] = remote;
    } else if (remote === HELD) {
      frames[row + FRAME_VERDICT] = DISCARD;
    } else {
      this.discard(row, bd, remote === NO_ROOM ? NEIGH_QUEUEFULL : NO_TX_TARGET);
    }
  }

  private mayNotEnter(row: number): boolean {
    const { frames } = this;
    return mayNotEnterTunnel(this.arena, frames[row + FRAME_OFFSET]!, frames[row + FRAME_LENGTH]!);
  }

  private nextHop(row: number, bd: number): number {
    const domain = bd * BD_WORDS;
    return this.domains[domain + BD_EMBEDDING] === 0
      ? this.domains[domain + BD_NEXT_HOP]!
      : this.embedded.nextHop(row, bd);
  }

  private unknown(row: number, bd: number): void {
    const { frames } = this;
    if ((this.domains[bd * BD_WORDS + BD_NEIGHBOURS]! & TELL_L2_MISS) !== 0) {
      this.misses.mac(bd, frames[row + FRAME_DST_HI]!, frames[row + FRAME_DST_LO]!);
    }
    if (this.domains[bd * BD_WORDS + BD_DROP_UNKNOWN] === 0) this.flood(row, bd, UNKNOWN_UNICAST_CLASS);
    else this.discard(row, bd, UNKNOWN_UNICAST);
  }

  private flood(row: number, bd: number, kind: number): void {
    const { frames } = this;
    const segments = frames[row + FRAME_SEGMENTS]!;
    const nowMs = this.status[STATUS_NOW_MS]!;
    const macHi = frames[row + FRAME_SRC_HI]!;
    // The source's own limit first: what it refuses shall not use up the tunnel's.
    if (!this.sourcePolicers.take(bd, kind, macHi, frames[row + FRAME_SRC_LO]!, segments, nowMs)) {
      this.discard(row, bd, POLICED_SOURCE);
    } else if (!this.policers.take(bd, kind, segments, nowMs)) {
      this.discard(row, bd, POLICED);
    } else {
      frames[row + FRAME_VERDICT] = FLOOD;
    }
  }

  private discard(row: number, bd: number, reason: number): void {
    this.frames[row + FRAME_VERDICT] = DISCARD;
    this.frames[row + FRAME_REASON] = reason;
    this.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + reason]! += this.frames[row + FRAME_SEGMENTS]!;
  }
}
