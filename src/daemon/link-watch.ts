/**
 * Tells whoever listens what has become of the tunnels since a second ago: made, deleted, changed, device or underlay gone
 * and back. It compares, rather than being told by all that change a tunnel, so that nothing of it is there while nobody
 * listens, and nothing can be forgotten. What was and is no more within a second is not seen; the log has it.
 */
import type { TunnelConfig } from "../config/config.ts";
import { changedKeys } from "../config/difference.ts";
import type { Settings } from "../dataplane/desired-view.ts";
import type { EventView } from "../dataplane/event-view.ts";
import type { Tunnel } from "./tunnel.ts";

type LinkEvent = Extract<EventView, { readonly event: "link" }>;

interface Seen {
  readonly config: TunnelConfig;
  readonly settings: Settings;
  readonly isGone: boolean;
  readonly mtu: number;
  readonly problem: string | undefined;
}

export class LinkWatch {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly settingsOf: (name: string) => Settings;
  private readonly emit: (event: LinkEvent) => void;
  private seen: Map<string, Seen> | undefined;

  /** @param settingsOf a tunnel, as they are written */
  constructor(
    tunnels: ReadonlyMap<string, Tunnel>,
    settingsOf: (name: string) => Settings,
    emit: (event: LinkEvent) => void,
  ) {
    this.tunnels = tunnels;
    this.settingsOf = settingsOf;
    this.emit = emit;
  }

  /** From now on differences are told. */
  begin(): void {
    this.seen = this.look();
  }

  end(): void {
    this.seen = undefined;
  }

  /** Whether those who listen know of it. */
  isTold(dev: string): boolean {
    return this.seen?.has(dev) === true;
  }

  tick(): void {
    const before = this.seen;
    if (before === undefined) return;
    const now = this.look();
    this.seen = now;
    for (const dev of before.keys()) if (!now.has(dev)) this.emit({ event: "link", dev, change: "deleted" });
    for (const [dev, seen] of now) this.compare(dev, before.get(dev), seen);
  }

  private compare(dev: string, before: Seen | undefined, now: Seen): void {
    const tell = (change: LinkEvent["change"], more: Partial<LinkEvent> = {}): void =>
      this.emit({ event: "link", dev, change, ...more });
    if (before === undefined) tell("made");
    else if (before.config !== now.config) {
      const keys = Object.keys(changedKeys(before.settings, now.settings));
      if (keys.length > 0) tell("changed", { keys });
    }
    if (now.isGone !== (before?.isGone ?? false)) tell(now.isGone ? "gone" : "back");
    if (before !== undefined && !now.isGone && !before.isGone && now.mtu !== before.mtu) tell("mtu", { mtu: now.mtu });
    if (now.problem === before?.problem) return;
    const problem = this.tunnels.get(dev)?.underlayProblem;
    if (problem === undefined) tell("restored");
    else tell("degraded", { code: problem.code, message: problem.message });
  }

  private look(): Map<string, Seen> {
    return new Map(Array.from(this.tunnels, ([name, tunnel]) => [name, stateOf(tunnel, this.settingsOf(name))]));
  }
}

const stateOf = ({ config, device, underlayProblem }: Tunnel, settings: Settings): Seen => {
  const info = device.info();
  return { config, settings, isGone: info === undefined, mtu: info?.mtu ?? 0, problem: underlayProblem?.code };
};
