/**
 * What was made by hand, over restarts: read from the journal at the start and made again, and told as a snapshot when the
 * journal has grown long. Changes that no longer fit (the file has the tunnel now, an interface is gone) are logged, never fatal.
 * A tunnel that cannot be made now waits, and what was said of it with it.
 */
import type { Logger } from "pino";
import { type Change, type EntryChange, isLinkChange } from "../dataplane/change.ts";
import type { Settings } from "../dataplane/desired-view.ts";
import { VtepdError } from "../errors.ts";
import { changesOf } from "./carry-over.ts";
import type { Changes } from "./changes.ts";
import type { Desired, Forgotten } from "./desired.ts";
import type { Tunnel } from "./tunnel.ts";

/** Changes in one record of a snapshot. */
const CHUNK = 1000;

export interface HandMadeParts {
  readonly desired: Desired;
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  readonly log: Logger;
}

export class HandMade {
  private readonly parts: HandMadeParts;
  /** What was said of tunnels that are not there yet. */
  private readonly waiting = new Map<string, EntryChange[]>();

  constructor(parts: HandMadeParts) {
    this.parts = parts;
  }

  /** Everything, as records of a journal. */
  *snapshot(): Generator<string> {
    const { desired, tunnels } = this.parts;
    const all: Change[] = [...desired.byHand()];
    for (const tunnel of tunnels.values()) all.push(...changesOf(tunnel));
    for (const [dev, entries] of this.waiting) if (desired.isAbsent(dev)) all.push(...entries);
    for (let at = 0; at < all.length; at += CHUNK) yield JSON.stringify(all.slice(at, at + CHUNK));
  }

  /** Makes what the records say. @param records texts of lists of changes, oldest first */
  async restore(records: readonly string[], changes: Changes): Promise<void> {
    const { desired, tunnels, log } = this.parts;
    const links = new Map<string, Settings>();
    for (const change of records.flatMap((text) => JSON.parse(text) as Change[])) {
      if (isLinkChange(change)) this.fold(change, links);
      else {
        const said = this.waiting.get(change.dev) ?? [];
        said.push(change);
        this.waiting.set(change.dev, said);
      }
    }
    await desired.restore(links);
    let count = 0;
    const gone = [...links.keys()].filter((name) => tunnels.has(name) && !desired.isByHand(name));
    for (const dev of [...this.waiting.keys()]) {
      if (tunnels.has(dev)) count += await this.say(dev, changes);
      else if (!links.has(dev)) {
        this.drop(dev);
        gone.push(dev);
      }
    }
    // Or they would come back at some later start, when the file has other tunnels.
    await changes.forget(gone).catch((err: unknown) => log.warn({ err, links: gone }, "the journal cannot forget"));
    if (links.size + count > 0) log.info({ links: links.size, changes: count }, "what was made by hand is back");
  }

  /** Tries again to make the tunnels that wait. */
  async retry(changes: Changes): Promise<void> {
    if (this.parts.desired.absentees === 0) return;
    for (const dev of await this.parts.desired.retry()) await this.say(dev, changes);
  }

  /** The file has changed. @throws ERR_JOURNAL */
  async forget({ names, found }: Forgotten, changes: Changes): Promise<void> {
    for (const dev of found) await this.say(dev, changes, true);
    await changes.forget(names);
  }

  private fold(change: Extract<Change, { name: string }>, links: Map<string, Settings>): void {
    const { op, name } = change;
    if (op === "link-del") {
      links.delete(name);
      this.waiting.delete(name);
    } else if (op === "link-add") {
      if (links.has(name)) this.waiting.delete(name); // it was waiting, and has another one in its place
      links.set(name, change.settings);
    } else {
      const next = Object.entries({ ...links.get(name), ...change.settings }).filter(([, value]) => value !== null);
      links.set(name, Object.fromEntries(next));
    }
  }

  /** Makes what was said of a tunnel, which is there now. Returns how much of it. @param isPart of a change of tunnels */
  private async say(dev: string, changes: Changes, isPart = false): Promise<number> {
    const said = this.waiting.get(dev) ?? [];
    this.waiting.delete(dev);
    let count = 0;
    for (const change of said) {
      try {
        await changes.replay(change, isPart);
        count++;
      } catch (error) {
        if (!(error instanceof VtepdError)) throw error;
        this.parts.log.warn(
          { change, code: error.code, reason: error.message },
          "a change made by hand no longer fits",
        );
      }
    }
    return count;
  }

  private drop(dev: string): void {
    const changes = this.waiting.get(dev)?.length;
    this.waiting.delete(dev);
    this.parts.log.warn({ link: dev, changes }, "changes made by hand are of a tunnel that is no more");
  }
}
