/**
 * VTEPs that nobody named, in tunnels that accept anybody's frames (`accept: any`, and those with a group): the data plane
 * reports an address that it does not know, here it gets a slot of the remote table, and from then on what it sends is
 * counted and learned. A slot that no FDB entry has led to for a whole IDLE_S goes again.
 *
 * The address is whatever a datagram claims, so there is a limit per tunnel; frames of further VTEPs are delivered too, but
 * their MACs are not learned. Main thread.
 */
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
  private lastSweepS = 0;

  constructor(tables: Tables, tunnels: ReadonlyMap<string, Tunnel>, recursion: RouteRecursion) {
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
    for (const { forwarding } of withStrangers) forwarding.remotes.forget((slot) => !used.has(slot));
  }
}
