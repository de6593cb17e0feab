/**
 * The tunnels that are running, and the only place where they come, change and go: `apply` makes them those of a list,
 * whole or not at all.
 *
 * What stays the same is not touched, nor looked at. What a running tunnel can take over (config/difference.ts) it takes over
 * in place. The rest is made anew, with the device of before where it suits, so that the interface keeps its addresses and
 * its routes, and with what was learned and said of it (carry-over.ts). First comes what can fail without an effect: the
 * plan, the host names. Then what goes lets go of its sockets, because what comes may need them, but keeps its device until
 * everything is there; a step that fails has all steps before it taken back.
 *
 * Callers take turns (turns.ts): a second `apply` during the first would see half of it. Main thread.
 */
import type { Logger } from "pino";
import type { TunnelConfig } from "../config/config.ts";
import { sendsFromOwnPort } from "../config/contradictions.ts";
import { isSameTunnel, needsRemake } from "../config/difference.ts";
import type { EntryChange } from "../dataplane/change.ts";
import type { Ageing } from "./ageing.ts";
import {
  admitSettings,
  askAgain,
  askedOf,
  type CarryOver,
  giveLearned,
  giveSaid,
  membersOf,
  saidOf,
  takeAlong,
} from "./carry-over.ts";
import { Device } from "./device.ts";
import { type DevicePlan, planDevices } from "./device-plan.ts";
import { dropAddresses, setUpDevices } from "./device-setup.ts";
import type { HeldDevice } from "./device-spec.ts";
import type { Eviction } from "./eviction.ts";
import type { RouteRecursion } from "./route-recursion.ts";
import { forgottenOf } from "./said.ts";
import { type Ground, Tunnel } from "./tunnel.ts";
import { type CompletePlan, UnderlayPlanner } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";

export interface LinksParts {
  readonly ground: Omit<Ground, "devices">;
  readonly recursion: RouteRecursion;
  readonly ageing: Ageing;
  readonly eviction: Eviction;
  readonly log: Logger;
}

/** @param forgotten what was said by hand and is not any more, because the settings say so now, as deletions */
export type LastStep = (forgotten: readonly EntryChange[]) => Promise<void>;

export interface ApplyOptions {
  /** Which of those that stay the same become what their settings say, too, where somebody has altered it by hand. */
  readonly isReset?: (name: string) => boolean;
  /** Names of those that are new ones, whatever was said and learned of the ones before. */
  readonly anew?: Names;
  /** Names of those whose new devices are not set up. */
  readonly down?: Names;
}

/** A tunnel without sockets, which may come back. */
interface Retired {
  readonly config: TunnelConfig;
  /** What comes in its place. */
  readonly next: TunnelConfig | undefined;
  readonly plan: CompletePlan;
  readonly carryOver: CarryOver;
  /** Its device, in between owned by who came in its place. */
  held: HeldDevice;
}

type Names = ReadonlySet<string>;
const NO_NAMES: Names = new Set();

export class Links {
  private readonly parts: LinksParts;
  /** By name, in the order of creation. */
  private readonly running: Map<string, Tunnel>;
  private changing: Promise<void> | undefined;

  /** @param running the same map for all who look at tunnels; only this class writes it */
  constructor(parts: LinksParts, running: Map<string, Tunnel>) {
    this.parts = parts;
    this.running = running;
  }

  /**
   * Makes the running tunnels these. Returns those that are new or were made anew.
   * @param then the last step that may fail, when they are there and what goes can still come back as it was
   * @throws what planning, sockets, devices, tables and `then` throw; then everything is as it was
   */
  async apply(wanted: readonly TunnelConfig[], then: LastStep, options: ApplyOptions = {}): Promise<Tunnel[]> {
    const applied = this.make(wanted, then, options);
    this.changing = applied.then(
      () => {},
      () => {},
    );
    try {
      return await applied;
    } finally {
      this.changing = undefined;
    }
  }

