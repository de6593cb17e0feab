/**
 * Tells the service manager that the data plane lives, and only while it does: each worker must have gone round its loop since
 * the time before. A worker that has nothing to do sleeps in the kernel; it is woken each time, by the eventfd that commands
 * come with, and its count of wake-ups is what moves. So the loop itself knows nothing of this. That this timer runs shows
 * that the main thread does.
 */
import type { Logger } from "pino";
import type { ServiceManager } from "./service-manager.ts";

/** The workers' side; the supervisor's. */
export interface Pulse {
  /** One number for each worker, which grows whenever it goes round its loop. */
  readonly rounds: readonly number[];
  /** Makes each worker go round once. */
  wake(): void;
}

export class Watchdog {
  private readonly manager: Pick<ServiceManager, "live">;
  private readonly workers: Pulse;
  private readonly log: Logger;
  private rounds: readonly number[];
  private isQuiet = false;

  constructor(manager: Pick<ServiceManager, "live">, workers: Pulse, log: Logger) {
    this.manager = manager;
    this.workers = workers;
    this.log = log;
    this.rounds = workers.rounds;
    workers.wake();
  }

  /** At half the time that the service manager waits. */
  tick(): void {
    const before = this.rounds;
    this.rounds = this.workers.rounds;
    const stuck = this.rounds.findIndex((round, worker) => round === before[worker]);
    if (stuck < 0) this.manager.live();
    else if (!this.isQuiet)
      this.log.error({ worker: stuck, code: "ERR_WORKER" }, "a worker stands still; the watchdog is not fed");
    this.isQuiet = stuck >= 0;
    this.workers.wake();
  }
}

/** Runs a watchdog if the service manager asks for one. Returns what stops it. */
export const startWatchdog = (manager: ServiceManager, workers: Pulse, log: Logger): (() => void) => {
  if (manager.watchdogMs === undefined) return () => {};
  const watchdog = new Watchdog(manager, workers, log);
  const timer = setInterval(() => watchdog.tick(), manager.watchdogMs / 2);
  return () => clearInterval(timer);
};
