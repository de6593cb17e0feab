/**
 * Keeps the running tunnels on the underlay as it is. Whenever links, addresses or routes change (host/underlay-monitor.ts),
 * and every few seconds in case a change went unnoticed, each tunnel is planned again and what differs is repaired:
 *
 * - sockets, when their interface or namespace is another one of the same name now, when the local address that was found by
 *   route is another one, when an entry's `via` is, or when the interface has dropped out of the multicast group;
 * - the device's MTU, unless it is configured or somebody else has set it.
 *
 * What a tunnel does not find now it waits for: device, FDB, flood list and sockets stay as they are. The loss is logged
 * once, and so is the return, however often the reason changes in between; GET /v1/links has the present one.
 *
 * A namespace that has been deleted is there as long as our sockets are: where nothing else holds it, tunnels that were made
 * by hand go, as the kernel's go with theirs, and it with them.
 *
 * A route that leads back into the tunnel (route-recursion.ts) tells nothing about the underlay: until it is right again
 * nothing is sent to its remote VTEPs, and neither sockets nor MTU follow. That is logged once and shown in the same way.
 *
 * A socket bound to an address that has vanished is left alone: until the address is back the kernel refuses what it sends
 * over IPv4 (counted as `ip_outnoroutes`) and sends it over IPv6, for nobody to answer; then it works as before.
 */
import type { Logger } from "pino";
import { VtepdError } from "../errors.ts";
import { isAbandoned, netnsInode } from "../host/netns.ts";
import { UnderlayMonitor } from "../host/underlay-monitor.ts";
import { setSegmentLimits } from "./device-setup.ts";
import type { DirectRoutes } from "./direct-routes.ts";
import { LocalPresence } from "./local-presence.ts";
import { hasNextHops, type NextHops } from "./next-hops.ts";
import type { Receiver, Receivers } from "./receivers.ts";
import type { RouteRecursion } from "./route-recursion.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Turns } from "./turns.ts";
import { placeOf, type UnderlayFindings, type UnderlayPlan, UnderlayPlanner } from "./underlay-plan.ts";

/** Changes come in bursts, and the state in the middle of one is nobody's wish. */
const SETTLE_MS = 200;
const PERIOD_MS = 5000;
/** While something is missing: not every return shows as a change, e.g. of a port that somebody else held. */
const WAITING_PERIOD_MS = 1000;
const NAMES_PERIOD_MS = 500;
/** Rest after a check, in times of what it took: thousands of tunnels shall not keep a core busy. */
const REST_AFTER_CHANGE = 2;
const LEAST_REST_MS = 500;
const REST = 50;

/** What one check of all tunnels remembers. */
interface Round {
  readonly presence: LocalPresence;
  readonly rejoined: Set<Receiver>;
  /** Ways that lead back, in words by remote VTEP. */
  readonly recursive: ReadonlyMap<Tunnel, ReadonlyMap<string, string>>;
}

export class UnderlayWatch {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly turns: Turns;
  private readonly receivers: Receivers;
  private readonly recursion: RouteRecursion;
  private readonly direct: DirectRoutes;
  private readonly nextHops: NextHops;
  private readonly log: Logger;
  /** Told of a tunnel whose underlay's namespace nobody else has any more. Returns what ends with the tunnel; undefined = it stays. */
  onAbandoned: (name: string) => Promise<void> | undefined = () => undefined;
  /** By network namespace and its inode. */
  private readonly monitors = new Map<string, UnderlayMonitor>();
  private readonly waitingSinceMs = new Map<Tunnel, number>();
  /** Those with ways that lead back. */
  private readonly recursive = new Set<Tunnel>();
  private timer: NodeJS.Timeout | undefined;
  private names: NodeJS.Timeout | undefined;
  private dueMs = Number.POSITIVE_INFINITY;
  private notBeforeMs = 0;
  private running: Promise<void> | undefined;
  private isStarted = false;
  private stopped = false;

  constructor(
    tunnels: ReadonlyMap<string, Tunnel>,
    turns: Turns,
    receivers: Receivers,
    recursion: RouteRecursion,
    direct: DirectRoutes,
    nextHops: NextHops,
    log: Logger,
  ) {
    this.tunnels = tunnels;
    this.turns = turns;
    this.receivers = receivers;
    this.recursion = recursion;
    this.direct = direct;
    this.nextHops = nextHops;
    this.log = log;
  }

  start(): void {
    this.isStarted = true;
    this.listen();
    this.schedule(PERIOD_MS);
    this.names = setInterval(() => this.lookAtNames(), NAMES_PERIOD_MS);
  }

  /** Which tunnels there are has changed. */
  look(): void {
    if (this.isStarted) this.schedule(0);
  }