  /** Undefined while no tunnel comes or goes, else what resolves when that is done. */
  get busy(): Promise<void> | undefined {
    return this.changing;
  }

  private async make(wanted: readonly TunnelConfig[], then: LastStep, options: ApplyOptions): Promise<Tunnel[]> {
    const { isReset = () => false, anew = NO_NAMES, down = NO_NAMES } = options;
    const byName = new Map(wanted.map((config) => [config.name, config]));
    const isTouched = ({ config, isAltered }: Tunnel): boolean =>
      anew.has(config.name) || (isAltered && isReset(config.name)) || !isSameAs(config, byName.get(config.name));
    const old = [...this.running.values()].filter(isTouched);
    const changed = old.filter(({ config }) => !anew.has(config.name) && !isRemade(config, byName.get(config.name)));
    const goes = old.filter((tunnel) => !changed.includes(tunnel));
    const remade = new Set(goes.map(({ config }) => config.name));
    const comes = wanted.filter(({ name }) => !this.running.has(name) || remade.has(name));

    const planner = await UnderlayPlanner.look(comes);
    const plans = comes.map((config) => planner.plan(config));
    const next = changed.map(({ config }) => byName.get(config.name)!);
    const releaseNames = await this.parts.ground.names.prepare([...comes, ...next]);
    const undo = new Undo();
    try {
      const changes = changed.map((tunnel) => ({ tunnel, before: tunnel.config }));
      const forgotten: EntryChange[] = [];
      for (const { tunnel, before } of changes) forgotten.push(...this.change(tunnel, byName.get(before.name)!, undo));
      const retired = await this.retire(goes, byName, undo);
      const made = await this.open(comes, plans, retired, { count: wanted.length, down, anew }, undo);
      for (const tunnel of made.filter(({ config }) => !anew.has(config.name))) {
        forgotten.push(...forgottenOf(retired.get(tunnel.config.name)?.carryOver.said ?? [], saidOf(tunnel)));
      }
      for (const { tunnel, before } of changes) await dropAddresses(tunnel, before);
      for (const tunnel of made) await dropFormer(tunnel, retired.get(tunnel.config.name)?.config);
      await setUpDevices([...changed, ...made]);
      await this.parts.recursion.refuseAny(); // the devices' addresses are routes, too
      await then(forgotten);
      Device.removeHeld(
        [...retired.values()].map(({ held }) => held),
        this.parts.ground.store,
      );
      return made;
    } catch (error) {
      await undo
        .run()
        .catch((err: unknown) => this.parts.log.error({ err }, "a change of tunnels could not be taken back whole"));
      throw error;
    } finally {
      releaseNames();
    }
  }

  /** Ends all tunnels. */
  async close(): Promise<void> {
    const tunnels = [...this.running.values()];
    const undo = new Undo();
    for (const tunnel of tunnels) undo.push(() => tunnel.close());
    undo.push(() => Tunnel.strip(tunnels, this.parts.ground)); // the first of these steps to be taken
    await undo.run();
    this.running.clear();
  }

  /** Returns what of the things said by hand is the settings' now. */
  private change(tunnel: Tunnel, next: TunnelConfig, undo: Undo): EntryChange[] {
    const { ageing, eviction } = this.parts;
    admitSettings(tunnel, next);
    const before = tunnel.config;
    const asked = askedOf(tunnel);
    const said = saidOf(tunnel);
    const take = (config: TunnelConfig): void => {
      tunnel.change(config);
      ageing.change(tunnel.bd, config.ageingS);
      eviction.reset(tunnel.bd);
    };
    undo.push(async () => {
      take(before);
      askAgain(tunnel, asked);
      await dropAddresses(tunnel, next);
      await setUpDevices([tunnel]);
    });
    take(next);
    return forgottenOf(said, saidOf(tunnel));
  }

