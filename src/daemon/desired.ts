/**
 * What shall be: the tunnels of the configuration file, and those that somebody has made over the control socket. Every
 * change of it is checked as a whole configuration is, becomes what is running (links.ts), and only then is what shall be.
 *
 * A name belongs to the file or to who made it by hand. What the file has is changed in the file; a file that comes to have
 * a name of the other kind takes it over. Main thread; changes take turns.
 */
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { differenceOf } from "../config/difference.ts";
import { tunnelJsonSchema } from "../config/json-schema.ts";
import { loadConfig, parseConfig, readSettings } from "../config/load.ts";
import { type EntryChange, type LinkChange, ofChange } from "../dataplane/change.ts";
import type { DesiredState, Difference, Settings, WrittenLink } from "../dataplane/desired-view.ts";
import type { KeptView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import type { DirectRoutes } from "./direct-routes.ts";
import type { Gateways } from "./gateways.ts";
import type { ApplyOptions, LastStep, Links } from "./links.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Turns } from "./turns.ts";
import { Undo } from "./undo.ts";

type Written = Readonly<Record<string, Settings>>;

interface HandMadeLinks {
  readonly byHand: Written;
  /** Made by hand, too, and waiting for what they need. */
  readonly absent: Written;
}

/** What a whole is made of. */
interface Sources extends HandMadeLinks {
  readonly file: Config;
}

/** A whole that can become what is running. */
interface Whole extends Sources, Pick<Config, "tunnels" | "hostGateways" | "settings"> {}

/** What a file has changed about tunnels that were made by hand, and about what was said of its own ones. */
export interface Forgotten {
  /** Are the file's now, or are no more. */
  readonly names: readonly string[];
  /** Those of them that had been waiting, and are there now. */
  readonly found: readonly string[];
  /** What was said by hand and is the file's now, as deletions. */
  readonly said: readonly EntryChange[];
}

export interface DesiredParts {
  readonly links: Links;
  readonly gateways: Gateways;
  readonly directRoutes: DirectRoutes;
  readonly turns: Turns;
  readonly configPath: string;
  readonly log: Logger;
  /** Told of the tunnels that are new or were made anew. */
  onChange(made: readonly Tunnel[]): void;
  /** Runs what brings another configuration into effect, and tells who wants to know. */
  during<T>(reload: () => Promise<T>): Promise<T>;
}

export class Desired implements DesiredState {
  private readonly parts: DesiredParts;
  private present: Whole;
  /** Tunnels made by hand before the daemon's start that nobody has touched since. */
  private readonly restored = new Set<string>();
  /** Why those that wait could not be made, when that was last tried. */
  private readonly reasons = new Map<string, VtepdError>();
  private reloaded: KeptView["reload"] = { isSuccessful: false, succeededAtS: 0 };
  /** What it returns has been kept. */
  forget: (forgotten: Forgotten) => Promise<void> = async () => {};
  /** Told when tunnels have been changed. */
  onChanged: () => void = () => {};

  /** @param file what the daemon was started with; nothing of it is running yet */
  constructor(parts: DesiredParts, file: Config) {
    this.parts = parts;
    this.present = {
      file,
      byHand: {},
      absent: {},
      tunnels: [],
      hostGateways: [],
      settings: { daemon: {}, tunnels: {} },
    };
  }

  /** Makes everything that shall be. @throws as DesiredState's changes */
  start(): Promise<void> {
    return this.noting(() => this.parts.turns.take(() => this.become(wholeOf(this.present))));
  }

  get lastReload(): KeptView["reload"] {
    return this.reloaded;
  }

  /** Whether a tunnel is not of the file. */
  isByHand(name: string): boolean {
    return Object.hasOwn(this.present.byHand, name);
  }

  /** Whether a tunnel was made by hand, and waits for what it needs. */
  isAbsent(name: string): boolean {
    return Object.hasOwn(this.present.absent, name);
  }

  /** Of a tunnel, as they are written. */
  settingsOf(name: string): Settings {
    return this.present.settings.tunnels[name] ?? {};
  }

  written(): ReturnType<DesiredState["written"]> {
    const { file, byHand } = this.present;
    const owned = (links: Written, owner: WrittenLink["owner"]): [string, WrittenLink][] =>
      Object.entries(links).map(([name, settings]) => {
        return [name, { owner, settings, ...(this.restored.has(name) ? { isRestored: true } : {}) }];
      });
    return {
      daemon: file.settings.daemon,
      tunnels: Object.fromEntries([...owned(file.settings.tunnels, "config"), ...owned(byHand, "control")]),
    };
  }

  waiting(name: string): VtepdError | undefined {
    if (!this.isAbsent(name)) return undefined;
    const reason = this.reasons.get(name)?.message ?? "it is being made";
    const message = `${name} was made by hand and waits, until then it can only be deleted or made anew: ${reason}`;
    return new VtepdError("ERR_LINK_WAITING", message);
  }

  settingsSchema(): object {
    return tunnelJsonSchema();
  }

  /**
   * Makes, changes and deletes tunnels by hand, all or none. @param isAlone whether the call has no other change
   * @param then what belongs to the change and may fail
   * @throws as ChangeService.run, and what `then` throws; then nothing has changed
   */
  changeLinks(changes: readonly LinkChange[], isAlone: boolean, then: LastStep): Promise<void> {
    return this.parts.turns.take(async () => {
      const before = this.present;
      let links: HandMadeLinks = before;
      for (const [index, change] of changes.entries()) {
        try {
          links = this.changed(links, change);
        } catch (error) {
          throw isAlone ? error : ofChange(index, error);
        }
      }
      const down = changes.filter((change) => change.op === "link-add" && change.isDown === true);
      await this.become(wholeOf({ ...before, ...links }), then, {
        down: new Set(down.map(({ name }) => name)),
        anew: anewOf(changes),
        isReset: (name) => changes.some((change) => change.name === name),
      });
      for (const { op, name } of changes) {
        this.restored.delete(name);
        this.parts.log.info({ link: name, op }, "tunnels were changed by hand");
      }
    });
  }

  /** What has been made by hand, as changes of nothing. */
  byHand(): LinkChange[] {
    const { byHand, absent } = this.present;
    return Object.entries({ ...byHand, ...absent }).map(([name, settings]) => ({ op: "link-add", name, settings }));
  }

  /**
   * Makes tunnels that were made by hand before the daemon was stopped. One that cannot be made now (its interface may be
   * missing) is tried again by `retry`; one whose name the file has come to have is the file's.
   */
  async restore(links: ReadonlyMap<string, Settings>): Promise<void> {
    await this.parts.turns.take(async () => {
      const { file } = this.present;
      const wanted = without(Object.fromEntries(links), file.settings.tunnels);
      if (Object.keys(wanted).length === 0) return;
      for (const name of Object.keys(wanted)) this.restored.add(name);
      this.present = { ...this.present, absent: wanted };
      try {
        await this.become(wholeOf({ ...this.present, byHand: wanted, absent: {} }));
      } catch {
        for (const name of Object.keys(wanted)) await this.restoreOne(name, true);
      }
    });
  }

  /** Tries again to make those that `restore` could not. Returns the names of those that are there now. */
  retry(): Promise<string[]> {
    return this.parts.turns.take(async () => {
      const before = Object.keys(this.present.absent);
      for (const name of before) await this.restoreOne(name, false);
      return before.filter((name) => !this.isAbsent(name));
    });
  }

  /** How many tunnels made by hand wait for what they need. */
  get absentees(): number {
    return Object.keys(this.present.absent).length;
  }

  reload(dryRun: boolean): Promise<Difference> {
    const apply = (): Promise<Difference> => this.applyFile(() => loadConfig(this.parts.configPath), dryRun);
    return dryRun ? apply() : this.parts.during(() => this.noting(apply));
  }

  applyText(text: string, dryRun: boolean): Promise<Difference> {
    const apply = (): Promise<Difference> => this.applyFile(() => parseConfig(text, "config"), dryRun);
    return dryRun ? apply() : this.parts.during(() => this.noting(apply));
  }

  /** Remembers how it went. */
  private async noting<T>(step: () => Promise<T>): Promise<T> {
    const { succeededAtS } = this.reloaded;
    this.reloaded = { isSuccessful: false, succeededAtS };
    const result = await step();
    this.reloaded = { isSuccessful: true, succeededAtS: Date.now() / 1000 };
    return result;
  }

  private applyFile(read: () => Config, dryRun: boolean): Promise<Difference> {
    return this.parts.turns.take(async () => {
      const file = read();
      const before = this.present;
      const ofFile = file.settings.tunnels;
      const byHand = without(before.byHand, ofFile);
      const next = wholeOf({ file, byHand, absent: without(before.absent, ofFile) });
      const difference = differenceOf(before, next);
      if (dryRun) return difference;
      const names = Object.keys({
        ...without(before.byHand, next.byHand),
        ...without(before.absent, next.absent),
        ...without(before.file.settings.tunnels, ofFile),
      });
      const found = Object.keys(without(before.absent, next.absent));
      await this.become(next, (said) => this.forget({ names, found, said }), { isReset: () => true });
      const { added, removed, changed, unchanged, daemon } = difference;
      this.parts.log.info({ added, removed, changed: Object.keys(changed), unchanged }, "configuration was applied");
      const waiting = Object.keys(daemon);
      if (waiting.length > 0) this.parts.log.warn({ daemon: waiting }, "these keys take effect at the next start");
      return difference;
    });
  }

  private async restoreOne(name: string, isFirst: boolean): Promise<void> {
    const { [name]: settings, ...absent } = this.present.absent;
    try {
      await this.become(wholeOf({ ...this.present, byHand: { ...this.present.byHand, [name]: settings! }, absent }));
      this.reasons.delete(name);
      if (!isFirst) this.parts.log.info({ link: name }, "a tunnel made by hand is back");
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      this.reasons.set(name, error);
      const fields = { link: name, code: error.code, reason: error.message };
      if (isFirst) this.parts.log.error(fields, "a tunnel made by hand cannot be made yet");
    }
  }

  private changed({ byHand, absent }: HandMadeLinks, change: LinkChange): HandMadeLinks {
    const { name } = change;
    const { [name]: waiting, ...stillAbsent } = absent;
    if (change.op === "link-add") {
      if (Object.hasOwn(byHand, name) || Object.hasOwn(this.present.file.settings.tunnels, name)) {
        const message = `expected a new name, ${name} is a tunnel already`;
        throw new VtepdError("ERR_DEVICE_EXISTS", message, { path: "name" });
      }
      return { byHand: { ...byHand, [name]: change.settings }, absent: stillAbsent };
    }
    if (change.op === "link-del" && waiting !== undefined) return { byHand, absent: stillAbsent };
    const { [name]: before, ...rest } = byHand;
    if (before === undefined) throw this.waiting(name) ?? this.notByHand(name);
    if (change.op === "link-del") return { byHand: rest, absent };
    const next = Object.entries({ ...before, ...change.settings }).filter(([, value]) => value !== null);
    return { byHand: { ...byHand, [name]: Object.fromEntries(next) }, absent };
  }

  private notByHand(name: string): VtepdError {
    if (!Object.hasOwn(this.present.file.settings.tunnels, name)) {
      return new VtepdError("ERR_LINK_NOT_FOUND", `expected the name of a tunnel, got "${name}"`);
    }
    const message = `expected a tunnel made over the control socket, ${name} is of ${this.parts.configPath}: change it there and reload`;
    return new VtepdError("ERR_LINK_OWNER", message);
  }

  /** @param then the last step; when it fails, or any other does, everything is again as it was */
  private async become(next: Whole, then: LastStep = async () => {}, options: ApplyOptions = {}): Promise<void> {
    const { links, gateways, directRoutes, onChange } = this.parts;
    const before = this.present;
    const rest: LastStep = async (forgotten) => {
      const undo = new Undo();
      try {
        undo.push(() => gateways.set(before.hostGateways));
        await gateways.set(next.hostGateways);
        undo.push(() => directRoutes.set(before.tunnels));
        await directRoutes.set(next.tunnels);
        this.present = next;
        await then(forgotten);
      } catch (error) {
        this.present = before;
        const fail = (err: unknown): void => this.parts.log.error({ err }, "a change could not be taken back whole");
        await undo.run().catch(fail);
        throw error;
      }
    };
    onChange(await links.apply(next.tunnels, rest, options));
    this.onChanged();
  }
}

/** @throws ERR_CONFIG_*, without places in a file, which a wrong one of its own has told before */
const wholeOf = ({ file, byHand, absent }: Sources): Whole => {
  const tunnels = { ...file.settings.tunnels, ...byHand };
  return { file, byHand, absent, settings: { daemon: file.settings.daemon, tunnels }, ...readSettings(tunnels) };
};

/** Names of tunnels that are deleted and made again in one call. */
const anewOf = (changes: readonly LinkChange[]): ReadonlySet<string> => {
  const gone = new Set<string>();
  const anew = new Set<string>();
  for (const { op, name } of changes) {
    if (op === "link-del") gone.add(name);
    else if (op === "link-add" && gone.has(name)) anew.add(name);
  }
  return anew;
};

const without = (links: Written, others: Written): Written =>
  Object.fromEntries(Object.entries(links).filter(([name]) => !Object.hasOwn(others, name)));
