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
import { type LinkChange, ofChange } from "../dataplane/change.ts";
import type { DesiredState, Difference, Settings, WrittenLink } from "../dataplane/desired-view.ts";
import { VtepdError } from "../errors.ts";
import type { DirectRoutes } from "./direct-routes.ts";
import type { Gateways } from "./gateways.ts";
import type { Links } from "./links.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Turns } from "./turns.ts";
import { Undo } from "./undo.ts";

type Written = Readonly<Record<string, Settings>>;

/** A whole that can become what is running. */
interface Whole extends Pick<Config, "tunnels" | "hostGateways" | "settings"> {
  readonly file: Config;
  readonly byHand: Written;
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
}

export class Desired implements DesiredState {
  private readonly parts: DesiredParts;
  private present: Whole;
  /** Made by hand, and waiting for what they need. */
  private readonly absent = new Map<string, Settings>();
  /** Told of tunnels made by hand that are the file's now; what it returns has been kept. */
  forget: (names: readonly string[]) => Promise<void> = async () => {};

  /** @param file what the daemon was started with; nothing of it is running yet */
  constructor(parts: DesiredParts, file: Config) {
    this.parts = parts;
    this.present = { file, byHand: {}, tunnels: [], hostGateways: [], settings: { daemon: {}, tunnels: {} } };
  }

  /** Makes everything that shall be. @throws as DesiredState's changes */
  start(): Promise<void> {
    return this.parts.turns.take(() => this.become(wholeOf(this.present.file, this.present.byHand)));
  }

  /** Whether a tunnel is not of the file. */
  isByHand(name: string): boolean {
    return Object.hasOwn(this.present.byHand, name);
  }

  written(): ReturnType<DesiredState["written"]> {
    const { file, byHand } = this.present;
    const owned = (links: Written, owner: WrittenLink["owner"]): [string, WrittenLink][] =>
      Object.entries(links).map(([name, settings]) => [name, { owner, settings }]);
    return {
      daemon: file.settings.daemon,
      tunnels: Object.fromEntries([...owned(file.settings.tunnels, "config"), ...owned(byHand, "control")]),
    };
  }

  settingsSchema(): object {
    return tunnelJsonSchema();
  }

  /**
   * Makes, changes and deletes tunnels by hand, all or none. @param then what belongs to the change and may fail
   * @throws as ChangeService.run, and what `then` throws; then nothing has changed
   */
  changeLinks(changes: readonly LinkChange[], then: () => Promise<void>): Promise<void> {
    return this.parts.turns.take(async () => {
      const before = this.present;
      let byHand = before.byHand;
      for (const [index, change] of changes.entries()) {
        try {
          byHand = this.changed(byHand, change);
        } catch (error) {
          throw changes.length === 1 ? error : ofChange(index, error);
        }
      }
      await this.become(wholeOf(before.file, byHand));
      await this.orBack(before, then);
      for (const { op, name } of changes) this.parts.log.info({ link: name, op }, "tunnels were changed by hand");
    });
  }

  /** What has been made by hand, as changes of nothing. */
  byHand(): LinkChange[] {
    const all = { ...this.present.byHand, ...Object.fromEntries(this.absent) };
    return Object.entries(all).map(([name, settings]) => ({ op: "link-add", name, settings }));
  }

  /**
   * Makes tunnels that were made by hand before the daemon was stopped. One that cannot be made now (its interface may be
   * missing) is tried again by `retry`; one whose name the file has come to have is the file's.
   */
  async restore(links: ReadonlyMap<string, Settings>): Promise<void> {
    for (const [name, settings] of links) this.absent.set(name, settings);
    await this.parts.turns.take(async () => {
      const { file, byHand } = this.present;
      for (const name of Object.keys(file.settings.tunnels)) this.absent.delete(name);
      if (this.absent.size === 0) return;
      try {
        await this.become(wholeOf(file, { ...byHand, ...Object.fromEntries(this.absent) }));
        this.absent.clear();
      } catch {
        for (const [name, settings] of this.absent) await this.restoreOne(name, settings, true);
      }
    });
  }

  /** Tries again to make those that `restore` could not. Returns the names of those that are there now. */
  retry(): Promise<string[]> {
    return this.parts.turns.take(async () => {
      const before = [...this.absent];
      for (const [name, settings] of before) await this.restoreOne(name, settings, false);
      return before.map(([name]) => name).filter((name) => !this.absent.has(name));
    });
  }

