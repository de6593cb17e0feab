/**
 * A running tunnel: the device, the underlay sockets, the rows in the tables, and what the operator said about it.
 *
 * It is made in an order in which nothing is reachable before it is complete (sockets, bridge domain, remotes and FDB,
 * device, VNI, and last the device's port in the workers) and unmade in the reverse one. Every step is on the undo list as
 * soon as it is done, so a failure in the middle leaves nothing behind.
 */
import { isDeepStrictEqual } from "node:util";
import { PORT_TAP } from "../binding/abi.ts";
import type { RouteConfig, TunnelConfig, TunnelRouteConfig } from "../config/config.ts";
import { BD_ACCESS_PORT, BD_MAC_HI, BD_MAC_LO, BD_MTU } from "../dataplane/bridge-domain.ts";
import { clearRow, DROP_COLUMNS, LINK_COLUMNS } from "../dataplane/counters.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { FloodMember } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { formatMac, readMacHi, readMacLo } from "../wire/mac.ts";
import { canReach } from "./admission.ts";
import { Associations } from "./associations.ts";
import { monotonicS } from "./clock.ts";
import { Device } from "./device.ts";
import type { DevicePlan } from "./device-plan.ts";
import type { HeldDevice } from "./device-spec.ts";
import type { DeviceStore } from "./device-store.ts";
import { Encapsulation } from "./encapsulation.ts";
import { Endpoints, type Sockets } from "./endpoint.ts";
import type { EntryEars } from "./entry-ears.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import { Forwarding } from "./forwarding.ts";
import type { Names, TunnelNames } from "./names.ts";
import { Neighbours } from "./neighbours.ts";
import type { Offload } from "./offload.ts";
import type { PathMtus } from "./path-mtu.ts";
import { writePolicy } from "./policy.ts";
import { Reception } from "./reception.ts";
import { TunnelRemotes } from "./remotes.ts";
import { Routes } from "./routes.ts";
import type { Supervisor } from "./supervisor.ts";
import { type CompletePlan, configuredVias, type UnderlayPlan } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";
import { ViaSockets } from "./via-sockets.ts";
import { type Wish, wishText } from "./wish.ts";

/** What a tunnel is built on. */
export interface Ground {
  readonly tables: Tables;
  readonly sockets: Sockets;
  readonly supervisor: Supervisor;
  readonly names: Names;
  /** Told of each remote VTEP that a host name brings. */
  met(tunnel: Tunnel, address: string): void;
  readonly offload: Offload;
  readonly paths: PathMtus;
  readonly devices: DevicePlan;
  readonly store: DeviceStore;
  readonly ears: EntryEars;
}

export class Tunnel {
  private configured: TunnelConfig;
  readonly bd: number;
  readonly device: Device;
  readonly forwarding: Forwarding;
  readonly neighbours: Neighbours;
  private readonly routes: Routes;
  /** Of the host, with next hops that are remote VTEPs (next-hops.ts). */
  private nextHops: readonly RouteConfig[] = [];
  /** Host names of its remote VTEPs. */
  readonly names: TunnelNames;
  /** Underlay interfaces of single remote VTEPs. */
  readonly vias: ViaSockets;
  readonly encapsulation: Encapsulation;
  readonly associations: Associations;
  /** Whether somebody has deleted or replaced by hand what the settings say. */
  isAltered = false;
  /** What the underlay lacks for it now. */
  underlayProblem: VtepdError | undefined;
  private readonly reception: Reception;
  private present: Endpoints;
  private readonly undo: Undo;
  private readonly tables: Tables;
  private readonly sockets: Sockets;

