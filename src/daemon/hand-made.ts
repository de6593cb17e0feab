/**
 * What was made by hand, over restarts: read from the journal at the start and made again, and told as a snapshot when the
 * journal has grown long. What cannot be made now, tunnels and what was said of them, waits and is tried again: an interface may be
 * missing, or the file may have changed while nobody ran. What the file says, too, is the file's from then on.
 */
import type { Logger } from "pino";
import { type Change, type EntryChange, isLinkChange, type LinkChange } from "../dataplane/change.ts";
import type { Settings } from "../dataplane/desired-view.ts";
import { isHostName } from "../dataplane/host-name.ts";
import { VtepdError } from "../errors.ts";
import { saidOf, sayAgain } from "./carry-over.ts";
import type { Changes } from "./changes.ts";
import type { Desired, Forgotten } from "./desired.ts";
import type { Journal, JournalContents } from "./journal.ts";
import { deletionOf, Said } from "./said.ts";
import type { Tunnel } from "./tunnel.ts";

/** Changes in one record of a snapshot. */
const CHUNK = 1000;

const OPS: ReadonlySet<unknown> = new Set<Change["op"]>([
  "link-add",
  "link-set",
  "link-del",
  "fdb",
  "fdb-del",
  "flood",
  "flood-del",
  "flood-set",
  "neighbour",
  "neighbour-del",
]);

export interface HandMadeParts {
  readonly desired: Desired;
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  readonly log: Logger;
}

/** What waits of one tunnel and could be said now, and what its settings say, too. */
interface Outcome {
  readonly said: number;
  readonly forgotten: readonly EntryChange[];
}

export class HandMade {
  private readonly parts: HandMadeParts;
  /** By name of tunnel: what was said of those that are not there yet, and what does not fit those that are. */
  readonly waiting: Map<string, Said> = new Map();

  constructor(parts: HandMadeParts) {
    this.parts = parts;
  }

