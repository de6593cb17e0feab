/**
 * Everything that operators change over the control socket goes through here: it happens all or not at all, and has been
 * written to the journal when the caller hears of it. First comes room in the journal, so that a full disk refuses a change before
 * it has an effect; then the change itself, in memory and at once; then the record. Records stand in the journal in the order
 * in which the changes happened. Main thread.
 */
import { type Change, type ChangeService, type EntryChange, isLinkChange, ofChange } from "../dataplane/change.ts";
import { isHostName } from "../dataplane/host-name.ts";
import type { FdbFilter, FloodMember } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { saidOf } from "./carry-over.ts";
import {
  changeEntry,
  changeTunnel,
  type EntryOfMac,
  type Inverse,
  isOfMac,
  type Made,
  undoEntry,
  withoutOwn,
} from "./change-tunnel.ts";
import type { Desired } from "./desired.ts";
import { HEADER_BYTES, type Journal } from "./journal.ts";
import type { Links } from "./links.ts";
import { namedTunnel } from "./named-tunnel.ts";
import { Said } from "./said.ts";
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
  /** What was said by hand and cannot be yet, by name of tunnel. */
  readonly waiting: Map<string, Said>;
}

/** The text of no changes. */
const NOTHING = "[]";

/** What came of a change; of a static FDB entry only what it was, because there may be a hundred thousand of them. */
type Outcome = Made | Wish | undefined;