  /** Resolves when no check is running any more. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    clearInterval(this.names);
    for (const monitor of this.monitors.values()) monitor.stop();
    await this.running;
  }

  /** The namespaces in use that are there, of underlays and of routes with next hops, by inode; 0 = the daemon's own. */
  private namespaces(): Map<string, string | undefined> {
    const names = new Set<string | undefined>();
    for (const { config } of this.tunnels.values()) {
      names.add(config.underlayNetns);
      if (hasNextHops(config)) names.add(config.netns);
    }
    const present = new Map<string, string | undefined>();
    for (const name of names) {
      const inode = name === undefined ? 0 : netnsInode(name);
      if (inode !== undefined) present.set(`${inode}`, name);
    }
    return present;
  }

  /** A monitor for each namespace, and none for those of before. */
  private listen(): void {
    const wanted = this.namespaces();
    for (const [key, monitor] of this.monitors) {
      if (wanted.has(key)) continue;
      monitor.stop();
      this.monitors.delete(key);
    }
    for (const [key, netns] of wanted) {
      if (!this.monitors.has(key)) this.monitors.set(key, new UnderlayMonitor(netns, () => this.schedule(SETTLE_MS)));
    }
  }

  /** No monitor tells that its namespace has lost its name, or that the name is another's now. */
  private lookAtNames(): void {
    const present = [...this.namespaces().keys()];
    if (present.length !== this.monitors.size || !present.every((key) => this.monitors.has(key))) this.schedule(0);
  }

  private schedule(delayMs: number): void {
    const dueMs = Math.max(performance.now() + delayMs, this.notBeforeMs);
    if (this.stopped || dueMs >= this.dueMs) return;
    clearTimeout(this.timer);
    this.dueMs = dueMs;
    this.timer = setTimeout(() => {
      this.running = this.run();
    }, dueMs - performance.now());
  }

  private async run(): Promise<void> {
    await this.running;
    this.dueMs = Number.POSITIVE_INFINITY;
    const startedMs = performance.now();
    try {
      this.listen();
      await this.turns.take(() => this.check());
    } catch (error) {
      this.log.error({ err: error }, "the underlay could not be looked at");
    }
    const tookMs = performance.now() - startedMs;
    this.notBeforeMs = performance.now() + Math.max(LEAST_REST_MS, tookMs * REST_AFTER_CHANGE);
    const periodMs = this.waitingSinceMs.size + this.recursive.size > 0 ? WAITING_PERIOD_MS : PERIOD_MS;
    this.schedule(Math.max(periodMs, tookMs * REST));
  }

  private async check(): Promise<void> {
    const tunnels = [...this.tunnels.values()];
    for (const tunnel of [...this.waitingSinceMs.keys(), ...this.recursive]) {
      if (tunnels.includes(tunnel)) continue;
      this.waitingSinceMs.delete(tunnel);
      this.recursive.delete(tunnel);
    }
    await this.direct.follow();
    await this.nextHops.follow();
    const recursive = await this.recursion.look();
    for (const tunnel of tunnels) tunnel.forwarding.remotes.setRecursive(new Set(recursive.get(tunnel)?.keys()));
    const planner = await UnderlayPlanner.look(
      tunnels.map(({ config }) => config),
      ({ name }) => this.tunnels.get(name)?.vias.names ?? [],
    );
    const round = { presence: new LocalPresence(), rejoined: new Set<Receiver>(), recursive };
    for (const tunnel of tunnels) {
      if (this.stopped) return;
      if (this.hasLeft(tunnel)) continue;
      await this.repair(tunnel, planner.find(tunnel.config), round).catch((error: unknown) => {
        this.log.error({ link: tunnel.config.name, err: error }, "the tunnel could not follow the underlay");
      });
    }
  }

  /** Whether a tunnel goes because the namespace of its underlay has gone. */
  private hasLeft({ config, endpoints }: Tunnel): boolean {
    const { name: link, underlayNetns } = config;
    const { netnsInode: inode } = endpoints.plan;
    if (underlayNetns === undefined || inode === undefined || netnsInode(underlayNetns) !== undefined) return false;
    if (!isAbandoned(inode)) return false;
    const ending = this.onAbandoned(link);
    if (ending === undefined) return false;
    this.log.warn(
      { link, netns: underlayNetns },
      "the underlay's namespace was deleted; its tunnel, made by hand, goes with it",
    );
    ending.catch((error: unknown) =>
      this.log.error({ link, err: error }, "the tunnel of a deleted namespace is still there"),
    );
    return true;
  }

