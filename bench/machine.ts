/** What a figure depends on: the machine, and how quiet it was. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { ownCpus } from "./confine.ts";
import { machineCpu } from "./cpu-time.ts";

export interface Machine {
  readonly date: string;
  readonly kernel: string;
  readonly cpuModel: string;
  /** Of the machine, and those this run may use. */
  readonly cpusOnline: number;
  readonly cpusUsed: readonly number[];
  readonly node: string;
  /** How TCP on the hosts answers to loss, e.g. "cubic": a namespace has its parent's. */
  readonly tcpCongestion: string;
  /** Load average over one minute before the start. */
  readonly loadBefore: number;
  /** Share of the used CPUs that was busy or stolen in the half second before the start, 0..1. */
  readonly busyBefore: number;
}

const QUIET_MS = 500;

/** Takes half a second. */
export const describeMachine = async (): Promise<Machine> => {
  const cpusUsed = ownCpus();
  const before = machineCpu(cpusUsed);
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  const after = machineCpu(cpusUsed);
  const busyS = after.busyS + after.stolenS - before.busyS - before.stolenS;
  return {
    date: new Date().toISOString(),
    kernel: release(),
    cpuModel: cpus()[0]?.model.trim() ?? "unknown",
    cpusOnline: readFileSync("/proc/cpuinfo", "utf8").match(/^processor/gm)?.length ?? 0,
    cpusUsed,
    node: process.version,
    tcpCongestion: readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim(),
    loadBefore: loadavg()[0] ?? 0,
    busyBefore: busyS / ((QUIET_MS / 1000) * cpusUsed.length),
  };
};

/** Why figures taken now would be worth little, or undefined. */
export const unrest = (machine: Machine): string | undefined => {
  if (machine.busyBefore > 0.1) return `the CPUs are ${(100 * machine.busyBefore).toFixed(0)} % busy before the start`;
  const limit = Math.max(0.5, machine.cpusOnline - machine.cpusUsed.length);
  if (machine.loadBefore > limit) return `the load average is ${machine.loadBefore.toFixed(2)}, more than ${limit}`;
  return undefined;
};
