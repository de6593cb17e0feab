/**
 * ARP and neighbour discovery in a tunnel that answers for its far stations (RFC 7348 section 3 leaves that to the VTEP;
 * the kernel calls it `proxy`), and what its operator may hear of.
 *
 * From the underlay: who sends ARP or neighbour discovery tells where its address is; the main thread hears of what is new
 * and keeps the table (daemon/neighbours.ts). From the overlay: a broadcast question about a known neighbour is answered
 * in place when the FDB has its MAC behind a remote VTEP; every other question is flooded as ever: announcements, probes
 * for duplicate addresses, unicast probes of reachability, unknown addresses. A neighbour that speaks from the overlay side
 * has moved here, and is forgotten.
 *
 * The kernel's vxlan drops a question that it cannot answer; that makes the table a precondition instead of a saving.
 *
 * Only untagged frames: one address may exist in several VLANs of a tunnel. Worker.
 */
import {
  FLAG_FRAGMENT,
  FLAG_IPV4,
  FLAG_TCP,
  FLAG_UDP,
  FLAG_VLAN,
  FRAME_BD,
  FRAME_DST_HI,
  FRAME_FLAGS,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  STATUS_NOW_S,
} from "../binding/abi.ts";
import {
  ARP_BYTES,
  ARP_REQUEST,
  ARP_SENDER_ADDRESS,
  ARP_SENDER_MAC,
  ARP_TARGET_ADDRESS,
  isAboutItself,
  makeArpReply,
  readArp,
} from "../wire/arp.ts";
import { isGroupMac, isInvalidSourceMac, readMacHi, readMacLo } from "../wire/mac.ts";
import {
  isDuplicateDetection,
  isFromRouter,
  linkAddressOf,
  makeAdvertisement,
  ND_ADVERTISEMENT,
  ND_ADVERTISEMENT_BYTES,
  ND_SOLICITATION,
  ND_SOURCE,
  ND_SOURCE_LINK_ADDRESS,
  ND_TARGET,
  ND_TARGET_LINK_ADDRESS,
  readNeighbourDiscovery,
} from "../wire/neighbour-discovery.ts";
import { becomeAnswer } from "./answer.ts";
import type { Batch } from "./batch.ts";
import { type Counters, LINK_COLUMNS, LINK_NEIGHBOUR_ANSWERS } from "./counters.ts";
import type { Fdb } from "./fdb.ts";
import type { Misses } from "./misses.ts";
import { NEIGHBOUR_ROUTER, NEIGHBOUR_STATIC, type NeighbourTable } from "./neighbour-table.ts";
import type { Tables } from "./tables.ts";
import { UPCALL_BD, UPCALL_KIND, UPCALL_NEIGHBOUR, UPCALL_NEIGHBOUR_IS_HERE, type UpcallRing } from "./upcall-ring.ts";

/** What BD_NEIGHBOURS says: answer for neighbours; tell of unknown MACs; tell of unknown addresses. */
export const ANSWER = 1;
export const TELL_L2_MISS = 2;
export const TELL_L3_MISS = 4;
/** Of a tunnel that has no neighbours: decap.ts answers GRE keepalives. */
export const ECHO_KEEPALIVES = 8;

/** Neither ARP nor neighbour discovery, or not for us to read. */
const OTHER: number = FLAG_TCP | FLAG_UDP | FLAG_FRAGMENT | FLAG_VLAN | FLAG_IPV4;
/** A neighbour that was heard this recently is not told of again. */
const REFRESH_S = 10;

export class Neighbourhood {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;
  private readonly status: Int32Array;
  private readonly domains: Int32Array;
  private readonly table: NeighbourTable;
  private readonly fdb: Fdb;
  private readonly link: Float64Array;
  private readonly upcalls: UpcallRing;
  private readonly misses: Misses;
  /** The address read last, words in network order. */
  private a0 = 0;
  private a1 = 0;
  private a2 = 0;
  private a3 = 0;

  constructor(batch: Batch, tables: Tables, counters: Counters, upcalls: UpcallRing, misses: Misses) {
    this.misses = misses;
    this.arena = batch.arena;
    this.frames = batch.frames;
    this.status = batch.status;
    this.domains = tables.bridgeDomains.words;
    this.table = tables.neighbours;
    this.fdb = tables.fdb;
    this.link = counters.link;
    this.upcalls = upcalls;
  }

  /** Whether the frame was a question and is its answer now. @param watch BD_NEIGHBOURS of its bridge domain, not 0 */
  fromOverlay(row: number, bd: number, watch: number): boolean {
    const { frames, arena } = this;
    if ((frames[row + FRAME_FLAGS]! & OTHER) !== 0) return false;
    const at = frames[row + FRAME_OFFSET]!;
    const length = frames[row + FRAME_LENGTH]!;
    const isAsked = isGroupMac(frames[row + FRAME_DST_HI]!);
    const arp = readArp(arena, at, length);
    if (arp !== 0) {
      this.readIpv4(at + ARP_SENDER_ADDRESS);
      this.isHere(bd);
      if (arp !== ARP_REQUEST || !isAsked || isAboutItself(arena, at)) return false;
      this.readIpv4(at + ARP_TARGET_ADDRESS);
      return this.answer(row, bd, watch, true);
    }
    const kind = readNeighbourDiscovery(arena, at, length);
    if (kind === ND_SOLICITATION) {
      if (isDuplicateDetection(arena, at)) return false;
      this.readIpv6(at + ND_SOURCE);
      this.isHere(bd);
      if (!isAsked) return false;
      this.readIpv6(at + ND_TARGET);
      return this.answer(row, bd, watch, false);
    }
    if (kind === ND_ADVERTISEMENT) {
      this.readIpv6(at + ND_TARGET);
      this.isHere(bd);
    }
    return false;
  }