  /** How many changes wait. */
  get waitingCount(): number {
    return [...this.waiting.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Everything, as records of a journal. */
  *snapshot(): Generator<string> {
    const { desired, tunnels } = this.parts;
    const all: Change[] = [...desired.byHand()];
    for (const tunnel of tunnels.values()) all.push(...saidOf(tunnel));
    for (const [dev, said] of this.waiting) all.push(...said.changes(dev));
    for (let at = 0; at < all.length; at += CHUNK) yield JSON.stringify(all.slice(at, at + CHUNK));
  }

  /** Makes what the journal says. @param copy keeps the journal beside; returns its name there */
  async restore(contents: JournalContents, journal: Journal, copy: () => string | undefined): Promise<void> {
    const { records, cutBytes, damagedBytes } = contents;
    const { log } = this.parts;
    const { path } = journal;
    if (cutBytes > 0) log.warn({ path, bytes: cutBytes }, "the journal ends in a record that a crash has cut");
    const { unknown, isStale } = await this.restoreRecords(records);
    const isOdd = unknown > 0 || damagedBytes > 0;
    if (isOdd) {
      const words = "the journal has damaged bytes, or changes of another version; they are lost, all others are kept";
      log.error({ path, damagedBytes, unknown, copy: copy() }, words);
    }
    // Or what is not there any more would come back at some later start, when the file has other tunnels.
    if (isOdd || isStale) await journal.renew();
  }

  /** Returns how many changes are of a later version, or none, and whether the journal has what is not there any more. */
  private async restoreRecords(records: readonly string[]): Promise<{ unknown: number; isStale: boolean }> {
    const { desired, tunnels, log } = this.parts;
    const { waiting } = this;
    const links = new Map<string, Settings>();
    let unknown = 0;
    for (const text of records) {
      const { changes, rest } = readChanges(text);
      unknown += rest;
      for (const change of changes) this.fold(change, links);
    }
    await desired.restore(links);
    let count = 0;
    let isStale = [...links.keys()].some((name) => tunnels.has(name) && !desired.isByHand(name));
    for (const [dev, said] of [...waiting]) {
      const tunnel = tunnels.get(dev);
      if (tunnel !== undefined) {
        const outcome = await this.say(tunnel);
        count += outcome.said;
        isStale ||= outcome.forgotten.length > 0;
      } else if (!links.has(dev)) {
        waiting.delete(dev);
        isStale = true;
        log.warn({ link: dev, changes: said.size }, "changes made by hand are of a tunnel that is no more");
      }
    }
    if (links.size + count > 0) log.info({ links: links.size, changes: count }, "what was made by hand is back");
    return { unknown, isStale };
  }

  /** Tries again to make what waits. */
  async retry(changes: Changes): Promise<void> {
    const { desired, tunnels, log } = this.parts;
    if (desired.absentees > 0) await desired.retry();
    for (const dev of [...this.waiting.keys()]) {
      await changes.idle();
      const tunnel = tunnels.get(dev);
      if (tunnel === undefined) continue;
      const { said, forgotten } = await this.say(tunnel, () => changes.idle());
      if (said > 0) log.info({ link: dev, changes: said }, "what was made by hand and did not fit is back");
      await changes
        .forget([], forgotten)
        .catch((err: unknown) => log.warn({ err, link: dev }, "the journal cannot forget"));
    }
  }

  /** The file has changed. @throws ERR_JOURNAL */
  async forget({ names, found, said }: Forgotten, changes: Changes): Promise<void> {
    const { tunnels } = this.parts;
    for (const dev of found) {
      const tunnel = tunnels.get(dev);
      if (tunnel !== undefined) await this.say(tunnel);
    }
    await changes.forget(names, said);
  }

  private fold(change: Change, links: Map<string, Settings>): void {
    if (isLinkChange(change)) {
      this.foldLink(change, links);
      return;
    }
    const said = this.waiting.get(change.dev) ?? new Said();
    said.take(change);
    if (said.size > 0) this.waiting.set(change.dev, said);
    else this.waiting.delete(change.dev);
  }

  private foldLink({ op, name, ...rest }: LinkChange, links: Map<string, Settings>): void {
    const { settings = {} } = rest as { settings?: Settings };
    if (op === "link-del") {
      links.delete(name);
      this.waiting.delete(name);
    } else if (op === "link-add") {
      if (links.has(name)) this.waiting.delete(name); // it was waiting, and has another one in its place
      links.set(name, settings);
    } else if (links.has(name)) {
      const next = Object.entries({ ...links.get(name), ...settings }).filter(([, value]) => value !== null);
      links.set(name, Object.fromEntries(next));
    }
  }

  /** Makes what waits to be said of a tunnel, as far as it fits. @param idle undefined = nobody else changes anything, and what does not fit is told */
  private async say(tunnel: Tunnel, idle?: () => Promise<void>): Promise<Outcome> {
    const dev = tunnel.config.name;
    let said = 0;
    const forgotten: EntryChange[] = [];
    for (const change of this.waiting.get(dev)?.changes(dev) ?? []) {
      try {
        const isSaid = await this.sayOne(tunnel, change, idle);
        if (isSaid === true) said++;
        else if (isSaid === false) forgotten.push(deletionOf(change));
      } catch (error) {
        if (!(error instanceof VtepdError)) throw error;
        const fields = { change, code: error.code, reason: error.message };
        if (idle === undefined) this.parts.log.warn(fields, "a change made by hand does not fit; it is tried again");
      }
    }
    if (this.waiting.get(dev)?.size === 0) this.waiting.delete(dev);
    return { said, forgotten };
  }

  /** As sayAgain; undefined = meanwhile it waits no more, or the tunnel is another one. */
  private async sayOne(tunnel: Tunnel, change: EntryChange, idle?: () => Promise<void>): Promise<boolean | undefined> {
    const { dst, via } = change as { dst?: string; via?: string };
    const isSlow = dst !== undefined && (via !== undefined || isHostName(dst));
    const release = isSlow ? await tunnel.prepare([{ dst, via }]) : undefined;
    if (isSlow) await idle?.();
    const { name } = tunnel.config;
    const held = this.waiting.get(name);
    try {
      if (this.parts.tunnels.get(name) !== tunnel || held?.drop(change) !== true) return undefined;
      return sayAgain(tunnel, change);
    } catch (error) {
      held?.take(change);
      throw error;
    } finally {
      release?.();
    }
  }
}

/** The changes that are understood, and how many are not. */
const readChanges = (text: string): { readonly changes: Change[]; readonly rest: number } => {
  try {
    const all = JSON.parse(text) as readonly Change[];
    const changes = all.filter(({ op }) => OPS.has(op));
    return { changes, rest: all.length - changes.length };
  } catch {
    return { changes: [], rest: 1 };
  }
};
