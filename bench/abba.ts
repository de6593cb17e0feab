/**
 * Compares arms by alternating them: A B C, C B A, A B C, ... so that a drift of the machine (heat, a busy neighbour)
 * falls on all alike.
 */
import type { WireMode } from "../test/support/lab.ts";
import type { Arm } from "./arm.ts";
import { runTrial, type Trial } from "./trial.ts";
import { Unfit } from "./unfit.ts";
import type { Metric, Workload } from "./workload.ts";

export interface ArmTrials {
  readonly label: string;
  /** One per round; null when the trial failed. */
  readonly trials: readonly (Trial | null)[];
}

/** One workload on one kind of underlay, all arms: as it is written to JSON. */
export interface Row {
  readonly mode: WireMode;
  readonly id: string;
  readonly workload: string;
  readonly headline: string;
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Drops are no surprise. */
  readonly overload: boolean;
  readonly arms: readonly ArmTrials[];
  /** Arms that the workload is not for, with the reason. */
  readonly unfit: Readonly<Record<string, string>>;
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

/** An error carries all that a program said; the beginning tells what it was. */
const MAX_MESSAGE = 400;

const messageOf = (error: unknown): string => {
  const { message } = error as Error;
  return message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)} ...`;
};

/** A row in the making. */
class Alternation {
  readonly trials = new Map<string, (Trial | null)[]>();
  readonly unfit: Record<string, string> = {};
  readonly failures: string[] = [];
  private readonly workload: Workload;
  private readonly options: AbbaOptions;

  constructor(workload: Workload, options: AbbaOptions) {
    this.workload = workload;
    this.options = options;
  }

  async measure(arm: Arm, round: number): Promise<void> {
    const { workload, options } = this;
    if (this.unfit[arm.label] !== undefined) return;
    const where = `${options.mode} ${workload.name} round ${round + 1}/${options.rounds} ${arm.label}`;
    try {
      const trial = await runTrial(arm, workload, options);
      const unit = workload.metrics[workload.headline];
      options.progress(`${where}: ${trial.sample[workload.headline]?.toFixed(unit?.digits)} ${unit?.unit}`);
      this.add(arm, trial);
    } catch (error) {
      const message = messageOf(error);
      if (error instanceof Unfit) {
        this.unfit[arm.label] = message;
        options.progress(`${where}: left out: ${message}`);
        return;
      }
      this.failures.push(`${where}: ${message}`);
      options.progress(`${where}: FAILED: ${message}`);
      this.add(arm, null);
    }
  }

  private add(arm: Arm, trial: Trial | null): void {
    const trials = this.trials.get(arm.label) ?? [];
    trials.push(trial);
    this.trials.set(arm.label, trials);
  }
}

export const runAbba = async (workload: Workload, arms: readonly Arm[], options: AbbaOptions): Promise<Row> => {
  const alternation = new Alternation(workload, options);
  for (let round = 0; round < options.rounds; round++) {
    for (const arm of round % 2 === 0 ? arms : arms.toReversed()) await alternation.measure(arm, round);
  }
  const { trials, unfit, failures } = alternation;
  return {
    mode: options.mode,
    id: workload.id,
    workload: workload.name,
    headline: workload.headline,
    metrics: workload.metrics,
    overload: workload.overload ?? false,
    arms: arms.flatMap(({ label }) => (trials.has(label) ? [{ label, trials: trials.get(label) ?? [] }] : [])),
    unfit,
    failures,
  };
};
