/**
 * The underlay interfaces that single FDB entries and flood-list members of one tunnel name (`via`): for each a transmitter
 * of its own, whose sockets are bound to it, held by those who name it. Opening sockets takes time, so an interface is
 * prepared before the change that names it, which itself happens at once. Main thread.
 */
import type { TunnelConfig } from "../config/config.ts";
import { VtepdError } from "../errors.ts";
import { Survey } from "../host/underlay.ts";
import { type Exit, openExits, type Sockets } from "./endpoint.ts";
import { placeOf, type UnderlayPlan } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";

interface Via {
  readonly ifindex: number;
  readonly exits: readonly Exit[];
  /** What they were made for, in words that differ when they must be made again. */
  readonly place: string;
  readonly undo: Undo;
}

/** Where the tunnel stands now. */
type PlanOf = () => UnderlayPlan;

export class ViaSockets {
  private readonly config: TunnelConfig;
  private readonly sockets: Sockets;
  private readonly planOf: PlanOf;
  private readonly open = new Map<string, Via>();
  private readonly users = new Map<string, number>();
  /** Under way: what is opened and closed one after the other. */
  private last: Promise<void> = Promise.resolve();

  constructor(config: TunnelConfig, sockets: Sockets, planOf: PlanOf) {
    this.config = config;
    this.sockets = sockets;
    this.planOf = planOf;
  }

  /** Interfaces in use. */
  get names(): string[] {
    return [...this.users.keys()];
  }

  /** What copies through an interface that is held leave by. */
  exit(name: string, family: number): Exit {
    const exit = this.open.get(name)?.exits.find(({ local }) => local.family === family);
    if (exit === undefined) throw new VtepdError("ERR_INTERNAL", `no socket was opened via ${name}`);
    return exit;
  }

  /** Of an interface that is held, as it was when its sockets were opened. */
  ifindex(name: string): number | undefined {
    return this.open.get(name)?.ifindex;
  }

  /** One user more. */
  hold(name: string | undefined): void {
    if (name !== undefined) this.users.set(name, (this.users.get(name) ?? 0) + 1);
  }

  release(name: string | undefined): void {
    const users = name === undefined ? undefined : this.users.get(name);
    if (name === undefined || users === undefined) return;
    if (users > 1) {
      this.users.set(name, users - 1);
      return;
    }
    this.users.delete(name);
    void this.queue(() => this.settle(name));
  }

  /**
   * Opens what is going to be used. Returns what lets go of it.
   * @throws ERR_INTERFACE_NOT_FOUND, and as Transmitters.acquire, then nothing is held
   */
  async prepare(names: readonly (string | undefined)[]): Promise<() => void> {
    const wanted = [...new Set(names)].filter((name) => name !== undefined) as string[];
    const release = (): void => {
      for (const name of wanted) this.release(name);
    };
    for (const name of wanted) this.hold(name);
    try {
      for (const name of wanted) await this.queue(() => this.settle(name));
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  /**
   * Makes those again whose interface, or the tunnel's own place, is another one now. Returns whether there were any.
   * @param moved called when the new ones can be sent through, before the old ones go
   */
  async follow({ vias }: UnderlayPlan, moved: () => void): Promise<boolean> {
    let hasMoved = false;
    for (const { name, ifindex } of vias) {
      const before = this.open.get(name);
      if (before === undefined || before.place === this.place(ifindex)) continue;
      hasMoved = true;
      await this.queue(async () => {
        if (this.open.get(name) !== before) return;
        this.open.set(name, await this.make(name, ifindex));
        moved();
        await before.undo.run();
      });
    }
    return hasMoved;
  }

  /** Resolves when nothing is open any more; nothing may be held. */
  async close(): Promise<void> {
    await this.last;
  }

  private queue(step: () => Promise<void>): Promise<void> {
    const done = this.last.then(step);
    this.last = done.catch(() => {});
    return done;
  }

  /** Opens what is held, closes what is not. */
  private async settle(name: string): Promise<void> {
    const via = this.open.get(name);
    const isHeld = this.users.has(name);
    if (isHeld && via === undefined) {
      this.open.set(name, await this.make(name, await this.find(name)));
    } else if (!isHeld && via !== undefined) {
      this.open.delete(name);
      await via.undo.run();
    }
  }

  private async find(name: string): Promise<number> {
    const netns = this.config.underlayNetns;
    const survey = await Survey.take(netns, { routes: [], interfaces: [name], addresses: [], memberships: [] });
    return survey.interface(name).ifindex;
  }

  private async make(name: string, ifindex: number): Promise<Via> {
    const undo = new Undo();
    const plan = { ...this.planOf(), link: { name, ifindex } };
    try {
      const exits = await openExits({ ...this.config, link: name }, plan, this.sockets, undo);
      return { ifindex, exits, place: this.place(ifindex), undo };
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  private place(ifindex: number): string {
    return `${ifindex} ${placeOf(this.planOf())}`;
  }
}
