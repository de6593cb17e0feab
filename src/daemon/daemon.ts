/**
 * The daemon's life: start (workers, tunnels, host addresses, control, metrics, in this order), a tick each second, stop.
 * A start that fails undoes what it did and throws; `stop` undoes everything.
 */
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import { type Config, OFFLOAD_TIERS } from "../config/config.ts";
import { startControl } from "../control/server.ts";
import { expectNobody } from "../control/socket-file.ts";
import type { Difference } from "../dataplane/desired-view.ts";
import { allocateTableMemory, openTables } from "../dataplane/tables.ts";
import type { RouteView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { queryIp } from "../host/iproute.ts";
import { NameResolver } from "../host/name-resolver.ts";
import { scrape } from "../metrics/scrape.ts";
import { startMetrics } from "../metrics/server.ts";
import { Ageing } from "./ageing.ts";
import { Captures } from "./captures.ts";
import { Changes } from "./changes.ts";
import { monotonicS } from "./clock.ts";
import { holdHeapDown } from "./collector.ts";
import { Desired } from "./desired.ts";
import { DeviceStore } from "./device-store.ts";
import { DeviceWatch } from "./device-watch.ts";
import { DirectRoutes } from "./direct-routes.ts";
import { EntryWatch } from "./entry-watch.ts";
import { Events } from "./events.ts";
import { Eviction } from "./eviction.ts";
import { Gateways } from "./gateways.ts";
import { HandMade } from "./hand-made.ts";
import { Journal, readJournal } from "./journal.ts";
import { warnOfKernelTunnels } from "./kernel-tunnels.ts";
import { LearnedSnapshot } from "./learned-snapshot.ts";
import { LinkWatch } from "./link-watch.ts";
import { Links } from "./links.ts";
import { MoveWarnings } from "./move-warnings.ts";
import { Names } from "./names.ts";
import { NextHops } from "./next-hops.ts";
import { type Offload, type OffloadRequest, probeOffload } from "./offload.ts";
import { PathMtus } from "./path-mtu.ts";
import { PeerWatch } from "./peer-watch.ts";
import { unreadyReasons } from "./readiness.ts";
import { Receivers } from "./receivers.ts";
import { RouteRecursion } from "./route-recursion.ts";
import { ServiceManager } from "./service-manager.ts";
import { StateDirectory } from "./state-directory.ts";
import { Statistics } from "./statistics.ts";
import { StatusLine } from "./status-line.ts";
import { Strangers } from "./strangers.ts";
import { Supervisor, type WorkerPlan } from "./supervisor.ts";
import { Traces } from "./traces.ts";
import { Transmitters } from "./transmitters.ts";
import type { Tunnel } from "./tunnel.ts";
import { Turns } from "./turns.ts";
import { UnderlayWatch } from "./underlay-watch.ts";
import { Undo } from "./undo.ts";
import { Upcalls } from "./upcalls.ts";
import { Vtep } from "./vtep.ts";
import { startWatchdog } from "./watchdog.ts";

export interface DaemonOptions {
  readonly configPath: string;
  readonly log: Logger;
  readonly version: string;
  /** Forget what was made by hand and what was learned. */
  readonly isFresh?: boolean;
}

export interface Daemon {
  /** Removes everything the daemon made. */
  stop(): Promise<void>;
  /** Reads the configuration again and brings it into effect. @throws VtepdError, then nothing has changed */
  reload(): Promise<Difference>;
  /** Resolves when the daemon cannot go on by itself. */
  readonly failed: Promise<VtepdError>;
}

const TICK_MS = 1000;
const LEARNED_PERIOD_MS = 60_000;
/** Between two tries to make tunnels that were made by hand and lack something. */
const RETRY_PERIOD_MS = 5000;

/** One line that says what is in use, and for the rest why not. */
const offloadLog = ({ tier, capabilities }: Offload): Record<string, unknown> => ({
  tier,
  inUse: capabilities.filter(({ inUse }) => inUse).map(({ name }) => name),
  not: Object.fromEntries(capabilities.filter(({ inUse }) => !inUse).map(({ name, reason }) => [name, reason])),
});

/** Two cores are busy with one worker and the network stack itself; more than four workers wait for the kernel's locks. */
const defaultWorkers = (): number => {
  const cores = availableParallelism();
  return cores <= 2 ? 1 : Math.min(cores, 4);
};

const workerPlan = ({ daemon }: Config): WorkerPlan => ({
  count: daemon.workers ?? defaultWorkers(),
  cpus: daemon.cpus,
  busyPollUs: daemon.busyPollUs,
});

/** `VTEPD_OFFLOAD` wins over the file: a tier can be forced without editing it. @throws ERR_CONFIG_VALUE */
const offloadRequest = ({ daemon }: Config): OffloadRequest => {
  const forced = process.env["VTEPD_OFFLOAD"];
  const { disabled } = daemon.offload;
  if (forced === undefined) return { tier: daemon.offload.tier, disabled };
  if (forced === "auto") return { tier: undefined, disabled };
  const tier = OFFLOAD_TIERS.find((name) => name === forced);
  if (tier !== undefined) return { tier, disabled };
  const message = `VTEPD_OFFLOAD: expected auto, ${OFFLOAD_TIERS.join(", ")}, got "${forced}"`;
  throw new VtepdError("ERR_CONFIG_VALUE", message, { path: "VTEPD_OFFLOAD" });
};

/** Says once when a socket gave UDP_SEGMENT up: speed is lost then, frames are not. */
const watchSegments = (statistics: Statistics, log: Logger): (() => void) => {
  let known = 0;
  return () => {
    const { segmentLost, segmentRefused } = statistics.ofSegmentation();
    if (segmentLost > known) log.warn({ sockets: segmentLost, segmentRefused }, "UDP_SEGMENT was given up");
    known = segmentLost;
  };
};

/** What ages is told after the table's lock is let go. */
const age = (ageing: Ageing, events: Events, upcalls: Upcalls): void => {
  const gone: [bd: number, macHi: number, macLo: number, target: number][] = [];
  const note = (...entry: (typeof gone)[number]): void => void gone.push(entry);
  ageing.tick(monotonicS(), events.hasListeners ? note : undefined);
  upcalls.aged(gone);
};

/** systemd's directory wins over the default, not over what is written. */
const stateOf = ({ daemon, settings }: Config): StateDirectory | undefined => {
  const isWritten = settings.daemon["state-directory"] !== undefined;
  const path = isWritten ? daemon.stateDirectory : (process.env["STATE_DIRECTORY"] ?? daemon.stateDirectory);
  return path === undefined ? undefined : new StateDirectory(path, daemon.control.socket, isWritten);
};

/** @throws VtepdError, with nothing left behind */
export const startDaemon = async (config: Config, options: DaemonOptions): Promise<Daemon> => {
  holdHeapDown();
  const undo = new Undo();
  const manager = new ServiceManager(process.env, options.log);
  const stop = (): Promise<void> => {
    manager.stopping();
    return undo.run();
  };
  try {
    return { ...(await start(config, options, manager, undo)), stop };
  } catch (error) {
    await undo.run();
    throw error;
  }
};

const start = async (
  config: Config,
  { configPath, log, version, isFresh = false }: DaemonOptions,
  manager: ServiceManager,
  undo: Undo,
): Promise<Omit<Daemon, "stop">> => {
  const listener = manager.takeListener();
  // Or there would be two with one journal. Who listens for us sees to that.
  if (listener === undefined) await expectNobody(config.daemon.control.socket);
  const offload = probeOffload(offloadRequest(config));
  log.info(offloadLog(offload), "offload");
  const memory = allocateTableMemory(config.daemon.fdbCapacity);
  const tables = openTables(memory);
  const tunnels = new Map<string, Tunnel>();
  const turns = new Turns();
  const watch = new DeviceWatch(tunnels, turns, log);
  const recursion = new RouteRecursion(tunnels);
  const events = new Events((hasListeners) => {
    supervisor.watch(hasListeners);
    watchLinks(hasListeners);
  });
  const tunnelOf = (bd: number): Tunnel | undefined => [...tunnels.values()].find((tunnel) => tunnel.bd === bd);
  const eviction = new Eviction(tables.fdb, (bd) => {
    return (
      tunnelOf(bd)
        ?.forwarding.remotes.list()
        .map(({ slot }) => slot) ?? []
    );
  });
  const moveWarnings = new MoveWarnings(tables.remotes, (bd) => tunnelOf(bd)?.config.name, log);
  undo.push(() => eviction.stop());
  const supervisor = new Supervisor(workerPlan(config), memory, {
    gone: (port) => {
      watch.gone(port);
      const uplink = transmitters.gone(port);
      if (uplink !== undefined) log.warn({ uplink }, "uplink was deleted; it will be made again");
    },
    upcall: (record) => upcalls.take(record),
    lostEvents: (count) => events.emit({ event: "lost", count }),
  });
  undo.push(() => supervisor.stop());
  const strangers = new Strangers(tables, tunnels, recursion, supervisor.counters);
  const transmitters = new Transmitters(tables, supervisor, offload);
  const onRefused = (port: number, refusal: string): void =>
    log.warn({ port, refusal }, "no receive offload in tier tunnel; UDP sockets are used");
  const receivers = new Receivers(tables, supervisor, offload, onRefused);
  const paths = new PathMtus(tables.remotes);
  const upcalls = new Upcalls({
    tunnels,
    tunnelOf,
    strangers,
    eviction,
    paths,
    moveWarnings,
    events,
    remotes: tables.remotes,
  });
  const gateways = new Gateways(log);
  const directRoutes = new DirectRoutes(log);
  const routes = (): RouteView[] => [...directRoutes.list(), ...gateways.list()];
  const nextHops = new NextHops(tunnels, log);
  const underlayWatch = new UnderlayWatch(tunnels, turns, receivers, recursion, directRoutes, nextHops, log);
  const linkWatch = new LinkWatch(
    tunnels,
    (name) => desired.settingsOf(name),
    (event) => events.emit(event),
  );
  const peerWatch = new PeerWatch(tunnels, supervisor.counters, (event) => events.emit(event));
  const entryWatch = new EntryWatch({
    tunnels,
    isBusy: () => links.busy !== undefined,
    isTold: (dev) => linkWatch.isTold(dev),
    emit: (event) => events.emit(event),
  });
  const watchLinks = (hasListeners: boolean): void => {
    if (hasListeners) linkWatch.begin();
    else linkWatch.end();
    if (hasListeners) peerWatch.begin(monotonicS());
    else peerWatch.end();
    if (hasListeners) entryWatch.begin();
    else entryWatch.end();
  };
  const ageing = new Ageing(tables);
  const statistics = new Statistics(supervisor.memory, tables.fdb.accounts, ageing, eviction);
  const captures = new Captures({ tables, receivers, transmitters, supervisor, tunnels, version });
  undo.push(() => captures.stop());
  const parts = {
    tables,
    receivers,
    statistics,
    tunnels,
    routes,
    recursion,
    events,
    captures,
    traces: new Traces({ memory, tables, receivers, transmitters }),
    offload,
    configPath,
    version,
    kept: () => ({
      journal: journal === undefined ? null : { ...journal.view(), waiting: handMade.waitingCount },
      reload: desired.lastReload,
    }),
    unready: () => unreadyReasons(tunnels.values(), desired.absentees),
  };
  const vtep = new Vtep(parts);

  const names = new Names(new NameResolver(config.daemon.resolver), log);
  undo.push(() => names.stop());
  const state = stateOf(config);
  if (isFresh) state?.setAside();
  const list = config.daemon.keepDevices ? state?.devices : undefined;
  const present = new Set((await queryIp<{ ifname: string }>(["link", "show"])).map(({ ifname }) => ifname));
  const store = new DeviceStore({ manager, list, present, log });
  const sockets = { receivers, transmitters };
  const met = (tunnel: Tunnel, address: string): void => recursion.met(tunnel, address);
  const ground = { tables, sockets, supervisor, names, met, offload, paths, store, ears: entryWatch };
  const links = new Links({ ground, recursion, ageing, eviction, log }, tunnels);
  undo.push(() => links.close());
  undo.push(() => gateways.stop());
  undo.push(() => directRoutes.stop());
  const onChange = (made: readonly Tunnel[]): void => {
    warnOfKernelTunnels(made, log);
    underlayWatch.look();
  };
  const status = new StatusLine({
    manager,
    tunnels,
    workers: supervisor.count,
    absentees: () => desired.absentees,
    journalFailure: () => journal?.view().failure ?? null,
  });
  const during = <T>(reload: () => Promise<T>): Promise<T> => status.during(reload);
  const desired = new Desired({ links, gateways, directRoutes, turns, configPath, log, onChange, during }, config);
  await desired.start();
  const handMade = new HandMade({ desired, tunnels, log });
  const kept = state === undefined ? undefined : await readJournal(state.journal);
  const isSettled = (): boolean => links.busy === undefined;
  const journal = state && kept && new Journal(state.journal, kept.bytes, () => handMade.snapshot(), isSettled);
  undo.push(() => journal?.close());
  const refusal = journal?.look();
  if (refusal !== undefined) {
    const { code, message: reason } = refusal;
    log.error({ code, reason }, "changes over the control socket will be refused, because they cannot be kept");
  }
  const changes = new Changes({ vtep, desired, links, tunnels, journal, waiting: handMade.waiting });
  if (kept && journal) await handMade.restore(kept, journal, () => state?.copyJournal());
  // What somebody has made by hand ends with its device, or with its underlay's namespace, as the kernel's does; what is the file's now is no longer by hand.
  watch.onDeleted = (name) => (desired.isByHand(name) ? changes.run([{ op: "link-del", name }]) : undefined);
  underlayWatch.onAbandoned = watch.onDeleted;
  desired.forget = (forgotten) => handMade.forget(forgotten, changes);
  desired.onChanged = () => void handMade.retry(changes);
  const learned = state && new LearnedSnapshot(state.learned, tunnels, tables, log);
  await learned?.restore();
  const saveLearned = async (): Promise<void> => {
    if (state?.isInUse) await learned?.save();
  };
  const saveTimer = setInterval(() => void saveLearned(), LEARNED_PERIOD_MS);
  undo.push(saveLearned);
  undo.push(() => clearInterval(saveTimer));

  const segmentWatch = watchSegments(statistics, log);
  const timer = setInterval(() => {
    age(ageing, events, upcalls);
    eviction.tick();
    watch.tick();
    strangers.tick(monotonicS());
    paths.tick();
    upcalls.tick(monotonicS());
    if (links.busy === undefined) {
      // Else some tunnels are nowhere for a moment.
      linkWatch.tick();
      peerWatch.tick(monotonicS());
      entryWatch.tick();
    }
    segmentWatch();
    status.tick();
    void transmitters.revive();
  }, TICK_MS);
  underlayWatch.start();
  undo.push(() => transmitters.settle());
  undo.push(() => clearInterval(timer));
  undo.push(() => watch.stop());
  undo.push(() => underlayWatch.stop());

  const { control, metrics } = config.daemon;
  const server = await startControl({
    socket: control.socket,
    group: control.group,
    mode: control.mode,
    descriptor: listener,
    service: vtep,
    desired,
    changes,
    metrics: () => scrape(vtep),
    log,
  });
  undo.push(() => server.close());
  if (metrics.listen !== undefined) {
    const exporter = await startMetrics({
      listen: metrics.listen,
      render: () => scrape(vtep),
      unready: () => vtep.unready(),
      log,
    });
    undo.push(() => exporter.close());
  }
  undo.push(startWatchdog(manager, supervisor, log));
  const isAwaited = (name: string): boolean => desired.isAbsent(name);
  const retry = (): Promise<void> => handMade.retry(changes).then(() => store.settle(isAwaited));
  const retryTimer = setInterval(() => void retry().then(() => journal?.renewIfDue()), RETRY_PERIOD_MS);
  undo.push(() => clearInterval(retryTimer));
  store.settle(isAwaited);
  undo.push(() => store.leave()); // the first step of a stop
  log.info({ workers: supervisor.count, tunnels: tunnels.size, control: control.socket }, "vtepd is forwarding");
  status.ready();
  return { failed: supervisor.failed, reload: () => desired.reload(false) };
};