  private async repair(tunnel: Tunnel, findings: UnderlayFindings, round: Round): Promise<void> {
    const { underlayNetns } = tunnel.config;
    const running = tunnel.endpoints.plan;
    const [first] = findings.problems;
    const isInterface = first?.code === "ERR_INTERFACE_NOT_FOUND" || first?.code === "ERR_INTERFACE_DOWN";
    const locals = findings.plan?.locals ?? running.locals;
    let problem = isInterface ? first : (round.presence.problemOf(locals, underlayNetns) ?? first);
    const { plan } = findings;
    const [back] = round.recursive.get(tunnel)?.values() ?? [];
    const isPlanned = plan !== undefined && back === undefined && !(await this.isOvertaken(tunnel, plan));
    const canMove = isPlanned && problem?.code !== "ERR_ADDRESS_NOT_LOCAL";
    const mustMove = canMove && !isSamePlace(plan, running);
    let hasMoved = mustMove;
    try {
      if (mustMove) await tunnel.relocate(plan);
      else if (findings.hasLeftGroup) this.rejoin(tunnel, round);
      if (canMove && (await tunnel.followVias(plan))) hasMoved = true;
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      problem = error;
    }
    tunnel.underlayProblem = problem ?? (back === undefined ? undefined : new VtepdError("ERR_ROUTE_RECURSION", back));
    this.report(tunnel, problem, hasMoved && problem === undefined);
    this.reportRecursion(tunnel, back, round.recursive.get(tunnel)?.size ?? 0);
    if (problem === undefined && isPlanned && plan.mtu !== undefined) await this.followMtu(tunnel, plan.mtu);
  }

  /**
   * Whether a route back into the tunnel has come after the look at such, so that the plan is made of it. Only a plan that would
   * change something is doubted.
   */
  private async isOvertaken(tunnel: Tunnel, plan: UnderlayPlan): Promise<boolean> {
    const followsMtu = tunnel.config.mtu === undefined && plan.mtu !== undefined && plan.mtu !== tunnel.device.mtu;
    if (!followsMtu && isSamePlace(plan, tunnel.endpoints.plan)) return false;
    return (await this.recursion.look()).has(tunnel);
  }

  private rejoin(tunnel: Tunnel, { rejoined }: Round): void {
    const groups = tunnel.endpoints.group.filter((group) => !rejoined.has(group));
    if (groups.length === 0) return;
    for (const group of groups) {
      rejoined.add(group);
      this.receivers.rejoin(group);
    }
    this.log.info({ link: tunnel.config.name }, "joined the multicast group again, which the interface had left");
  }

  private report(tunnel: Tunnel, problem: VtepdError | undefined, hasMoved: boolean): void {
    const link = tunnel.config.name;
    const sinceMs = this.waitingSinceMs.get(tunnel);
    if (problem !== undefined) {
      if (sinceMs !== undefined) return;
      this.waitingSinceMs.set(tunnel, performance.now());
      this.log.warn(
        { link, code: problem.code, reason: problem.message },
        "underlay is missing; the tunnel waits for it",
      );
      return;
    }
    const local = tunnel.endpoints.all.map((endpoint) => endpoint.local.text);
    if (sinceMs !== undefined) {
      this.waitingSinceMs.delete(tunnel);
      const afterS = Math.round((performance.now() - sinceMs) / 100) / 10;
      this.log.info({ link, local, afterS }, "underlay is back");
    } else if (hasMoved) {
      this.log.info({ link, local }, "underlay has changed; the tunnel has new sockets");
    }
  }

  private reportRecursion(tunnel: Tunnel, reason: string | undefined, remotes: number): void {
    const link = tunnel.config.name;
    if (reason === undefined) {
      if (this.recursive.delete(tunnel)) this.log.info({ link }, "routes lead out again");
    } else if (!this.recursive.has(tunnel)) {
      this.recursive.add(tunnel);
      this.log.warn(
        { link, code: "ERR_ROUTE_RECURSION", reason, remotes },
        "a route leads back into the tunnel; nothing is sent there",
      );
    }
  }

  private async followMtu(tunnel: Tunnel, mtu: number): Promise<void> {
    if (tunnel.config.mtu !== undefined || mtu === tunnel.device.mtu) return;
    // First what the paths carry: a larger frame would be answered by "too big" once more, which hosts remember for minutes.
    tunnel.forwarding.remotes.refreshPaths();
    if (!tunnel.followUnderlayMtu(mtu)) return;
    this.log.info({ link: tunnel.config.name, mtu }, "device MTU follows the underlay");
    await setSegmentLimits([tunnel]);
  }
}

const isSamePlace = (a: UnderlayPlan, b: UnderlayPlan): boolean => placeOf(a) === placeOf(b);
