/**
 * Everything that operators change over the control socket goes through here: it happens all or not at all, and has been
 * written to the journal when the caller hears of it. First comes room in the journal, so that a full disk refuses a change before
 * it has an effect; then the change itself, in memory and at once; then the record. Records stand in the journal in the order
 * in which the changes happened. Main thread.
 */
import {
  type Change,
  type ChangeService,
  type EntryChange,
  isLinkChange,
  type LinkChange,
  ofChange,
} from "../dataplane/change.ts";
import { isHostName } from "../dataplane/host-name.ts";
import type { FdbFilter, FloodMember } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { changesOf } from "./carry-over.ts";
import type { Desired } from "./desired.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import type { Journal } from "./journal.ts";
import type { Links } from "./links.ts";
import { namedTunnel } from "./named-tunnel.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Vtep } from "./vtep.ts";
import type { Wish } from "./wish.ts";

export interface ChangesParts {
  readonly vtep: Vtep;
  readonly desired: Desired;
  readonly links: Links;
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  /** Undefined = nothing is kept. */
  readonly journal: Journal | undefined;
}

type Inverse = () => void;

/** What undoes a change; of a static FDB entry only what it was, because there may be a hundred thousand of them. */
type Former = Inverse | Wish | undefined;

const isEntryChange = (change: Change): change is EntryChange => !isLinkChange(change);

export class Changes implements ChangeService {
  private readonly parts: ChangesParts;

  constructor(parts: ChangesParts) {
    this.parts = parts;
  }

  async run(asked: readonly Change[]): Promise<void> {
    const changes = this.withNames(asked);
    const count = changes.findIndex((change) => !isLinkChange(change));
    const links = changes.slice(0, count < 0 ? changes.length : count).filter(isLinkChange);
    const entries = links.length === 0 ? changes : changes.slice(links.length);
    if (!entries.every(isEntryChange)) {
      throw new VtepdError("ERR_USAGE", "expected the changes of links before all others", { path: "changes" });
    }
    const { desired, journal } = this.parts;
    const text = JSON.stringify(changes);
    const bytes = Buffer.byteLength(text);
    await journal?.room(bytes);
    let isKept = false;
    const rest = async (): Promise<void> => {
      const former = this.formerEntries(links);
      const all = former.length === 0 ? entries : [...former, ...entries];
      const takeBack = await this.change(all, links.length - former.length, links.length > 0);
      isKept = true;
      try {
        await journal?.append(text);
      } catch (error) {
        takeBack();
        throw error;
      }
    };
    try {
      if (links.length > 0) await desired.changeLinks(links, changes.length === 1, rest);
      else await rest();
    } finally {
      if (!isKept) journal?.giveUp(bytes);
    }
  }

  /** With the tunnels' own names, where a device has been given another one. */
  private withNames(changes: readonly Change[]): Change[] {
    const { tunnels } = this.parts;
    const known = new Map<string, string>();
    const nameOf = (name: string): string => {
      if (tunnels.has(name)) return name;
      if (!known.has(name)) known.set(name, namedTunnel(tunnels, name)?.config.name ?? name);
      return known.get(name)!;
    };
    return changes.map((change) => {
      if (change.op === "link-add") return change;
      const said = isLinkChange(change) ? change.name : change.dev;
      const name = nameOf(said);
      if (name === said) return change;
      return isLinkChange(change) ? { ...change, name } : { ...change, dev: name };
    });
  }

  /** A change of before, which the journal has. @param isPart of a change of tunnels @throws as run */
  async replay(entry: EntryChange, isPart: boolean): Promise<void> {
    await this.change([entry], 0, isPart);
  }

  /** Of a tunnel that is deleted and made in one call, which for what is running is a change of it: nothing was said of the new one. */
  private formerEntries(links: readonly LinkChange[]): EntryChange[] {
    const isNew = ({ op, name }: LinkChange, at: number): boolean =>
      op === "link-add" && links.slice(0, at).some((before) => before.name === name && before.op === "link-del");
    const tunnels = links.filter(isNew).flatMap(({ name }) => this.parts.tunnels.get(name) ?? []);
    return tunnels.flatMap((tunnel) => changesOf(tunnel).map(deletionOf));
  }

  /**
   * Writes down that tunnels are no longer made by hand, or are no more. What was said of those that are there still is.
   * @throws ERR_JOURNAL
   */
  async forget(names: readonly string[]): Promise<void> {
    const { journal, tunnels } = this.parts;
    if (names.length === 0 || journal === undefined || journal.isEmpty) return;
    const gone = names.map((name): Change => ({ op: "link-del", name }));
    const present = names.flatMap((name) => tunnels.get(name) ?? []);
    const text = JSON.stringify([...gone, ...present.flatMap(changesOf)]);
    await journal.room(Buffer.byteLength(text));
    await journal.append(text);
  }

  async flushFdb(dev: string, filter: FdbFilter): Promise<number> {
    const { vtep } = this.parts;
    const { learned, fixed } = vtep.taken(dev, filter);
    await this.run(fixed.map((mac): Change => ({ op: "fdb-del", dev, mac })));
    for (const mac of learned) vtep.deleteFdb(dev, mac);
    return learned.length + fixed.length;
  }

