/**
 * Underlay to overlay: a datagram from a socket is checked from the outside in (tunnel header, tunnel, source VTEP, inner
 * frame or packet), its inner source MAC is learned behind the outer source address, and it gets a verdict. Each refusal names its
 * reason; those before the tunnel is known (demultiplexer.ts) are counted on the socket, the others on the tunnel.
 *
 * Most batches come from one VTEP into one tunnel, so the last (tunnel, address) found is kept and compared before the
 * table is asked; `forget` empties that memory when the tables may have changed.
 *
 * A frame may stand for several that were merged (FRAME_SEGMENTS): they have one tunnel header, one sender and one flow, so
 * one decision is right for all, and all are counted.
 */
import {
  FLAG_FRAGMENT,
  FLAG_IPV4,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FRAME_BD,
  FRAME_DATAGRAM_LENGTH,
  FRAME_DESTINATION,
  FRAME_FLAGS,
  FRAME_FLOW_HASH,
  FRAME_GSO,
  FRAME_HEADER_OFFSET,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_REASON,
  FRAME_SEGMENTS,
  FRAME_SOURCE,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  FRAME_TARGET,
  FRAME_TOS,
  FRAME_VERDICT,
  GSO_TCPV4,
  GSO_TCPV6,
} from "../binding/abi.ts";
import {
  DROP_REASON_COLUMNS,
  FRAG_REASM_TIMEOUT,
  LOCAL_MAC,
  LOOPED_BACK,
  MAC_INVALID_SOURCE,
  NOT_DROPPED,
  PKT_TOO_BIG,
  PKT_TOO_SMALL,
  UNKNOWN_VTEP,
} from "../drop-reason.ts";
import { decapsulateEcn, ECN_MASK } from "../wire/ecn.ts";
import { keepaliveHeaderBytes } from "../wire/gre-keepalive.ts";
import { isInvalidSourceMac } from "../wire/mac.ts";
import type { Batch } from "./batch.ts";
import {
  BD_ACCEPT_ANY,
  BD_ACCESS_PORT,
  BD_LEARNING,
  BD_MAC_HI,
  BD_MAC_LO,
  BD_MSS_CLAMP,
  BD_MTU,
  BD_NEIGHBOURS,
  BD_PAYLOADS,
  BD_VLAN,
  BD_WORDS,
  ETHERNET,
  ETHERNET_IN_GRE,
} from "./bridge-domain.ts";
import {
  type Counters,
  DECAP,
  DROP_COLUMNS,
  LINK_COLUMNS,
  LINK_KEEPALIVES,
  LINK_RESERVED_BITS,
  LINK_RX_BYTES,
  LINK_RX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_RX_BYTES,
  REMOTE_RX_FRAMES,
} from "./counters.ts";
import { Demultiplexer } from "./demultiplexer.ts";
import type { EmbeddedVtep } from "./embedded-vtep.ts";
import { Learner } from "./learner.ts";
import { CLAMP_OFF, MssClamp } from "./mss-clamp.ts";
import { ECHO_KEEPALIVES, type Neighbourhood } from "./neighbourhood.ts";
import { PacketCheck } from "./packet-check.ts";
import type { Tables } from "./tables.ts";
import type { UnknownVteps } from "./unknown-vteps.ts";
import type { UpcallRing } from "./upcall-ring.ts";
import { DELIVER, DISCARD, ECHO } from "./verdict.ts";
import { VLAN_PASS, VlanTags } from "./vlan-tags.ts";
import { wireBytes } from "./wire-bytes.ts";

const ETHERNET_HEADER_BYTES = 14;

/** Instead of a slot: no VTEP that we know, and ourselves. Row 0 of the remotes' counters belongs to nobody. */
const UNKNOWN = 0;
const SELF = -1;
/** Instead of a drop reason: the frame waits for its sender's slot. */
const HELD = -1;

export class Decapsulator {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly tables: Tables;
  private readonly domains: Int32Array;
  private readonly counters: Counters;
  private readonly unknown: UnknownVteps;
  private readonly learner: Learner;
  private readonly vlanTags: VlanTags;
  private readonly neighbourhood: Neighbourhood;
  private readonly demultiplexer: Demultiplexer;
  private readonly packets: PacketCheck;
  private lastBd = 0;
  private lastRemote = 0;
  private readonly lastSource = new Int32Array(4);
  private readonly mssClamp: MssClamp;

