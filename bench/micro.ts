/**
 * Times small operations. A file in bench/micro/ calls `bench` once per operation:
 *
 *     bench("fdb.lookup/hit entries=4096", { iterations: 1_000_000 }, () => {
 *       const fdb = ...;                      // set-up, not timed
 *       return (iterations) => {
 *         let sum = 0;
 *         for (let i = 0; i < iterations; i++) sum += fdb.lookup(...);
 *         return sum;                         // the result is used, so the loop cannot be optimised away
 *       };
 *     });
 *
 * Each operation runs in a process of its own: two in one process would share call sites and make them polymorphic. The
 * number of iterations is fixed, so every run does the same work and allocates the same.
 */

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Spread, spreadOf } from "./spread.ts";

export interface BenchOptions {
  readonly iterations: number;
  /** Timed repetitions in one process, after two that are not timed. Default 7. */
  readonly repetitions?: number;
  /** Slower than this fails the run. Nanoseconds per iteration on the reference machine, with room. */
  readonly thresholdNs?: number;
}

/** Runs the operation so many times and returns something made of all results. */
export type Operation = (iterations: number) => number;

const ONLY = process.env["VTEPD_MICRO_ONLY"];
/** Faster than this, there was no loop. */
const DELETED_LOOP_NS = 0.2;

const print = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};

/** In a process without VTEPD_MICRO_ONLY it only tells its name; else it runs when it is the one asked for. */
export const bench = (name: string, options: BenchOptions, setUp: () => Operation): void => {
  if (ONLY === undefined) {
    print({ name, thresholdNs: options.thresholdNs });
    return;
  }
  if (ONLY !== name) return;
  const operation = setUp();
  let sum = operation(options.iterations) + operation(options.iterations);
  const timesNs: number[] = [];
  for (let i = 0; i < (options.repetitions ?? 7); i++) {
    const start = process.hrtime.bigint();
    sum += operation(options.iterations);
    timesNs.push(Number(process.hrtime.bigint() - start) / options.iterations);
  }
  print({ name, ns: spreadOf(timesNs).median, sum });
};

export interface MicroResult {
  readonly file: string;
  readonly name: string;
  /** Nanoseconds per iteration, over processes; each process gives the median of its repetitions. */
  readonly ns: Spread;
  readonly thresholdNs: number | undefined;
  readonly failed: boolean;
}

const FOLDER = new URL("./micro/", import.meta.url);
const LOADER = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

const runFile = (file: string, only: string | undefined): Record<string, unknown>[] => {
  const env = { ...process.env };
  delete env["VTEPD_MICRO_ONLY"];
  if (only !== undefined) env["VTEPD_MICRO_ONLY"] = only;
  const path = fileURLToPath(new URL(file, FOLDER));
  const result = spawnSync(process.execPath, ["--import", LOADER, path], { encoding: "utf8", timeout: 120_000, env });
  if (result.status !== 0) throw new Error(`${file} ${only ?? ""}: ${result.stderr}${result.error?.message ?? ""}`);
  return result.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
};

/** Runs every bench/micro/*.bench.ts, operations taking turns, `rounds` processes each. */
export const runMicro = (rounds: number, progress: (line: string) => void): MicroResult[] => {
  const files = readdirSync(FOLDER, { withFileTypes: true }).filter((entry) => entry.name.endsWith(".bench.ts"));
  const found = files.flatMap(({ name: file }) =>
    runFile(file, undefined).map((line) => ({
      file,
      name: String(line["name"]),
      thresholdNs: line["thresholdNs"] as number | undefined,
      ns: [] as number[],
    })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const entry of round % 2 === 0 ? found : found.toReversed()) {
      const ns = Number(runFile(entry.file, entry.name)[0]?.["ns"]);
      if (!(ns >= DELETED_LOOP_NS))
        throw new Error(`${entry.name}: ${ns} ns per iteration: the loop was optimised away`);
      entry.ns.push(ns);
      progress(`micro ${entry.name} round ${round + 1}/${rounds}: ${ns.toFixed(2)} ns`);
    }
  }
  return found.map(({ file, name, thresholdNs, ns }) => {
    const spread = spreadOf(ns);
    return { file, name, ns: spread, thresholdNs, failed: thresholdNs !== undefined && spread.median > thresholdNs };
  });
};

export const microText = (results: readonly MicroResult[]): string =>
  results
    .map(({ name, ns, thresholdNs, failed }) => {
      const limit = thresholdNs === undefined ? "" : `, threshold ${thresholdNs}${failed ? " EXCEEDED" : ""}`;
      return `${name.padEnd(48)} ${ns.median.toFixed(2)} ns (${ns.min.toFixed(2)}..${ns.max.toFixed(2)})${limit}\n`;
    })
    .join("");