const isMade = (outcome: Outcome): outcome is Made => outcome !== undefined && "inverse" in outcome;

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
    const whole = JSON.stringify(changes);
    // What is kept of entries is never longer than what was asked for.
    let room = Buffer.byteLength(whole);
    await journal?.room(room);
    let isKept = false;
    const rest = async (forgotten: readonly EntryChange[]): Promise<void> => {
      const more = forgotten.length === 0 ? 0 : Buffer.byteLength(JSON.stringify(forgotten));
      if (more > 0) {
        await journal?.room(more);
        room += HEADER_BYTES + more; // as if it were a record of its own
      }
      const outcomes = await this.change(entries, links.length, links.length > 0);
      const keptOf = (entry: EntryChange, index: number): EntryChange | undefined => {
        const outcome = outcomes[index];
        return isMade(outcome) ? outcome.kept : entry;
      };
      const isAll = forgotten.length === 0 && entries.every((entry, index) => keptOf(entry, index) === entry);
      const text = isAll
        ? whole
        : JSON.stringify([...links, ...forgotten, ...entries.flatMap((entry, index) => keptOf(entry, index) ?? [])]);
      // What is there already may have been asked for a moment ago.
      if (text === NOTHING) {
        await journal?.settled();
        return;
      }
      isKept = true;
      const back = this.unwait(links.filter(({ op }) => op !== "link-set").map(({ name }) => name));
      try {
        await journal?.append(text, room);
      } catch (error) {
        back();
        this.takeBack(entries, outcomes);
        throw error;
      }
    };
    try {
      if (links.length > 0) await desired.changeLinks(links, changes.length === 1, rest);
      else await rest([]);
    } finally {
      if (!isKept) journal?.giveUp(room);
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

  /**
   * Writes down that tunnels are no longer made by hand, or are no more. What was said of those that are there still is, but for
   * what is in `said`. @param said deletions @throws ERR_JOURNAL
   */
  async forget(names: readonly string[], said: readonly EntryChange[]): Promise<void> {
    const { journal, tunnels, waiting } = this.parts;
    const back = this.unwait(names.filter((name) => !tunnels.has(name)));
    if (names.length + said.length === 0 || journal === undefined || journal.isEmpty) return;
    const gone = names.map((name): Change => ({ op: "link-del", name }));
    const present = names.flatMap((name) => tunnels.get(name) ?? []);
    const still = present.flatMap((tunnel) => {
      const { name } = tunnel.config;
      return [...saidOf(tunnel), ...(waiting.get(name)?.changes(name) ?? [])];
    });
    const text = JSON.stringify([...gone, ...said, ...still]);
    const bytes = Buffer.byteLength(text);
    try {
      await journal.room(bytes);
      await journal.append(text, bytes);
    } catch (error) {
      back();
      throw error;
    }
  }

  /** Nothing waits to be said of these any more. Returns what undoes it. */
  private unwait(names: readonly string[]): Inverse {
    const { waiting } = this.parts;
    const former = names.flatMap((name) => {
      const said = waiting.get(name);
      return said === undefined ? [] : [[name, said] as const];
    });
    for (const name of names) waiting.delete(name);
    return () => {
      for (const [name, said] of former) waiting.set(name, said);
    };
  }

  async flushFdb(dev: string, filter: FdbFilter): Promise<number> {
    const { vtep } = this.parts;
    const { learned, fixed } = vtep.taken(dev, filter);
    const late = this.parts.waiting.get(dev)?.macs(filter) ?? [];
    await this.run([...fixed, ...late].map((mac): Change => ({ op: "fdb-del", dev, mac })));
    for (const mac of learned) vtep.deleteFdb(dev, mac);
    return learned.length + fixed.length + late.length;
  }

  async flushNeighbours(dev: string, state: "learned" | "all"): Promise<number> {
    const { vtep } = this.parts;
    const named = state === "all" ? [...vtep.neighbours(dev)].filter(({ owner }) => owner !== "learned") : [];
    await this.run(named.map(({ address }): Change => ({ op: "neighbour-del", dev, address })));
    return named.length + vtep.flushNeighbours(dev, "learned");
  }

  /** All or none. @param before changes that stand before these in the caller's list @param isPart of a change of tunnels, whose last step this is */
  private async change(entries: readonly EntryChange[], before: number, isPart: boolean): Promise<Outcome[]> {
    if (!isPart) await this.idle();
    const release = await this.prepare(entries);
    if (!isPart) await this.idle();
    const outcomes: Outcome[] = [];
    try {
      for (const [index, entry] of entries.entries()) {
        try {
          outcomes.push(this.changeOne(entry));
        } catch (error) {
          this.takeBack(entries, outcomes);
          throw before + entries.length === 1 ? error : ofChange(before + index, error);
        }
      }
    } finally {
      release();
    }
    return outcomes;
  }

  private takeBack(entries: readonly EntryChange[], outcomes: readonly Outcome[]): void {
    for (let index = outcomes.length - 1; index >= 0; index--) {
      const outcome = outcomes[index];
      const entry = entries[index] as EntryOfMac;
      if (isMade(outcome)) outcome.inverse();
      else undoEntry(this.parts.tunnels.get(entry.dev), entry, outcome);
    }
  }

  /** A tunnel that is being made anew is nowhere for a moment, and what is said of one then may be taken back with it. */
  async idle(): Promise<void> {
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

  /** What waits to be said gives way to what is said now. */
  private changeOne(asked: EntryChange): Outcome {
    const { vtep, waiting, tunnels } = this.parts;
    const { dev } = asked;
    const tunnel = tunnels.get(dev);
    const entry = withoutOwn(asked, tunnel);
    const held = waiting.get(dev);
    if (held === undefined || !held.has(entry)) {
      return entry === asked && isOfMac(entry) ? changeEntry(vtep, tunnel, entry) : changeTunnel(this.parts, entry);
    }
    const before = held.changes(dev);
    const isGone = held.drop(entry);
    const back: Inverse = () => void waiting.set(dev, Said.of(before));
    try {
      const { inverse, kept } = changeTunnel(this.parts, entry);
      const backToo: Inverse = () => {
        inverse();
        back();
      };
      return { inverse: backToo, kept: isGone ? (kept ?? unsaid(entry)) : kept };
    } catch (error) {
      if (entry.op.endsWith("-del") && isGone && tunnel !== undefined) return { inverse: back, kept: entry };
      back();
      throw error;
    }
  }
}

/** Of a member that is there already, by other words. */
const unsaid = (entry: EntryChange): EntryChange | undefined => {
  if (entry.op !== "flood" && entry.op !== "fdb") return undefined;
  const { dev, dst, port, vni, via } = entry;
  return { op: "flood-del", dev, dst, port, vni, via };
};
