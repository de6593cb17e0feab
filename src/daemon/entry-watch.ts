/**
 * Tells whoever listens of entries that operators make, change and delete: over the control socket, by a reload, by a host name
 * that has another address now. Whoever keeps such entries notes here, before a change, what was there; what came of it is looked
 * up soon after and compared. So a call that is taken back, and a tunnel that is made anew with what it had, tell nothing; and
 * while nobody listens a change costs one test.
 *
 * 100,000 changes in one call are told a few at a time, because no reader takes them at once. The entries of a deleted tunnel go
 * with it, without a word each. Main thread.
 */
import type { EventView } from "../dataplane/event-view.ts";
import type { EntryEars, FdbEntryBefore, NeighbourBefore } from "./entry-ears.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import { remoteText } from "./remotes.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Place, Wish } from "./wish.ts";

type FdbEvent = Extract<EventView, { readonly event: "fdb" }>;

/** Of one tunnel, by MAC and by address: what was there before the first change that is not told yet. */
interface Noted {
  readonly macs: Map<string, FdbEntryBefore | undefined>;
  flood: readonly Place[] | undefined;
  readonly neighbours: Map<string, NeighbourBefore | undefined>;
}

/** Entries looked at in one go, and milliseconds to the next one. */
const AT_ONCE = 500;
const PAUSE_MS = 5;

export interface EntryWatchParts {
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  /** Whether tunnels come or go just now; they are half of themselves then. */
  readonly isBusy: () => boolean;
  /** Whether the tunnel was told of, so that those who listen know it. */
  readonly isTold: (dev: string) => boolean;
  readonly emit: (event: EventView) => void;
}

export class EntryWatch implements EntryEars {
  private readonly parts: EntryWatchParts;
  private readonly noted = new Map<string, Noted>();
  private timer: NodeJS.Timeout | undefined;
  isOn = false;

  constructor(parts: EntryWatchParts) {
    this.parts = parts;
  }

  /** From now on changes are told. */
  begin(): void {
    this.isOn = true;
  }

  end(): void {
    this.isOn = false;
    this.noted.clear();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  fdb(dev: string, mac: string, before: FdbEntryBefore | undefined): void {
    const { macs } = this.of(dev);
    if (!macs.has(mac)) macs.set(mac, before);
  }

  flood(dev: string, before: readonly Place[]): void {
    this.of(dev).flood ??= before;
  }

  neighbour(dev: string, address: string, before: NeighbourBefore | undefined): void {
    const { neighbours } = this.of(dev);
    if (!neighbours.has(address)) neighbours.set(address, before);
  }

  /** Each second, after the tunnels were told of: what is left of those that are gone is not told any more. */
  tick(): void {
    if (this.noted.size === 0 || this.parts.isBusy()) return;
    for (const dev of this.noted.keys()) if (!this.parts.tunnels.has(dev)) this.noted.delete(dev);
    this.tell();
  }

  private of(dev: string): Noted {
    let noted = this.noted.get(dev);
    if (noted === undefined) {
      noted = { macs: new Map(), flood: undefined, neighbours: new Map() };
      this.noted.set(dev, noted);
    }
    this.timer ??= setTimeout(() => this.tell(), 0);
    return noted;
  }

  private tell(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const { tunnels, isBusy, isTold } = this.parts;
    if (isBusy()) return;
    let left = AT_ONCE;
    for (const [dev, noted] of this.noted) {
      const tunnel = tunnels.get(dev);
      if (tunnel === undefined || !isTold(dev)) continue;
      left = this.tellOf(tunnel, noted, left);
      if (left === 0) {
        this.timer = setTimeout(() => this.tell(), PAUSE_MS);
        return;
      }
      this.noted.delete(dev);
    }
  }

  /** Returns how many more may be looked at. */
  private tellOf(tunnel: Tunnel, noted: Noted, atMost: number): number {
    let left = atMost;
    if (noted.flood !== undefined) this.tellFlood(tunnel, noted.flood);
    noted.flood = undefined;
    for (const [mac, before] of noted.macs) {
      if (left === 0) return 0;
      noted.macs.delete(mac);
      this.tellFdb(tunnel, mac, before);
      left--;
    }
    for (const [address, before] of noted.neighbours) {
      if (left === 0) return 0;
      noted.neighbours.delete(address);
      this.tellNeighbour(tunnel, address, before);
      left--;
    }
    return left;
  }

  private tellFdb(tunnel: Tunnel, mac: string, before: FdbEntryBefore | undefined): void {
    const entry = tunnel.forwarding.statics.get(mac);
    const then = before === undefined ? undefined : fdbFields(tunnel, before.address, before.wish);
    const now = entry?.remote === undefined ? undefined : fdbFields(tunnel, entry.remote.address, entry.wish);
    this.compare({ event: "fdb", dev: tunnel.config.name, mac }, then, now);
  }

  /** Each member is an entry. */
  private tellFlood(tunnel: Tunnel, before: readonly Place[]): void {
    const byRemote = (places: readonly Place[]): Map<string, Place> =>
      new Map(places.map((place) => [remoteText(place.remote), place]));
    const [then, now] = [byRemote(before), byRemote(tunnel.forwarding.flood.places)];
    const fields = (place: Place | undefined): FdbFields | undefined =>
      place && fdbFields(tunnel, place.remote.address, place.wish);
    for (const key of new Set([...then.keys(), ...now.keys()])) {
      const what = { event: "fdb", dev: tunnel.config.name, mac: FLOOD_MAC } as const;
      this.compare(what, fields(then.get(key)), fields(now.get(key)));
    }
  }

  private tellNeighbour(tunnel: Tunnel, address: string, before: NeighbourBefore | undefined): void {
    const fields = ({ mac, router }: NeighbourBefore): { mac: string; router?: true } =>
      router ? { mac, router } : { mac };
    const named = tunnel.neighbours.named(address);
    const now = named && fields({ mac: named.mac, router: named.router === true });
    this.compare({ event: "neighbour", dev: tunnel.config.name, address }, before && fields(before), now);
  }

  private compare<What extends { event: string; dev: string }, Fields extends object>(
    { event: kind, dev, ...what }: What,
    before: Fields | undefined,
    now: Fields | undefined,
  ): void {
    const { emit } = this.parts;
    const event = (change: FdbEvent["change"], fields: Fields): EventView =>
      ({ event: kind, dev, change, ...what, ...fields }) as unknown as EventView;
    if (now === undefined) {
      if (before !== undefined) emit(event("deleted", before));
    } else if (before === undefined) emit(event("added", now));
    else if (JSON.stringify(before) !== JSON.stringify(now)) emit(event("changed", now));
  }
}

type FdbFields = Omit<FdbEvent, "event" | "dev" | "change" | "mac">;

const fdbFields = ({ config }: Tunnel, dst: string, wish: Wish | undefined): FdbFields => {
  if (wish === undefined) return { dst, owner: "learned" };
  const { port, vni, via, owner, isSticky } = wish;
  return {
    dst,
    ...(port === config.port ? {} : { port }),
    ...(vni === config.id ? {} : { vni }),
    ...(via === undefined ? {} : { via }),
    ...(isSticky ? { sticky: true as const } : {}),
    owner,
  };
};