  /** Notes who speaks. */
  fromUnderlay(row: number, bd: number): void {
    const { frames, arena } = this;
    if ((frames[row + FRAME_FLAGS]! & OTHER) !== 0) return;
    const at = frames[row + FRAME_OFFSET]!;
    const length = frames[row + FRAME_LENGTH]!;
    if (readArp(arena, at, length) !== 0) {
      this.readIpv4(at + ARP_SENDER_ADDRESS);
      this.heard(bd, readMacHi(arena, at + ARP_SENDER_MAC), readMacLo(arena, at + ARP_SENDER_MAC), 0);
      return;
    }
    const kind = readNeighbourDiscovery(arena, at, length);
    if (kind === 0) return;
    const isAdvertisement = kind === ND_ADVERTISEMENT;
    const option = linkAddressOf(arena, at, isAdvertisement ? ND_TARGET_LINK_ADDRESS : ND_SOURCE_LINK_ADDRESS);
    const macHi = option === 0 ? frames[row + FRAME_SRC_HI]! : readMacHi(arena, option);
    const macLo = option === 0 ? frames[row + FRAME_SRC_LO]! : readMacLo(arena, option);
    this.readIpv6(at + (isAdvertisement ? ND_TARGET : ND_SOURCE));
    this.heard(bd, macHi, macLo, isAdvertisement && isFromRouter(arena, at) ? NEIGHBOUR_ROUTER : 0);
  }

  private answer(row: number, bd: number, watch: number, isArp: boolean): boolean {
    const { table, fdb, frames, arena } = this;
    const known = table.find(bd, this.a0, this.a1, this.a2, this.a3);
    if (known < 0) {
      if ((watch & TELL_L3_MISS) !== 0) this.misses.address(bd, this.a0, this.a1, this.a2, this.a3);
      return false;
    }
    if ((watch & ANSWER) === 0) return false;
    const macHi = table.macHi(known);
    const macLo = table.macLo(known);
    if (fdb.find(bd, macHi, macLo) < 0) return false;
    const at = frames[row + FRAME_OFFSET]!;
    if (isArp) makeArpReply(arena, at, macHi, macLo);
    else makeAdvertisement(arena, at, macHi, macLo, (table.flags(known) & NEIGHBOUR_ROUTER) !== 0);
    frames[row + FRAME_BD] = bd;
    becomeAnswer(frames, row, isArp ? ARP_BYTES : ND_ADVERTISEMENT_BYTES, this.domains, this.link);
    this.link[bd * LINK_COLUMNS + LINK_NEIGHBOUR_ANSWERS]!++;
    return true;
  }

  /** The station with the address that was read last is behind our own device. */
  private isHere(bd: number): void {
    const known = this.table.find(bd, this.a0, this.a1, this.a2, this.a3);
    if (known < 0 || (this.table.flags(known) & NEIGHBOUR_STATIC) !== 0) return;
    this.tell(UPCALL_NEIGHBOUR_IS_HERE, bd, 0, 0);
  }

  /** The station with the address that was read last has this MAC, behind a remote VTEP. */
  private heard(bd: number, macHi: number, macLo: number, flags: number): void {
    const { table, status } = this;
    if (isInvalidSourceMac(macHi, macLo) || this.isNobody()) return;
    const known = table.find(bd, this.a0, this.a1, this.a2, this.a3);
    if (known >= 0) {
      if ((table.flags(known) & NEIGHBOUR_STATIC) !== 0) return;
      const isSame = table.macHi(known) === macHi && table.macLo(known) === macLo;
      if (isSame && status[STATUS_NOW_S]! - table.seenS(known) < REFRESH_S) return;
    }
    this.tell(UPCALL_NEIGHBOUR, bd, macHi | flags, macLo);
  }

  /** Tells the main thread of the station with the address that was read last. */
  private tell(kind: number, bd: number, macHi: number, macLo: number): void {
    const { upcalls } = this;
    const record = upcalls.begin();
    if (record === 0) return;
    const words = upcalls.record;
    words[record + UPCALL_KIND] = kind;
    words[record + UPCALL_BD] = bd;
    words[record + 2] = this.a0;
    words[record + 3] = this.a1;
    words[record + 4] = this.a2;
    words[record + 5] = this.a3;
    words[record + 6] = macHi;
    words[record + 7] = macLo;
    upcalls.commit();
  }

  /** The unspecified address, which probes come from; group addresses are refused with the frame. */
  private isNobody(): boolean {
    return this.a0 === 0 && this.a1 === 0 && (this.a2 === 0 || this.a2 === IPV4_MAPPED) && this.a3 === 0;
  }

  private readIpv4(at: number): void {
    this.a0 = 0;
    this.a1 = 0;
    this.a2 = IPV4_MAPPED;
    this.a3 = readWord(this.arena, at);
  }

  private readIpv6(at: number): void {
    this.a0 = readWord(this.arena, at);
    this.a1 = readWord(this.arena, at + 4);
    this.a2 = readWord(this.arena, at + 8);
    this.a3 = readWord(this.arena, at + 12);
  }
}

const IPV4_MAPPED = 0xffff;

const readWord = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
