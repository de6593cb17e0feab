/**
 * VTEPs that nobody named, in tunnels that accept anybody's frames (`accept: any`, and those with a group): the data plane
 * reports an address that it does not know, here it gets a slot of the remote table, and from then on what it sends is
 * counted and learned. VTEPs that an inner destination has inside (dataplane/embedded-vtep.ts) come the same way. A slot
 * that no FDB entry has led to for a whole IDLE_S, and that nothing went through, goes again.
 *
 * The address is whatever a datagram claims, so there is a limit per tunnel; frames of further VTEPs are delivered too, but
 * their MACs are not learned. Main thread.
 */

import { type Counters, REMOTE_COLUMNS, REMOTE_RX_FRAMES, REMOTE_TX_FRAMES } from "../dataplane/counters.ts";
import type { Tables } from "../dataplane/tables.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import type { RouteRecursion } from "./route-recursion.ts";
import type { Tunnel } from "./tunnel.ts";

const MAX_STRANGERS = 4096;
const IDLE_S = 60;

export class Strangers {
  private readonly tables: Tables;
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly recursion: RouteRecursion;
  private readonly counters: readonly Counters[];
  private lastSweepS = 0;
  /** Frames through each slot, as of the last sweep. */
  private traffic: ReadonlyMap<number, number> = new Map();

  constructor(
    tables: Tables,
    tunnels: ReadonlyMap<string, Tunnel>,
    recursion: RouteRecursion,
    counters: readonly Counters[],
  ) {
    this.counters = counters;
    this.tables = tables;
    this.tunnels = tunnels;
    this.recursion = recursion;
  }

  /** Takes an UPCALL_UNKNOWN_VTEP of the tunnel. */
  seen(tunnel: Tunnel, record: Int32Array): void {
    const { remotes } = tunnel.forwarding;
    if (remotes.strangers >= MAX_STRANGERS) return;
    const address = formatVtepAddress(new Uint8Array(record.slice(2, 6).buffer));
    if (remotes.meet(address)) this.recursion.met(tunnel, address);
  }

  tick(nowS: number): void {
    if (nowS - this.lastSweepS < IDLE_S) return;
    this.lastSweepS = nowS;
    const withStrangers = [...this.tunnels.values()].filter(({ forwarding }) => forwarding.remotes.strangers > 0);
    if (withStrangers.length === 0) return;
    const used = new Set<number>();
    for (const { target } of this.tables.fdb.entries()) used.add(target);
    const traffic = new Map<number, number>();
    for (const { forwarding } of withStrangers)
      forwarding.remotes.forget((slot) => !used.has(slot) && !this.hasMoved(slot, traffic));
    this.traffic = traffic;
  }

  /** Whether frames went through the slot since the last sweep; a new one has a while. @param traffic of this sweep */
  private hasMoved(slot: number, traffic: Map<number, number>): boolean {
    const row = slot * REMOTE_COLUMNS;
    let frames = 0;
    for (const { remote } of this.counters) frames += remote[row + REMOTE_TX_FRAMES]! + remote[row + REMOTE_RX_FRAMES]!;
    traffic.set(slot, frames);
    return this.traffic.get(slot) !== frames;
  }
}