  constructor(
    batch: Batch,
    tables: Tables,
    counters: Counters,
    upcalls: UpcallRing,
    neighbourhood: Neighbourhood,
    embedded: EmbeddedVtep,
    unknown: UnknownVteps,
  ) {
    this.neighbourhood = neighbourhood;
    this.unknown = unknown;
    this.mssClamp = new MssClamp(batch, tables);
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.tables = tables;
    this.domains = tables.bridgeDomains.words;
    this.counters = counters;
    this.vlanTags = new VlanTags(batch);
    this.learner = new Learner(batch, tables, counters, upcalls);
    this.demultiplexer = new Demultiplexer(batch, tables);
    this.packets = new PacketCheck(batch, tables, embedded);
  }

  /** Call before each batch: the main thread may have changed the tables since. */
  forget(): void {
    this.lastBd = 0;
    this.demultiplexer.forget();
  }

  /** @param row first word of the descriptor @param binding of the socket it came from */
  decap(row: number, binding: number): void {
    const { frames } = this;
    const bd = this.demultiplexer.find(row, binding);
    if (bd === 0) {
      frames[row + FRAME_VERDICT] = DISCARD;
      const unknown = this.isOfLostFragments(row) ? FRAG_REASM_TIMEOUT : this.demultiplexer.reason;
      frames[row + FRAME_REASON] = unknown;
      this.counters.socket[binding * DROP_REASON_COLUMNS + unknown]! += frames[row + FRAME_SEGMENTS]!;
      return;
    }
    const remote = this.findRemote(bd, row);
    const reason = remote <= 0 ? this.checkStranger(row, bd, remote) : this.checkInner(row, bd, remote);
    if (reason !== NOT_DROPPED) {
      frames[row + FRAME_VERDICT] = DISCARD;
      if (reason === HELD) return;
      const counted = this.isOfLostFragments(row) ? FRAG_REASM_TIMEOUT : reason;
      frames[row + FRAME_REASON] = counted;
      frames[row + FRAME_BD] = bd;
      this.counters.drop[bd * DROP_COLUMNS + DECAP * DROP_REASON_COLUMNS + counted]! += frames[row + FRAME_SEGMENTS]!;
      return;
    }
    this.deliver(row, bd, remote);
  }

  /** No datagram at all, but packets of which there were only fragments. */
  private isOfLostFragments(row: number): boolean {
    const { frames } = this;
    return frames[row + FRAME_DATAGRAM_LENGTH] === 0 && (frames[row + FRAME_FLAGS]! & FLAG_FRAGMENT) !== 0;
  }

  /** A keepalive's inner GRE part goes back to who sent it; it was counted as received. */
  private echoKeepalive(row: number, bd: number, remote: number): void {
    const { frames } = this;
    if (remote === UNKNOWN) return;
    const offset = frames[row + FRAME_OFFSET]!;
    const length = frames[row + FRAME_LENGTH]!;
    const header = keepaliveHeaderBytes(
      this.arena,
      offset,
      length,
      frames,
      row + FRAME_SOURCE,
      row + FRAME_DESTINATION,
    );
    if (header === 0) return;
    frames[row + FRAME_OFFSET] = offset + header;
    frames[row + FRAME_LENGTH] = length - header;
    frames[row + FRAME_FLAGS] = 0;
    frames[row + FRAME_FLOW_HASH] = 0;
    frames[row + FRAME_INNER_IP] = 0;
    frames[row + FRAME_VERDICT] = ECHO;
    frames[row + FRAME_TARGET] = remote;
    this.counters.link[bd * LINK_COLUMNS + LINK_KEEPALIVES]!++;
  }

