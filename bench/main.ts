/**
 * The benchmark: `tsx bench/main.ts`; options.ts has its command line, README.md here method and reading.
 */
import { writeFileSync } from "node:fs";
import { type Row, runAbba } from "./abba.ts";
import type { Arm } from "./arm.ts";
import { armByLabel } from "./arms/by-label.ts";
import { confine, refusal } from "./confine.ts";
import { describeMachine, unrest } from "./machine.ts";
import { microText, runMicro } from "./micro-suite.ts";
import { type Options, type RunOptions, readOptions, USAGE } from "./options.ts";
import { durationText, estimateS, type Step } from "./plan.ts";
import { publish, publishFile } from "./publish.ts";
import { armsFor } from "./suite.ts";
import { type Result, resultText, type SystemReport } from "./system-report.ts";
import { textReport } from "./text-report.ts";

/** A run that takes so many times as long as estimated is stuck, and its processes go with it. */
const PATIENCE = 4;
/** What `quick` promises, whatever happens. */
const QUICK_LIMIT_S = 118;

/** One round of all micro benchmarks. */
const MICRO_ROUND_S = 48;

const fail = (text: string): never => {
  process.stderr.write(`bench: ${text}\n`);
  process.exit(1);
};

const progress = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const selectArms = (labels: readonly string[]): { arms: Arm[]; leftOut: Record<string, string> } => {
  const arms: Arm[] = [];
  const leftOut: Record<string, string> = {};
  for (const label of labels) {
    const arm = armByLabel(label);
    const reason = arm.refusal();
    if (reason === undefined) arms.push(arm);
    else leftOut[label] = reason;
  }
  for (const [label, reason] of Object.entries(leftOut)) progress(`arm ${label} is left out: ${reason}`);
  if (arms.length === 0) throw new Error("no arm can run here");
  return { arms, leftOut };
};

const planSteps = ({ modes, workloads, armsNamed }: RunOptions, arms: readonly Arm[]): Step[] =>
  modes.flatMap((mode) =>
    workloads.map((workload) => ({ mode, workload, arms: armsNamed ? arms : armsFor(workload, arms) })),
  );

const limit = ({ verb }: RunOptions, estimatedS: number): void => {
  const limitS = verb === "quick" ? QUICK_LIMIT_S : 600 + PATIENCE * estimatedS;
  setTimeout(() => fail(`not finished after ${durationText(limitS)}`), limitS * 1000).unref();
};

const runSystem = async (options: RunOptions): Promise<SystemReport> => {
  const { arms, leftOut } = selectArms(options.arms);
  const machine = await describeMachine();
  const doubt = unrest(machine) ?? null;
  // The quick look is for the busy machine of a developer: it says so and goes on.
  if (doubt !== null && !options.force && options.verb !== "quick") {
    throw new Error(`${doubt}; --force runs all the same and says so`);
  }
  const steps = planSteps(options, arms);
  const estimatedS = estimateS(steps, options.rounds, options.seconds);
  const trials = options.rounds * steps.reduce((sum, step) => sum + step.arms.length, 0);
  const then = options.verb === "all" ? `, then micro, about ${durationText(options.rounds * MICRO_ROUND_S)}` : "";
  progress(
    `${trials} trials, about ${durationText(estimatedS)}${then}${doubt === null ? "" : `; NOT QUIET: ${doubt}`}`,
  );
  limit(options, estimatedS);
  const rows: Row[] = [];
  for (const { mode, workload, arms: chosenArms } of steps) {
    rows.push(await runAbba(workload, chosenArms, { ...options, mode, progress }));
  }
  const command = ["npm run bench --", ...process.argv.slice(2)].join(" ");
  const { rounds, seconds, pin: pinned } = options;
  return { machine, unrest: doubt, command, rounds, seconds, pinned, leftOut, rows };
};

const run = async (options: RunOptions): Promise<number> => {
  const system = options.verb === "micro" ? undefined : await runSystem(options);
  if (system !== undefined) process.stdout.write(textReport(system));
  const micro = options.verb === "micro" || options.verb === "all" ? runMicro(options.rounds, progress) : undefined;
  if (micro !== undefined) process.stdout.write(`\n${microText(micro)}`);
  const result: Result = { system, micro };
  if (options.json !== undefined) writeFileSync(options.json, resultText(result));
  if (options.publish) publish(result);
  const broken = system?.rows.some((row) => row.failures.length > 0) || micro?.some((one) => one.failed);
  return broken ? 1 : 0;
};

const start = async (options: Options): Promise<number> => {
  if (options.verb === "help") {
    process.stdout.write(USAGE);
    return 0;
  }
  if (options.verb === "publish") {
    publishFile(options.file);
    return 0;
  }
  const reason = refusal();
  // Micro benchmarks make no devices; without root they just run wherever the scheduler puts them.
  if (options.verb !== "micro" && reason !== undefined) throw new Error(reason);
  if (reason === undefined) confine(options.cpus);
  return run(options);
};

try {
  process.exit(await start(readOptions(process.argv.slice(2))));
} catch (error) {
  fail((error as Error).message);
}