  /** How many tunnels made by hand wait for what they need. */
  get absentees(): number {
    return this.absent.size;
  }

  reload(dryRun: boolean): Promise<Difference> {
    return this.applyFile(() => loadConfig(this.parts.configPath), dryRun);
  }

  applyText(text: string, dryRun: boolean): Promise<Difference> {
    return this.applyFile(() => parseConfig(text, "config"), dryRun);
  }

  private applyFile(read: () => Config, dryRun: boolean): Promise<Difference> {
    return this.parts.turns.take(async () => {
      const file = read();
      const byHand = Object.entries(this.present.byHand).filter(
        ([name]) => !Object.hasOwn(file.settings.tunnels, name),
      );
      const next = wholeOf(file, Object.fromEntries(byHand));
      const before = this.present;
      const difference = differenceOf(before, next);
      if (dryRun) return difference;
      await this.become(next);
      const taken = Object.keys(before.byHand).filter((name) => !Object.hasOwn(next.byHand, name));
      await this.orBack(before, () => this.forget(taken));
      const { added, removed, changed, unchanged, daemon } = difference;
      this.parts.log.info({ added, removed, changed: Object.keys(changed), unchanged }, "configuration was applied");
      const waiting = Object.keys(daemon);
      if (waiting.length > 0) this.parts.log.warn({ daemon: waiting }, "these keys take effect at the next start");
      return difference;
    });
  }

  private async restoreOne(name: string, settings: Settings, isFirst: boolean): Promise<void> {
    try {
      await this.become(wholeOf(this.present.file, { ...this.present.byHand, [name]: settings }));
      this.absent.delete(name);
      if (!isFirst) this.parts.log.info({ link: name }, "a tunnel made by hand is back");
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      const fields = { link: name, code: error.code, reason: error.message };
      if (isFirst) this.parts.log.error(fields, "a tunnel made by hand cannot be made yet");
    }
  }

  private changed(byHand: Written, change: LinkChange): Written {
    const { name } = change;
    const { file } = this.present;
    if (change.op === "link-add") {
      if (Object.hasOwn(byHand, name) || Object.hasOwn(file.settings.tunnels, name)) {
        const message = `expected a new name, ${name} is a tunnel already`;
        throw new VtepdError("ERR_DEVICE_EXISTS", message, { path: "name" });
      }
      this.absent.delete(name);
      return { ...byHand, [name]: change.settings };
    }
    if (change.op === "link-del" && this.absent.delete(name)) return byHand;
    const { [name]: before, ...rest } = byHand;
    if (before === undefined) throw this.notByHand(name);
    if (change.op === "link-del") return rest;
    const next = Object.entries({ ...before, ...change.settings }).filter(([, value]) => value !== null);
    return { ...byHand, [name]: Object.fromEntries(next) };
  }

  private notByHand(name: string): VtepdError {
    if (!Object.hasOwn(this.present.file.settings.tunnels, name)) {
      return new VtepdError("ERR_LINK_NOT_FOUND", `expected the name of a tunnel, got "${name}"`);
    }
    const message = `expected a tunnel made over the control socket, ${name} is of ${this.parts.configPath}: change it there and reload`;
    return new VtepdError("ERR_LINK_OWNER", message);
  }

  /** Takes a step; if it fails, everything is again as it was. */
  private async orBack(before: Whole, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      await this.become(before).catch((err: unknown) =>
        this.parts.log.error({ err }, "a change could not be taken back whole"),
      );
      throw error;
    }
  }

  private async become(next: Whole): Promise<void> {
    const { links, gateways, directRoutes, onChange } = this.parts;
    const before = this.present;
    const undo = new Undo();
    const made = await links.apply(next.tunnels);
    try {
      undo.push(() => links.apply(before.tunnels).then(() => {}));
      undo.push(() => gateways.set(before.hostGateways));
      await gateways.set(next.hostGateways);
      undo.push(() => directRoutes.set(before.tunnels));
      await directRoutes.set(next.tunnels);
    } catch (error) {
      await undo.run().catch((err: unknown) => this.parts.log.error({ err }, "a change could not be taken back whole"));
      throw error;
    }
    this.present = next;
    onChange(made);
  }
}

/** @throws ERR_CONFIG_*, without places in a file, which a wrong one of its own has told before */
const wholeOf = (file: Config, byHand: Written): Whole => {
  const tunnels = { ...file.settings.tunnels, ...byHand };
  return { file, byHand, settings: { daemon: file.settings.daemon, tunnels }, ...readSettings(tunnels) };
};
