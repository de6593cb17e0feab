/** What the workers tell (dataplane/upcall-ring.ts), brought to the tunnel that it is about. Main thread. */
import type { AddressWords } from "../dataplane/neighbour-table.ts";
import { NEIGHBOUR_ROUTER } from "../dataplane/neighbour-table.ts";
import type { RemoteTable } from "../dataplane/remote-table.ts";
import {
  UPCALL_AT,
  UPCALL_BD,
  UPCALL_FDB_FULL,
  UPCALL_FROM,
  UPCALL_KIND,
  UPCALL_L2_MISS,
  UPCALL_L3_MISS,
  UPCALL_LEARNED,
  UPCALL_MAC_HELD,
  UPCALL_MAC_HI,
  UPCALL_MAC_LO,
  UPCALL_NEIGHBOUR,
  UPCALL_NEIGHBOUR_IS_HERE,
  UPCALL_PKT_TOO_BIG,
  UPCALL_REMOTE,
  UPCALL_UNKNOWN_VTEP,
} from "../dataplane/upcall-ring.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { formatMac } from "../wire/mac.ts";
import { monotonicS } from "./clock.ts";
import type { Events } from "./events.ts";
import type { Eviction } from "./eviction.ts";
import type { MoveWarnings } from "./move-warnings.ts";
import { formatWords } from "./neighbours.ts";
import type { PathMtus } from "./path-mtu.ts";
import type { Strangers } from "./strangers.ts";
import type { Tunnel } from "./tunnel.ts";

/** Events of one second; more than anybody reads. */
const AGED_AT_ONCE = 5000;

interface Ears {
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  /** By bridge domain. */
  tunnelOf(bd: number): Tunnel | undefined;
  readonly strangers: Strangers;
  readonly eviction: Eviction;
  readonly paths: PathMtus;
  readonly moveWarnings: MoveWarnings;
  readonly events: Events;
  readonly remotes: RemoteTable;
}

export class Upcalls {
  private readonly ears: Ears;

  constructor(ears: Ears) {
    this.ears = ears;
  }

  /** @param record good during the call only */
  take(record: Int32Array): void {
    const { tunnelOf, strangers, eviction, paths, moveWarnings, events } = this.ears;
    const tunnel = tunnelOf(record[UPCALL_BD]!);
    if (tunnel === undefined) return; // closed since
    switch (record[UPCALL_KIND]) {
      case UPCALL_UNKNOWN_VTEP:
        strangers.seen(tunnel, record);
        break;
      case UPCALL_FDB_FULL:
        eviction.asked(record);
        break;
      case UPCALL_PKT_TOO_BIG:
        paths.outdated(record[UPCALL_REMOTE]!, performance.now());
        break;
      case UPCALL_MAC_HELD:
        moveWarnings.held(record, monotonicS());
        break;
      case UPCALL_LEARNED:
        this.learned(tunnel.config.name, record);
        break;
      case UPCALL_NEIGHBOUR:
        this.heard(tunnel, record);
        break;
      case UPCALL_NEIGHBOUR_IS_HERE:
        if (tunnel.neighbours.isHere(addressOf(record))) this.tell(tunnel, "here", formatWords(addressOf(record)));
        break;
      case UPCALL_L2_MISS:
        events.emit({ event: "l2-miss", dev: tunnel.config.name, mac: formatMac(record[2]!, record[3]!) });
        break;
      case UPCALL_L3_MISS:
        events.emit({ event: "l3-miss", dev: tunnel.config.name, address: formatWords(addressOf(record)) });
    }
  }

  /** Aged entries, as ageing.ts has them. */
  aged(entries: readonly (readonly [bd: number, macHi: number, macLo: number, target: number])[]): void {
    const { tunnelOf, events } = this.ears;
    for (const [bd, macHi, macLo, target] of entries.slice(0, AGED_AT_ONCE)) {
      const dev = tunnelOf(bd)?.config.name;
      if (dev !== undefined)
        events.emit({ event: "age", dev, mac: formatMac(macHi, macLo), dst: this.addressAt(target) });
    }
    const count = entries.length - AGED_AT_ONCE;
    if (count > 0) events.emit({ event: "lost", count });
  }

  private learned(dev: string, record: Int32Array): void {
    const mac = formatMac(record[UPCALL_MAC_HI]!, record[UPCALL_MAC_LO]!);
    const dst = this.addressAt(record[UPCALL_AT]!);
    const from = record[UPCALL_FROM]!;
    const { events } = this.ears;
    if (from === 0) events.emit({ event: "learn", dev, mac, dst });
    else events.emit({ event: "move", dev, mac, dst, from: this.addressAt(from) });
  }

  private addressAt(slot: number): string {
    return formatVtepAddress(this.ears.remotes.address(slot));
  }

  /** Forgets the neighbours that were not heard for long. */
  tick(nowS: number): void {
    for (const tunnel of this.ears.tunnels.values()) {
      for (const address of tunnel.neighbours.age(nowS)) this.tell(tunnel, "aged", address);
    }
  }

  private heard(tunnel: Tunnel, record: Int32Array): void {
    const macHi = record[6]! & 0xffff;
    const address = addressOf(record);
    const change = tunnel.neighbours.heard(address, macHi, record[7]!, (record[6]! & NEIGHBOUR_ROUTER) !== 0);
    if (change !== undefined) this.tell(tunnel, change, formatWords(address), formatMac(macHi, record[7]!));
  }

  private tell(tunnel: Tunnel, change: "learned" | "moved" | "aged" | "here", address: string, mac?: string): void {
    const event = { event: "neighbour", dev: tunnel.config.name, change, address } as const;
    this.ears.events.emit(mac === undefined ? event : { ...event, mac });
  }
}

const addressOf = (record: Int32Array): AddressWords => [record[2]!, record[3]!, record[4]!, record[5]!];
