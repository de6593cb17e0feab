/** What an arm is loaded with, and what is read off. */
import type { Host } from "../test/support/host.ts";
import type { Place, SetUp, Topology, Vtep } from "./arm.ts";
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

/** Frames of the underlay, both ways. */
export interface RelayCounts {
  readonly dropped: number;
  readonly reordered: number;
}

export interface RunContext {
  readonly left: Host;
  readonly right: Host;
  /** Undefined where the topology has none. */
  readonly leftVtep: Vtep | undefined;
  readonly rightVtep: Vtep | undefined;
  /** Ends the relay's work. Undefined where the topology has none. */
  readonly stopRelay: (() => Promise<RelayCounts>) | undefined;
  /** Length of one measurement. */
  readonly seconds: number;
  /** Puts a load generator or sink on its CPU when the run is pinned. */
  readonly place: Place;
  /** Starts to count CPU time; call the result at the end. */
  readonly measure: () => () => CpuUse;
}

/** Which arms run a workload unless they are named: `core`; with `context` also the other user-space programs; with `tiers` every tier too. */
export type Breadth = "core" | "context" | "tiers";

export interface Workload {
  /** Number in the benchmark plan; workloads of one number share a chart. */
  readonly id: string;
  /** Operation and variables: "udp-saturation frame=64". */
  readonly name: string;
  readonly topology: Topology;
  readonly breadth: Breadth;
  /** What it needs of the hosts and VTEPs, beyond the usual. */
  readonly setUp?: Partial<SetUp>;
  /** The load is more than can be carried, so drops are no surprise. */
  readonly overload?: boolean;
  /** The metric that ratios are made of. */
  readonly headline: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Seconds that `run` takes, about, when one measurement takes so many. */
  readonly durationS: (seconds: number) => number;
  /** @throws Unfit when the arm has not what it takes */
  run(context: RunContext): Promise<Sample>;
}

const CPU_NS: Metric = { unit: "ns", better: "lower", digits: 0 };

/** The two CPU rows of every frame-counting workload. */
export const CPU_PER_FRAME: Readonly<Record<string, Metric>> = {
  "VTEP CPU per frame": CPU_NS,
  "machine CPU per frame": CPU_NS,
};

export const cpuPerFrame = (use: CpuUse, frames: number): Sample =>
  // Of nothing received there is no cost per frame; JSON knows no Infinity.
  frames === 0
    ? {}
    : {
        ...(use.vtepS === undefined ? {} : { "VTEP CPU per frame": (1e9 * use.vtepS) / frames }),
        "machine CPU per frame": (1e9 * use.machineS) / frames,
      };