  async flushNeighbours(dev: string, state: "learned" | "all"): Promise<number> {
    const { vtep } = this.parts;
    const named = state === "all" ? [...vtep.neighbours(dev)].filter(({ owner }) => owner !== "learned") : [];
    await this.run(named.map(({ address }): Change => ({ op: "neighbour-del", dev, address })));
    return named.length + vtep.flushNeighbours(dev, "learned");
  }

  /**
   * All or none. Returns what undoes them. @param before changes that stand before these in the caller's list
   * @param isPart of a change of tunnels, whose last step this is
   */
  private async change(entries: readonly EntryChange[], before: number, isPart: boolean): Promise<Inverse> {
    if (!isPart) await this.idle();
    const release = await this.prepare(entries);
    if (!isPart) await this.idle();
    const formers: Former[] = [];
    const takeBack = (): void => {
      for (let index = formers.length - 1; index >= 0; index--) this.takeBack(entries[index]!, formers[index]);
    };
    try {
      for (const [index, entry] of entries.entries()) {
        try {
          formers.push(this.changeOne(entry));
        } catch (error) {
          takeBack();
          throw before + entries.length === 1 ? error : ofChange(before + index, error);
        }
      }
    } finally {
      release();
    }
    return takeBack;
  }

  /** A tunnel that is being made anew is nowhere for a moment, and what is said of one then may be taken back with it. */
  private async idle(): Promise<void> {
    const { links } = this.parts;
    for (let busy = links.busy; busy !== undefined; busy = links.busy) await busy;
  }

  /** What takes time: the addresses of host names, the sockets of interfaces. Returns what lets go of it. */
  private async prepare(entries: readonly EntryChange[]): Promise<() => void> {
    const wanted = new Map<string, FloodMember[]>();
    for (const entry of entries) {
      const members = entry.op === "flood-set" ? entry.members : "dst" in entry ? [entry as FloodMember] : [];
      for (const member of members) {
        if (member.dst === undefined || (!isHostName(member.dst) && member.via === undefined)) continue;
        wanted.set(entry.dev, [...(wanted.get(entry.dev) ?? []), member]);
      }
    }
    const releases: (() => void)[] = [];
    const release = (): void => {
      for (const step of releases) step();
    };
    try {
      for (const [dev, members] of wanted) releases.push(await this.parts.vtep.prepare(dev, members));
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  /** Returns what `takeBack` needs. */
  private changeOne(entry: EntryChange): Former {
    const { vtep, tunnels } = this.parts;
    const { op, dev } = entry;
    const tunnel = tunnels.get(dev);
    switch (op) {
      case "fdb": {
        const former = formerOf(tunnel, entry.mac);
        vtep.changeFdb(dev, entry.verb, entry);
        return former;
      }
      case "fdb-del": {
        const former = formerOf(tunnel, entry.mac);
        vtep.deleteFdb(dev, entry.mac, entry.dst);
        return former;
      }
      case "flood":
      case "flood-del": {
        const { op: _, dev: __, ...member } = entry;
        const former = formerFlood(tunnel);
        if (op === "flood") vtep.addFlood(dev, member);
        else vtep.deleteFlood(dev, member);
        return former;
      }
      case "flood-set": {
        const former = formerFlood(tunnel);
        vtep.setFlood(dev, entry.members);
        return former;
      }
      case "neighbour": {
        const { op: _, dev: __, verb, ...request } = entry;
        const named = tunnel?.neighbours;
        const former = named?.named(entry.address);
        vtep.changeNeighbour(dev, verb, request);
        return () => {
          if (former === undefined) named?.delete(entry.address);
          else named?.change("replace", former, former.owner);
        };
      }
      case "neighbour-del": {
        const named = tunnel?.neighbours;
        const former = named?.named(entry.address);
        vtep.deleteNeighbour(dev, entry.address);
        return () => {
          if (former !== undefined) named?.change("replace", former, former.owner);
        };
      }
    }
  }

  private takeBack(entry: EntryChange, former: Former): void {
    if (typeof former === "function") {
      former();
      return;
    }
    const statics = this.parts.tunnels.get(entry.dev)?.forwarding.statics;
    if (!("mac" in entry) || statics === undefined) return;
    if (former !== undefined) statics.change("replace", entry.mac, former);
    else if (entry.op === "fdb") statics.delete(entry.mac, undefined);
  }
}

const formerFlood = (tunnel: Tunnel | undefined): Inverse => {
  const flood = tunnel?.forwarding.flood;
  const members = flood?.members ?? [];
  return () => flood?.set(members);
};

const formerOf = (tunnel: Tunnel | undefined, mac: string): Former =>
  mac === FLOOD_MAC ? formerFlood(tunnel) : tunnel?.forwarding.statics.get(mac)?.wish;

/** @param change one of changesOf */
const deletionOf = (change: Change): EntryChange => {
  switch (change.op) {
    case "fdb":
      return { op: "fdb-del", dev: change.dev, mac: change.mac };
    case "flood":
      return { ...change, op: "flood-del" };
    case "neighbour":
      return { op: "neighbour-del", dev: change.dev, address: change.address };
    default:
      throw new TypeError(`expected a change that adds, got ${change.op}`);
  }
};