  private constructor(
    config: TunnelConfig,
    ground: Ground,
    undo: Undo,
    bd: number,
    endpoints: Endpoints,
    device: Device,
  ) {
    this.configured = config;
    this.tables = ground.tables;
    this.sockets = ground.sockets;
    this.undo = undo;
    this.bd = bd;
    this.present = endpoints;
    this.device = device;
    this.neighbours = new Neighbours(config.name, ground.tables.neighbours, bd, ground.ears);
    this.encapsulation = new Encapsulation(config);
    this.associations = new Associations(config, ground.tables.associations, bd);
    this.reception = new Reception(config, ground.tables, bd);
    const own = { port: config.port, vni: config.id, link: config.link };
    const vias = new ViaSockets(config, ground.sockets, () => this.present.plan);
    this.vias = vias;
    const { tables, paths } = ground;
    const { counters } = ground.supervisor;
    const { encapsulation, reception } = this;
    const remotes = new TunnelRemotes({ tables, counters, paths, encapsulation, reception, vias }, bd, endpoints, own);
    const names = ground.names.of(config, (name) => {
      this.forwarding.follow(name);
      for (const address of names.addresses(name)) ground.met(this, address);
    });
    this.names = names;
    const addresses = {
      of: (dst: string) => names.addresses(dst).filter((address) => address === dst || canReach(this, address)),
      hold: ({ dst, via }: Pick<Wish, "dst" | "via">) => {
        names.hold(dst);
        vias.hold(via);
      },
      release: ({ dst, via }: Pick<Wish, "dst" | "via">) => {
        names.release(dst);
        vias.release(via);
      },
    };
    this.forwarding = new Forwarding(config.name, ground.tables, bd, remotes, addresses, own, ground.ears);
    this.routes = new Routes(ground.tables, bd, remotes, own);
  }

