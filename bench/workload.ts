/** What an arm is loaded with, and what is read off. */
import type { Host } from "../test/support/host.ts";
import type { CpuUse } from "./cpu-time.ts";

export interface Metric {
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** Decimals in tables. */
  readonly digits: number;
  /** Stands in the text and JSON reports only. */
  readonly detail?: boolean;
}

/** By metric name; a metric that an arm does not have is left out. */
export type Sample = Readonly<Record<string, number>>;

export interface RunContext {
  readonly left: Host;
  readonly right: Host;
  /** Length of one measurement. */
  readonly seconds: number;
  /** Puts a load generator or sink on its CPU when the run is pinned. */
  readonly place: (command: readonly string[]) => readonly [string, ...string[]];
  /** Starts to count CPU time; call the result at the end. */
  readonly measure: () => () => CpuUse;
}

export interface Workload {
  /** Operation and variables: "udp-saturation frame=64". */
  readonly name: string;
  /** `pair`: the arm on both hosts. `receiver`: on the right one only, the left one has a bare generator. */
  readonly topology: "pair" | "receiver";
  /** The metric that ratios are made of. */
  readonly headline: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  run(context: RunContext): Promise<Sample>;
}

const CPU_NS: Metric = { unit: "ns", better: "lower", digits: 0 };

/** The two CPU rows of every frame-counting workload. */
export const CPU_PER_FRAME: Readonly<Record<string, Metric>> = {
  "VTEP CPU per frame": CPU_NS,
  "machine CPU per frame": CPU_NS,
};

export const cpuPerFrame = (use: CpuUse, frames: number): Sample => ({
  ...(use.vtepS === undefined ? {} : { "VTEP CPU per frame": (1e9 * use.vtepS) / frames }),
  "machine CPU per frame": (1e9 * use.machineS) / frames,
});
