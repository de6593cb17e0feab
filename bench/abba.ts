/**
 * Compares arms by alternating them: A B C, C B A, A B C, ... so that a drift of the machine (heat, a busy neighbour)
 * falls on all alike. A ratio is made of the two measurements of one round, never of two medians.
 */
import type { WireMode } from "../test/support/lab.ts";
import type { Arm } from "./arm.ts";
import { type Spread, spreadOf } from "./spread.ts";
import { runTrial } from "./trial.ts";
import type { Metric, Sample, Workload } from "./workload.ts";

export interface ArmResult {
  readonly label: string;
  /** One per round; undefined when the trial failed. */
  readonly samples: readonly (Sample | undefined)[];
  readonly spreads: Readonly<Record<string, Spread>>;
  /** This arm's headline divided by that of the arm so named, per round. */
  readonly ratios: Readonly<Record<string, Spread>>;
}

export interface Row {
  readonly mode: WireMode;
  readonly workload: string;
  readonly headline: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly arms: readonly ArmResult[];
  /** Messages of failed trials. */
  readonly failures: readonly string[];
}

export interface AbbaOptions {
  readonly mode: WireMode;
  readonly rounds: number;
  readonly seconds: number;
  readonly pin: boolean;
  readonly progress: (line: string) => void;
}

const isNumber = (value: number | undefined): value is number => value !== undefined;

const spreadsOf = (workload: Workload, samples: readonly (Sample | undefined)[]): Record<string, Spread> => {
  const spreads: Record<string, Spread> = {};
  for (const metric of Object.keys(workload.metrics)) {
    const values = samples.map((sample) => sample?.[metric]).filter(isNumber);
    if (values.length > 0) spreads[metric] = spreadOf(values);
  }
  return spreads;
};

/** Arms that others are measured against: the yardsticks, and the first of equal ones. */
const isBase = (label: string): boolean => /^(floor|kernel)$/.test(label) || label.includes("@");

const ratiosOf = (
  headline: string,
  label: string,
  samples: ReadonlyMap<string, readonly (Sample | undefined)[]>,
): Record<string, Spread> => {
  const ratios: Record<string, Spread> = {};
  const mine = samples.get(label) ?? [];
  for (const [base, theirs] of samples) {
    if (base === label || !isBase(base)) continue;
    const values = mine.map((sample, round) => {
      const value = sample?.[headline];
      const other = theirs[round]?.[headline];
      return value === undefined || other === undefined || other === 0 ? undefined : value / other;
    });
    const known = values.filter(isNumber);
    if (known.length > 0) ratios[base] = spreadOf(known);
  }
  return ratios;
};

export const runAbba = async (workload: Workload, arms: readonly Arm[], options: AbbaOptions): Promise<Row> => {
  const samples = new Map<string, (Sample | undefined)[]>(arms.map((arm) => [arm.label, []]));
  const failures: string[] = [];
  const unit = workload.metrics[workload.headline];
  for (let round = 0; round < options.rounds; round++) {
    for (const arm of round % 2 === 0 ? arms : arms.toReversed()) {
      let sample: Sample | undefined;
      const where = `${options.mode} ${workload.name} round ${round + 1}/${options.rounds} ${arm.label}`;
      try {
        sample = await runTrial(arm, workload, options);
        options.progress(`${where}: ${sample[workload.headline]?.toFixed(unit?.digits)} ${unit?.unit}`);
      } catch (error) {
        failures.push(`${where}: ${(error as Error).message}`);
        options.progress(`${where}: FAILED: ${(error as Error).message}`);
      }
      samples.get(arm.label)?.push(sample);
    }
  }
  return {
    mode: options.mode,
    workload: workload.name,
    headline: workload.headline,
    metrics: workload.metrics,
    arms: arms.map(({ label }) => ({
      label,
      samples: samples.get(label) ?? [],
      spreads: spreadsOf(workload, samples.get(label) ?? []),
      ratios: ratiosOf(workload.headline, label, samples),
    })),
    failures,
  };
};