  private deliver(row: number, bd: number, remote: number): void {
    const { frames } = this;
    const { link, remote: remotes } = this.counters;
    const segments = frames[row + FRAME_SEGMENTS]!;
    const bytes = wireBytes(frames, row, segments);
    link[bd * LINK_COLUMNS + LINK_RX_FRAMES]! += segments;
    link[bd * LINK_COLUMNS + LINK_RX_BYTES]! += bytes;
    remotes[remote * REMOTE_COLUMNS + REMOTE_RX_FRAMES]! += segments;
    remotes[remote * REMOTE_COLUMNS + REMOTE_RX_BYTES]! += bytes;
    if (this.demultiplexer.hasReservedBits(row)) link[bd * LINK_COLUMNS + LINK_RESERVED_BITS]! += segments;
    frames[row + FRAME_VERDICT] = DELIVER;
    frames[row + FRAME_BD] = bd;
    frames[row + FRAME_TARGET] = this.domains[bd * BD_WORDS + BD_ACCESS_PORT]!;
    const watch = this.domains[bd * BD_WORDS + BD_NEIGHBOURS]!;
    if (watch === 0) return;
    if ((watch & ECHO_KEEPALIVES) !== 0) this.echoKeepalive(row, bd, remote);
    else this.neighbourhood.fromUnderlay(row, bd);
  }

  /** The slot of the sender, UNKNOWN or SELF. */
  private findRemote(bd: number, row: number): number {
    const { frames, lastSource } = this;
    const a0 = frames[row + FRAME_SOURCE]!;
    const a1 = frames[row + FRAME_SOURCE + 1]!;
    const a2 = frames[row + FRAME_SOURCE + 2]!;
    const a3 = frames[row + FRAME_SOURCE + 3]!;
    if (
      bd === this.lastBd &&
      this.lastRemote !== 0 &&
      lastSource[3] === a3 &&
      lastSource[2] === a2 &&
      lastSource[1] === a1 &&
      lastSource[0] === a0
    ) {
      return this.lastRemote;
    }
    const found = this.tables.remotes.find(bd, a0, a1, a2, a3);
    const remote = found !== 0 && this.tables.remotes.isSelf(found) ? SELF : found;
    lastSource[0] = a0;
    lastSource[1] = a1;
    lastSource[2] = a2;
    lastSource[3] = a3;
    this.lastBd = bd;
    this.lastRemote = remote;
    return remote;
  }

  /**
   * A datagram from no known VTEP. Where anybody is accepted the main thread hears of the sender and makes it known. A frame
   * whose source is to be learned waits for that; when it cannot, it goes on without a place to learn its source at.
   */
  private checkStranger(row: number, bd: number, remote: number): number {
    if (remote === SELF) return LOOPED_BACK;
    if (this.domains[bd * BD_WORDS + BD_ACCEPT_ANY] === 0 || this.hasNoSource(row)) return UNKNOWN_VTEP;
    if (this.teaches(row, bd)) {
      const start = this.frames[row + FRAME_HEADER_OFFSET]!;
      if (this.unknown.hold(row, start, bd, this.frames, row + FRAME_SOURCE)) return HELD;
    }
    const reason = this.checkInner(row, bd, UNKNOWN);
    if (reason === NOT_DROPPED) this.unknown.report(bd, this.frames, row + FRAME_SOURCE);
    return reason;
  }

  /** Whether a frame's source would be learned, as far as can be said without touching it. Merged ones lie in pieces. */
  private teaches(row: number, bd: number): boolean {
    const { frames, domains } = this;
    const domain = bd * BD_WORDS;
    const payloads = domains[domain + BD_PAYLOADS]!;
    if (domains[domain + BD_LEARNING] === 0 || (payloads !== ETHERNET && payloads !== ETHERNET_IN_GRE)) return false;
    if (frames[row + FRAME_SEGMENTS] !== 1 || frames[row + FRAME_LENGTH]! < ETHERNET_HEADER_BYTES) return false;
    return this.sourceReason(row, domain) === NOT_DROPPED;
  }

  /** Why a source MAC is none; NOT_DROPPED when it is one. @param domain first word of the bridge domain */
  private sourceReason(row: number, domain: number): number {
    const { frames, domains } = this;
    const macHi = frames[row + FRAME_SRC_HI]!;
    const macLo = frames[row + FRAME_SRC_LO]!;
    if (isInvalidSourceMac(macHi, macLo)) return MAC_INVALID_SOURCE;
    const isOwn = macHi === domains[domain + BD_MAC_HI] && macLo === domains[domain + BD_MAC_LO];
    return isOwn ? LOCAL_MAC : NOT_DROPPED;
  }

  /** An IPv6 packet that claims an IPv4 address (native/udp-receiver.cc): nobody could answer it. */
  private hasNoSource(row: number): boolean {
    const { frames } = this;
    const at = row + FRAME_SOURCE;
    return (frames[at]! | frames[at + 1]! | frames[at + 2]! | frames[at + 3]!) === 0;
  }

