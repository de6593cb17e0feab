/**
 * The daemon's life: start (workers, tunnels, host addresses, control, metrics, in this order), a tick each second, stop.
 * A start that fails undoes what it did and throws; `stop` undoes everything.
 */
import { availableParallelism } from "node:os";
import type { Logger } from "pino";
import type { Config } from "../config/schema.ts";
import { startControl } from "../control/server.ts";
import { allocateTableMemory, openTables } from "../dataplane/tables.ts";
import type { VtepdError } from "../errors.ts";
import { scrape } from "../metrics/scrape.ts";
import { startMetrics } from "../metrics/server.ts";
import { assignAddresses } from "./addresses.ts";
import { Ageing } from "./ageing.ts";
import { Bindings } from "./bindings.ts";
import { monotonicS } from "./clock.ts";
import { DeviceWatch } from "./device-watch.ts";
import { Statistics } from "./statistics.ts";
import { Supervisor } from "./supervisor.ts";
import { Tunnel } from "./tunnel.ts";
import { UnderlayPlanner } from "./underlay-plan.ts";
import { Undo } from "./undo.ts";
import { Vtep } from "./vtep.ts";

export interface DaemonOptions {
  readonly configPath: string;
  readonly log: Logger;
  readonly version: string;
}

export interface Daemon {
  /** Removes everything the daemon made. */
  stop(): Promise<void>;
  /** Resolves when the daemon cannot go on by itself. */
  readonly failed: Promise<VtepdError>;
}

const TICK_MS = 1000;

/** Two cores are busy with one worker and the network stack itself; more than four workers wait for the kernel's locks. */
const defaultWorkers = (): number => {
  const cores = availableParallelism();
  return cores <= 2 ? 1 : Math.min(cores, 4);
};

/** @throws VtepdError, with nothing left behind */
export const startDaemon = async (config: Config, options: DaemonOptions): Promise<Daemon> => {
  const undo = new Undo();
  try {
    return { ...(await start(config, options, undo)), stop: () => undo.run() };
  } catch (error) {
    await undo.run();
    throw error;
  }
};

const start = async (
  config: Config,
  { configPath, log, version }: DaemonOptions,
  undo: Undo,
): Promise<Pick<Daemon, "failed">> => {
  const memory = allocateTableMemory(config.daemon.fdbCapacity);
  const tables = openTables(memory);
  const tunnels = new Map<string, Tunnel>();
  const watch = new DeviceWatch(tunnels, log);
  const supervisor = new Supervisor(config.daemon.workers ?? defaultWorkers(), memory, (port) => watch.gone(port));
  undo.push(() => supervisor.stop());
  const bindings = new Bindings(tables, supervisor);
  const ageing = new Ageing(tables.fdb);
  const statistics = new Statistics(supervisor.memory, ageing);
  const vtep = new Vtep({ tables, bindings, statistics, tunnels, configPath, version });

  const planner = new UnderlayPlanner();
  for (const tunnelConfig of config.tunnels) {
    const tunnel = await Tunnel.open(tunnelConfig, await planner.plan(tunnelConfig), { tables, bindings, supervisor });
    undo.push(() => tunnel.close());
    tunnels.set(tunnelConfig.name, tunnel);
    ageing.set(tunnel.bd, tunnelConfig.ageingS);
  }
  await assignAddresses(config.tunnels);

  const timer = setInterval(() => {
    ageing.tick(monotonicS());
    watch.tick();
  }, TICK_MS);
  undo.push(() => clearInterval(timer));
  undo.push(() => watch.stop());

  const { control, metrics } = config.daemon;
  const server = await startControl({
    socket: control.socket,
    group: control.group,
    service: vtep,
    metrics: () => scrape(vtep),
    log,
  });
  undo.push(() => server.close());
  if (metrics.listen !== undefined) {
    const exporter = await startMetrics({ listen: metrics.listen, render: () => scrape(vtep), log });
    undo.push(() => exporter.close());
  }
  log.info({ workers: supervisor.count, tunnels: tunnels.size, control: control.socket }, "vtepd is forwarding");
  return { failed: supervisor.failed };
};
