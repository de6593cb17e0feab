/** What a run is going to do, and about how long that takes. */
import type { WireMode } from "../test/support/lab.ts";
import type { Arm } from "./arm.ts";
import { misfit } from "./misfit.ts";
import type { Workload } from "./workload.ts";

/** Namespaces, wire, two VTEPs, a ping, and taking it all down again. */
const TRIAL_OVERHEAD_S = 0.7;

export interface Step {
  readonly mode: WireMode;
  readonly workload: Workload;
  readonly arms: readonly Arm[];
}

/** What is only found out when an arm starts (Unfit) is counted all the same. */
export const estimateS = (steps: readonly Step[], rounds: number, seconds: number): number =>
  steps.reduce((sum, { mode, workload, arms }) => {
    const fit = arms.filter((arm) => misfit(arm, workload, mode) === undefined);
    return sum + rounds * fit.length * (TRIAL_OVERHEAD_S + workload.durationS(seconds));
  }, 0);

/** "95 s", "12 min" */
export const durationText = (seconds: number): string =>
  seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
