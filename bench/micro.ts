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
 * number of iterations is fixed, so every run does the same work and allocates the same. micro-suite.ts runs them all.
 */

import { spreadOf } from "./spread.ts";

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