  /** Checks the inner frame or packet and learns its source, where it has one. Returns a drop reason. */
  private checkInner(row: number, bd: number, remote: number): number {
    const { frames, domains } = this;
    const domain = bd * BD_WORDS;
    const payloads = domains[domain + BD_PAYLOADS]!;
    if (payloads !== ETHERNET) {
      const { demultiplexer } = this;
      const reason = this.packets.check(
        row,
        bd,
        payloads,
        demultiplexer.greFlags(row),
        demultiplexer.greOffset(row),
        remote,
      );
      if (reason !== NOT_DROPPED) return reason;
      if (payloads !== ETHERNET_IN_GRE) return this.finish(row, bd, remote);
    }
    if (frames[row + FRAME_LENGTH]! < ETHERNET_HEADER_BYTES) return PKT_TOO_SMALL;
    const invalid = this.sourceReason(row, domain);
    if (invalid !== NOT_DROPPED) return invalid;
    if (domains[domain + BD_VLAN] !== VLAN_PASS) {
      const tagged = this.vlanTags.handle(row, domains[domain + BD_VLAN]!);
      if (tagged !== NOT_DROPPED) return tagged;
    }
    const reason = this.finish(row, bd, remote);
    if (reason !== NOT_DROPPED) return reason;
    if (domains[domain + BD_LEARNING] === 0) return NOT_DROPPED;
    const { learner } = this;
    const macHi = frames[row + FRAME_SRC_HI]!;
    const macLo = frames[row + FRAME_SRC_LO]!;
    return remote === UNKNOWN ? learner.check(bd, macHi, macLo) : learner.learn(bd, macHi, macLo, remote);
  }

  /** What all inner packets go through once they are accepted. Returns a drop reason. */
  private finish(row: number, bd: number, remote: number): number {
    const { frames, domains } = this;
    const domain = bd * BD_WORDS;
    if ((frames[row + FRAME_TOS]! & ECN_MASK) !== 0) {
      const reason = this.carryEcn(row);
      if (reason !== NOT_DROPPED) return reason;
    }
    if ((frames[row + FRAME_FLAGS]! & FLAG_PARTIAL_CSUM) !== 0 && frames[row + FRAME_GSO] === 0) {
      const reason = this.markSuperframe(row, domains[domain + BD_MTU]!);
      if (reason !== NOT_DROPPED) return reason;
    }
    if (domains[domain + BD_MSS_CLAMP] !== CLAMP_OFF) this.mssClamp.apply(row, bd, remote);
    return NOT_DROPPED;
  }

  /** The underlay marks congestion on the outer header; the inner sender shall hear of it. */
  private carryEcn(row: number): number {
    const { frames } = this;
    const inner = frames[row + FRAME_INNER_IP]!;
    if (inner === 0) return NOT_DROPPED;
    const offset = frames[row + FRAME_OFFSET]! + ((inner >> 16) & 255);
    return decapsulateEcn(this.arena, offset, inner & ECN_MASK, frames[row + FRAME_TOS]! & ECN_MASK);
  }

  /**
   * A frame with an unfinished checksum that is larger than the device's MTU is a superframe that the sender's kernel did
   * not cut, because the underlay is a veth. TCP is handed on with the segment size of our own MTU; for UDP the datagram
   * boundaries are lost, so it cannot be delivered.
   */
  private markSuperframe(row: number, mtu: number): number {
    const { frames } = this;
    const headers = frames[row + FRAME_HEADERS]!;
    const ipOffset = headers >>> 16;
    if (frames[row + FRAME_LENGTH]! - ipOffset <= mtu) return NOT_DROPPED;
    const flags = frames[row + FRAME_FLAGS]!;
    if ((flags & FLAG_TCP) === 0) return PKT_TOO_BIG;
    const segmentSize = mtu - ((headers & 0xffff) - ipOffset);
    if (segmentSize <= 0) return PKT_TOO_BIG;
    frames[row + FRAME_SEGMENTS] = Math.ceil((frames[row + FRAME_LENGTH]! - (headers & 0xffff)) / segmentSize);
    frames[row + FRAME_GSO] = segmentSize | (((flags & FLAG_IPV4) !== 0 ? GSO_TCPV4 : GSO_TCPV6) << 16);
    return NOT_DROPPED;
  }
}
