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

  addLink(name: string, settings: Settings): Promise<void> {
    return this.parts.turns.take(async () => {
      const { file, byHand } = this.present;
      if (Object.hasOwn(byHand, name) || Object.hasOwn(file.settings.tunnels, name)) {
        const message = `expected a new name, ${name} is a tunnel already`;
        throw new VtepdError("ERR_DEVICE_EXISTS", message, { path: "name" });
      }
      await this.become(wholeOf(file, { ...byHand, [name]: settings }));
      this.parts.log.info({ link: name }, "tunnel was made");
    });
  }

  changeLink(name: string, changes: Settings): Promise<void> {
    return this.parts.turns.take(async () => {
      const { file, byHand } = this.present;
      const next = Object.entries({ ...this.ofHand(name), ...changes }).filter(([, value]) => value !== null);
      await this.become(wholeOf(file, { ...byHand, [name]: Object.fromEntries(next) }));
      this.parts.log.info({ link: name, keys: Object.keys(changes) }, "tunnel was changed");
    });
  }

  deleteLink(name: string): Promise<void> {
    return this.parts.turns.take(async () => {
      this.ofHand(name);
      const { [name]: _, ...rest } = this.present.byHand;
      await this.become(wholeOf(this.present.file, rest));
      this.parts.log.info({ link: name }, "tunnel was deleted");
    });
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
      const difference = differenceOf(this.present, next);
      if (dryRun) return difference;
      await this.become(next);
      const { added, removed, changed, unchanged, daemon } = difference;
      this.parts.log.info({ added, removed, changed: Object.keys(changed), unchanged }, "configuration was applied");
      const waiting = Object.keys(daemon);
      if (waiting.length > 0) this.parts.log.warn({ daemon: waiting }, "these keys take effect at the next start");
      return difference;
    });
  }

  /** What was written of a tunnel by hand. @throws ERR_LINK_NOT_FOUND, ERR_LINK_OWNER */
  private ofHand(name: string): Settings {
    const { file, byHand } = this.present;
    if (Object.hasOwn(byHand, name)) return byHand[name]!;
    if (!Object.hasOwn(file.settings.tunnels, name)) {
      throw new VtepdError("ERR_LINK_NOT_FOUND", `expected the name of a tunnel, got "${name}"`);
    }
    const message = `expected a tunnel made over the control socket, ${name} is of ${this.parts.configPath}: change it there and reload`;
    throw new VtepdError("ERR_LINK_OWNER", message);
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
