/**
 * Learning: the inner source of an accepted frame is behind the VTEP that sent it. Most frames only confirm what is known,
 * for which no lock is taken (fdb.ts). What cannot be learned is delivered all the same, and counted.
 */
import { STATUS_NOW_MS, STATUS_NOW_S } from "../binding/abi.ts";
import { NOT_DROPPED, VXLAN_ENTRY_EXISTS } from "../drop-reason.ts";
import type { Batch } from "./batch.ts";
import {
  type Counters,
  LINK_COLUMNS,
  LINK_FDB_FULL,
  LINK_FDB_REMOTE_FULL,
  LINK_LEARNS,
  LINK_MOVES,
  LINK_MOVES_DAMPED,
} from "./counters.ts";
import {
  type Fdb,
  LEARN_FULL,
  LEARN_HELD,
  LEARN_MOVED,
  LEARN_NEW,
  LEARN_REMOTE_FULL,
  LEARN_STATIC,
  LEARN_UNFAIR,
} from "./fdb.ts";
import type { RemoteTable } from "./remote-table.ts";
import type { Tables } from "./tables.ts";
import {
  UPCALL_AT,
  UPCALL_BD,
  UPCALL_FDB_FULL,
  UPCALL_FROM,
  UPCALL_HELD_AT,
  UPCALL_KIND,
  UPCALL_LEARNED,
  UPCALL_MAC_HELD,
  UPCALL_MAC_HI,
  UPCALL_MAC_LO,
  UPCALL_REMOTE,
  UPCALL_SEEN_AT,
  type UpcallRing,
} from "./upcall-ring.ts";

/** Of milliseconds, as a right shift: eviction is asked for once in 128. */
const ASK_SHIFT = 7;

export class Learner {
  private readonly status: Int32Array;
  private readonly upcalls: UpcallRing;
  private readonly fdb: Fdb;
  private readonly remotes: RemoteTable;
  private readonly link: Float64Array;

  constructor(batch: Batch, tables: Tables, counters: Counters, upcalls: UpcallRing) {
    this.upcalls = upcalls;
    this.status = batch.status;
    this.fdb = tables.fdb;
    this.remotes = tables.remotes;
    this.link = counters.link;
  }

  /** Returns a drop reason: a MAC that is static elsewhere must not come from here. */
  learn(bd: number, macHi: number, macLo: number, remote: number): number {
    const { fdb } = this;
    const nowS = this.status[STATUS_NOW_S]!;
    const entry = fdb.find(bd, macHi, macLo);
    if (entry >= 0 && fdb.target(entry) === remote) {
      fdb.touch(entry, nowS);
      return NOT_DROPPED;
    }
    return this.place(bd, macHi, macLo, entry, remote, nowS);
  }

  /** The MAC is not known there. In a function of its own, so that the common case is small enough to be inlined. */
  private place(bd: number, macHi: number, macLo: number, entry: number, remote: number, nowS: number): number {
    const { fdb } = this;
    if (entry >= 0) {
      if (fdb.isStatic(entry)) return this.staticSource(bd, entry, remote);
      if (fdb.isHeld(entry, nowS)) {
        this.link[bd * LINK_COLUMNS + LINK_MOVES_DAMPED]!++;
        return NOT_DROPPED;
      }
    }
    const from = entry < 0 ? 0 : fdb.target(entry);
    const result = fdb.learn(bd, macHi, macLo, remote, nowS);
    const row = bd * LINK_COLUMNS;
    if (result <= LEARN_MOVED && this.upcalls.isWatched) this.tell(bd, macHi, macLo, from, remote, nowS);
    if (result === LEARN_NEW) this.link[row + LINK_LEARNS]!++;
    else if (result === LEARN_MOVED) this.link[row + LINK_MOVES]!++;
    else if (result === LEARN_FULL) this.link[row + LINK_FDB_FULL]!++;
    else if (result === LEARN_UNFAIR) this.askForRoom(bd, remote);
    else if (result === LEARN_REMOTE_FULL) this.link[row + LINK_FDB_REMOTE_FULL]!++;
    else if (result === LEARN_HELD) this.tellOfHold(bd, macHi, macLo, entry, remote);
    else if (result === LEARN_STATIC) return VXLAN_ENTRY_EXISTS;
    return NOT_DROPPED;
  }

  /** @param from slot of the VTEP that the MAC was behind, 0 = none */
  private tell(bd: number, macHi: number, macLo: number, from: number, remote: number, nowS: number): void {
    const { upcalls } = this;
    const record = upcalls.beginEvent(nowS);
    if (record === 0) return;
    const words = upcalls.record;
    words[record + UPCALL_KIND] = UPCALL_LEARNED;
    words[record + UPCALL_BD] = bd;
    words[record + UPCALL_MAC_HI] = macHi;
    words[record + UPCALL_MAC_LO] = macLo;
    words[record + UPCALL_FROM] = from;
    words[record + UPCALL_AT] = remote;
    upcalls.commit();
  }

  private askForRoom(bd: number, remote: number): void {
    const { upcalls } = this;
    this.link[bd * LINK_COLUMNS + LINK_FDB_FULL]!++;
    if (!this.fdb.accounts.ask(bd, this.status[STATUS_NOW_MS]! >> ASK_SHIFT)) return;
    const record = upcalls.begin();
    if (record === 0) return;
    upcalls.record[record + UPCALL_KIND] = UPCALL_FDB_FULL;
    upcalls.record[record + UPCALL_BD] = bd;
    upcalls.record[record + UPCALL_REMOTE] = remote;
    upcalls.commit();
  }

  /** As `learn`, from a VTEP that has no slot and therefore is that of no static entry. */
  check(bd: number, macHi: number, macLo: number): number {
    const { fdb } = this;
    const entry = fdb.find(bd, macHi, macLo);
    return entry >= 0 && fdb.isStatic(entry) ? this.elsewhere(bd, entry) : NOT_DROPPED;
  }

  private tellOfHold(bd: number, macHi: number, macLo: number, entry: number, remote: number): void {
    const { upcalls } = this;
    this.link[bd * LINK_COLUMNS + LINK_MOVES_DAMPED]!++;
    const record = upcalls.begin();
    if (record === 0) return;
    const words = upcalls.record;
    words[record + UPCALL_KIND] = UPCALL_MAC_HELD;
    words[record + UPCALL_BD] = bd;
    words[record + UPCALL_MAC_HI] = macHi;
    words[record + UPCALL_MAC_LO] = macLo;
    words[record + UPCALL_HELD_AT] = this.fdb.target(entry);
    words[record + UPCALL_SEEN_AT] = remote;
    upcalls.commit();
  }

  /** A static MAC may come from its own VTEP even when the entry has a UDP port or VNI of its own, hence another slot. */
  private staticSource(bd: number, entry: number, remote: number): number {
    return this.remotes.sameAddress(this.fdb.target(entry), remote) ? NOT_DROPPED : this.elsewhere(bd, entry);
  }

  /** A MAC that is static came from another VTEP than its own. */
  private elsewhere(bd: number, entry: number): number {
    if (!this.fdb.isSticky(entry)) return VXLAN_ENTRY_EXISTS;
    this.link[bd * LINK_COLUMNS + LINK_MOVES_DAMPED]!++;
    return NOT_DROPPED;
  }
}