  /** @param held the device of a tunnel of before, used if it suits @throws what bindings, device and tables throw; then nothing of the tunnel is left */
  static async open(config: TunnelConfig, plan: CompletePlan, ground: Ground, held?: HeldDevice): Promise<Tunnel> {
    const undo = new Undo();
    try {
      return await Tunnel.make(config, plan, ground, undo, held);
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  private static async make(
    config: TunnelConfig,
    plan: CompletePlan,
    ground: Ground,
    undo: Undo,
    held: HeldDevice | undefined,
  ): Promise<Tunnel> {
    const { tables, sockets, supervisor, offload } = ground;
    const endpoints = await Endpoints.open(config, plan, sockets);
    let made: Tunnel | undefined;
    undo.push(() => (made?.endpoints ?? endpoints).close());
    const bd = tables.bridgeDomains.allocate();
    undo.push(() => tables.bridgeDomains.release(bd));
    clearRow(supervisor.counters, "link", bd, LINK_COLUMNS);
    clearRow(supervisor.counters, "drop", bd, DROP_COLUMNS);
    const port = tables.ports.allocate(PORT_TAP, bd);
    undo.push(() => tables.ports.release(port));
    const { name, macAddress, netns } = config;
    const queues = Tunnel.queuesOf(config, ground);
    const { txQueueFrames, isUp } = ground.devices;
    const kind = new Encapsulation(config).isEthernet ? "tap" : "tun";
    const spec = { name, kind, mtu: plan.mtu, macAddress, netns, queues, txQueueFrames, isUp, port } as const;
    const { store } = ground;
    const kept = held === undefined ? store.take(spec, offload) : undefined;
    if (kept !== undefined) undo.push(() => store.giveBack(kept));
    const former = held ?? kept;
    const adopted = former !== undefined && Device.suits(former, spec) ? former : undefined;
    if (former !== undefined && adopted === undefined) Device.removeHeld([former], store);
    const device = new Device(spec, ground, adopted);
    const tunnel = new Tunnel(config, ground, undo, bd, endpoints, device);
    made = tunnel;
    tunnel.reception.check(endpoints.receivers);
    undo.push(() => tunnel.vias.close());
    const releaseVias = await tunnel.vias.prepare(configuredVias(config));
    try {
      tunnel.fill();
    } finally {
      releaseVias();
    }
    undo.push(() => tunnel.associations.clear());
    tunnel.associations.load();
    device.open();
    undo.push(() => device.close());
    tunnel.followDevice();
    tunnel.reception.publish(endpoints.receivers);
    undo.push(() => device.detach());
    undo.push(() => tunnel.reception.withdraw(tunnel.endpoints.receivers));
    await device.attach();
    return tunnel;
  }

  /** A queue that no worker polls would swallow its flows; sequence numbers are counted by one. @throws ERR_CONFIG_CONFLICT */
  private static queuesOf({ name, queues, greSequence }: TunnelConfig, ground: Ground): number {
    const workers = ground.supervisor.count;
    if (greSequence.output) return 1;
    if (queues === undefined || queues <= workers) return queues ?? ground.devices.queues;
    const path = `tunnels.${name}.queues`;
    throw new VtepdError(
      "ERR_CONFIG_CONFLICT",
      `${path}: expected at most one queue for each of ${workers} workers, got ${queues}`,
      { path },
    );
  }

  get config(): TunnelConfig {
    return this.configured;
  }

  get endpoints(): Endpoints {
    return this.present;
  }

  /**
   * Moves to other sockets, because the underlay is not what it was. The old ones stay until the new ones carry everything;
   * flood list, FDB and counters stay as they are. @throws as Endpoints.open, then nothing has changed
   */
  async relocate(plan: UnderlayPlan): Promise<void> {
    const next = await Endpoints.open(this.config, plan, this.sockets);
    try {
      this.reception.check(next.receivers);
      this.forwarding.remotes.moveTo(next);
    } catch (error) {
      await next.close();
      throw error;
    }
    const before = this.present;
    this.present = next;
    this.reception.publish(next.receivers);
    await this.sockets.receivers.activate();
    const kept = new Set(next.receivers);
    this.reception.withdraw(before.receivers.filter((receiver) => !kept.has(receiver)));
    await before.close();
  }

  /**
   * Finds out what a change is going to need that takes time: the addresses of host names, the sockets of interfaces. Returns
   * what lets go of it. @throws ERR_CONFIG_CONFLICT, ERR_INTERFACE_NOT_FOUND, and as Transmitters.acquire
   */
  async prepare(members: readonly Pick<FloodMember, "dst" | "via">[]): Promise<() => void> {
    const releaseVias = await this.vias.prepare(members.map(({ via }) => via));
    const releaseNames = await this.names.prepare(members.map(({ dst }) => dst));
    return () => {
      releaseNames();
      releaseVias();
    };
  }

  /** Sends through the interfaces of single remote VTEPs as they are now. Returns whether any is another one. */
  followVias(plan: UnderlayPlan): Promise<boolean> {
    return this.vias.follow(plan, () => this.forwarding.remotes.moveTo(this.present));
  }

  /** Writes the bridge domain, the flood list and the static entries. */
  private fill(): void {
    const { bd, config } = this;
    const { bridgeDomains, fdb, policers, sourcePolicers } = this.tables;
    this.undo.push(() => {
      policers.clear(bd);
      sourcePolicers.clear(bd);
    });
    writePolicy(this.tables, bd, config, this.encapsulation);
    this.undo.push(() => void this.neighbours.flush("all"));
    this.neighbours.configure(config.neighbours, config.ageingS);
    bridgeDomains.set(bd, BD_ACCESS_PORT, this.device.spec.port);
    if (config.group !== undefined) this.undo.push(this.forwarding.remotes.addSelf());
    this.undo.push(() => {
      this.forwarding.remotes.forget(() => true);
      this.routes.set([]);
      this.forwarding.clear();
      if (fdb.accounts.learned(bd) > 0) fdb.sweep(monotonicS(), (owner) => owner === bd);
    });
    this.forwarding.flood.set(this.configuredFlood());
    this.routes.set(this.routesInForce());
    for (const entry of config.fdb) if (entry.mac !== FLOOD_MAC) this.forwarding.change("add", entry, "config");
  }

  /**
   * Takes over other values of keys that are no reason to make it anew (config/difference.ts), at once: neither sockets nor
   * device, what was learned nor what operators have said change. Host names must be prepared.
   * @throws ERR_LIMIT, ERR_CONFIG_CONFLICT; `change` back undoes the half that is done
   */
  change(next: TunnelConfig): void {
    const before = this.configured;
    this.configured = next;
    writePolicy(this.tables, this.bd, next, this.encapsulation);
    this.neighbours.configure(next.neighbours, next.ageingS);
    this.isAltered = false;
    const configured = new Map(this.configuredFlood().map((wish) => [wishText(wish), wish]));
    const byHand = this.forwarding.flood.members.filter(
      (wish) => wish.owner === "control" && !configured.has(wishText(wish)),
    );
    this.forwarding.flood.set([...configured.values(), ...byHand]);
    this.routes.set(this.routesInForce());
    this.forwarding.configure(next.fdb.filter(({ mac }) => mac !== FLOOD_MAC));
    if (next.mtu !== undefined && next.mtu !== before.mtu) this.followUnderlayMtu(next.mtu);
  }

  /** Routes of the host beside those of the configuration, where the tunnel may have such. Returns whether they are others. @throws as Routes.set, then nothing has changed */
  followNextHops(nextHops: readonly RouteConfig[]): boolean {
    const isNone = nextHops.length + this.nextHops.length === 0;
    if (isNone || isDeepStrictEqual(nextHops, this.nextHops)) return false;
    this.routes.set(this.routesInForce(nextHops));
    this.nextHops = nextHops;
    return true;
  }

  /** Each network once: the configuration's say comes first. */
  routesInForce(nextHops: readonly RouteConfig[] = this.nextHops): TunnelRouteConfig[] {
    const { routes } = this.config;
    const configured = new Set(routes.map(({ to }) => to));
    const others = nextHops.filter(({ to }) => !configured.has(to)).map((route) => ({ ...route, mayBeDirect: false }));
    return [...routes, ...others];
  }

  /** Members by `remote`, `group`, `flood` and all-zeros FDB entries, which the configuration has each once. */
  private configuredFlood(): Wish[] {
    const { remote, group, flood, fdb } = this.config;
    const wish = (request: FloodMember, isSingle = false): Wish => this.forwarding.toWish(request, "config", isSingle);
    return [
      ...(remote === undefined ? [] : [wish({ dst: remote }, true)]),
      ...(group === undefined ? [] : [wish({ dst: group })]),
      ...flood.map((dst) => wish({ dst })),
      ...fdb.filter(({ mac }) => mac === FLOOD_MAC).map((entry) => wish(entry)),
    ];
  }

  /** The device's MAC as of the last look at it, lower case: to ask the kernel once for each of 100,000 changes takes seconds. */
  get mac(): string {
    const { bridgeDomains } = this.tables;
    return formatMac(bridgeDomains.get(this.bd, BD_MAC_HI), bridgeDomains.get(this.bd, BD_MAC_LO));
  }

  /** Takes over what somebody may have changed on the device: its MAC and MTU. Returns false when it is gone. */
  followDevice(): boolean {
    const info = this.device.info();
    if (info === undefined) return false;
    const { bridgeDomains } = this.tables;
    bridgeDomains.set(this.bd, BD_MTU, info.mtu);
    bridgeDomains.set(this.bd, BD_MAC_HI, readMacHi(info.macAddress, 0));
    bridgeDomains.set(this.bd, BD_MAC_LO, readMacLo(info.macAddress, 0));
    return true;
  }

  /** Bytes of the datagram that carries a frame of full size. */
  get segmentBytes(): number {
    return this.encapsulation.datagramBytes(this.device.mtu);
  }

  /** Gives the device the MTU that the underlay leaves now. Returns whether that changed anything. */
  followUnderlayMtu(mtu: number): boolean {
    if (!this.device.changeMtu(mtu)) return false;
    this.followDevice();
    return true;
  }

  /** Makes the device again after it was deleted. @throws as Device.open */
  async reopenDevice(): Promise<void> {
    await this.device.detach();
    this.device.close();
    this.device.open();
    this.followDevice();
    await this.device.attach();
  }

  async close(): Promise<void> {
    await this.undo.run();
  }

  /**
   * Takes from many tunnels what is quick for all at once and slow for each: the device (Device.removeAll), and what was
   * learned, which each would look for in the whole FDB. They must still be closed.
   */
  static async strip(
    tunnels: readonly Tunnel[],
    { tables: { fdb }, supervisor }: Pick<Ground, "tables" | "supervisor">,
  ): Promise<void> {
    for (const tunnel of tunnels) tunnel.reception.withdraw(tunnel.endpoints.receivers); // or they would learn again
    const devices = tunnels.map(({ device }) => device);
    await Device.removeAll(devices, supervisor);
    fdb.sweep(monotonicS(), (_bd, _target, flags) => (flags & FDB_STATIC) === 0);
  }
}
