/** Rows of results as a run would make them, for tests of what is made of them. */
import type { ArmTrials, Row } from "../../bench/abba.ts";
import type { SystemReport } from "../../bench/system-report.ts";
import type { Trial } from "../../bench/trial.ts";

export const trialOf = (rate: number, counters: Readonly<Record<string, number>> = {}): Trial => ({
  sample: { rate },
  account: { stolenS: 0, counters },
});

export const rowOf = (arms: readonly ArmTrials[], more: Partial<Row> = {}): Row => ({
  mode: "wire-like",
  id: "W1",
  workload: "tcp-stream streams=1",
  headline: "rate",
  metrics: { rate: { unit: "Gbit/s", better: "higher", digits: 2 } },
  overload: false,
  arms,
  unfit: {},
  failures: [],
  ...more,
});

export const reportOf = (rows: readonly Row[]): SystemReport => ({
  machine: {
    date: "2026-01-02T03:04:05.000Z",
    kernel: "6.1.0",
    cpuModel: "Some CPU",
    cpusOnline: 4,
    cpusUsed: [0, 1],
    node: "v20.0.0",
    tcpCongestion: "cubic",
    loadBefore: 0,
    busyBefore: 0,
  },
  unrest: null,
  command: "npm run bench -- system",
  rounds: 3,
  seconds: 2,
  pinned: false,
  leftOut: {},
  rows,
});