  private async retire(
    tunnels: readonly Tunnel[],
    wanted: ReadonlyMap<string, TunnelConfig>,
    undo: Undo,
  ): Promise<Map<string, Retired>> {
    const retired = new Map<string, Retired>();
    const carryOvers = takeAlong(tunnels, this.parts.ground.tables);
    for (const tunnel of tunnels) {
      const { config, endpoints, device } = tunnel;
      const plan = { ...endpoints.plan, mtu: device.mtu };
      const { name } = config;
      const carryOver = carryOvers.get(name)!;
      const former = { config, next: wanted.get(name), plan, carryOver, held: device.handOver() };
      retired.set(config.name, former);
      undo.push(() => this.reopen(former));
      this.running.delete(config.name);
      await tunnel.close();
    }
    return retired;
  }

  /** Puts a tunnel back that was retired. */
  private async reopen({ config, next, plan, held, carryOver }: Retired): Promise<void> {
    const tunnel = await this.openOne(config, plan, this.plan(this.running.size + 1, true), held);
    const release = await tunnel.prepare(membersOf(carryOver.asked));
    askAgain(tunnel, carryOver.asked);
    release();
    giveLearned(carryOver, tunnel, this.parts.ground.tables);
    await this.parts.ground.sockets.receivers.activate();
    await dropFormer(tunnel, next);
    await setUpDevices([tunnel]);
  }

  private async open(
    configs: readonly TunnelConfig[],
    plans: readonly CompletePlan[],
    retired: ReadonlyMap<string, Retired>,
    { count, down, anew }: { readonly count: number; readonly down: Names; readonly anew: Names },
    undo: Undo,
  ): Promise<Tunnel[]> {
    const made: Tunnel[] = [];
    const { ground } = this.parts;
    for (const [index, config] of configs.entries()) {
      const former = retired.get(config.name);
      const devices = this.plan(count, !down.has(config.name));
      const tunnel = await this.openOne(config, plans[index]!, devices, former?.held);
      undo.push(() => this.closeOne(tunnel, former));
      if (former !== undefined && !anew.has(config.name)) {
        await giveSaid(former.carryOver, tunnel);
        giveLearned(former.carryOver, tunnel, ground.tables);
      }
      made.push(tunnel);
    }
    undo.push(() =>
      Tunnel.strip(
        made.filter(({ config }) => !retired.has(config.name)),
        ground,
      ),
    );
    await ground.sockets.receivers.activate();
    return made;
  }

  private plan(count: number, isUp: boolean): DevicePlan {
    return planDevices(count, this.parts.ground.supervisor.count, isUp);
  }

  private async openOne(
    config: TunnelConfig,
    plan: CompletePlan,
    devices: DevicePlan,
    held?: HeldDevice,
  ): Promise<Tunnel> {
    const { ground, ageing, eviction } = this.parts;
    if (sendsFromOwnPort(config)) ground.sockets.receivers.sendsFrom(config.port);
    const tunnel = await Tunnel.open(config, plan, { ...ground, devices }, held);
    this.running.set(config.name, tunnel);
    ageing.set(tunnel.bd, config.ageingS);
    eviction.reset(tunnel.bd);
    return tunnel;
  }

  /** Its device goes back to whom it was taken from. */
  private async closeOne(tunnel: Tunnel, former: Retired | undefined): Promise<void> {
    this.running.delete(tunnel.config.name);
    if (former !== undefined) former.held = tunnel.device.handOver();
    await tunnel.close();
  }
}

/** The device may be that of another configuration, with its addresses. */
const dropFormer = async (tunnel: Tunnel, former: TunnelConfig | undefined): Promise<void> => {
  if (former !== undefined) await dropAddresses(tunnel, former);
};

const isSameAs = (config: TunnelConfig, next: TunnelConfig | undefined): boolean =>
  next !== undefined && isSameTunnel(config, next);

const isRemade = (config: TunnelConfig, next: TunnelConfig | undefined): boolean =>
  next === undefined || needsRemake(config, next);
