/** W4: the highest rate at which no more than 0.1 % of the frames are lost, by binary search, across both VTEPs. */
import { bare, RIGHT } from "../arm.ts";
import { flood, SINK_PORT } from "../load.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const LOSS_LIMIT = 0.001;
/** The search ends when the bracket is this share of its first width. */
const STEPS = 7;
const MIN_TRIAL_S = 0.5;
/** A generator that cannot keep the asked rate has not shown that the VTEP can. */
const KEPT_RATE = 0.98;

const run = async (context: RunContext, frame: number): Promise<Sample> => {
  const to = ["--to", bare(RIGHT.overlay), "--port", String(SINK_PORT), "--size", String(frame)];
  const trialS = Math.max(MIN_TRIAL_S, context.seconds / 3);
  const saturated = await flood(context, ["udp-send", ...to, "--rate", "0"], trialS);
  let low = 0;
  // Less disturbed by the generator, a VTEP can carry more than at saturation.
  let high = 2 * (saturated.received / saturated.seconds);
  for (let step = 0; step < STEPS; step++) {
    const rate = (low + high) / 2;
    const trial = await flood(context, ["udp-send", ...to, "--rate", rate.toFixed(0)], trialS);
    const kept = trial.sent >= KEPT_RATE * rate * trial.seconds;
    if (kept && trial.loss <= LOSS_LIMIT) low = rate;
    else high = rate;
  }
  return { rate: low };
};

export const udpLossfree = (frame: number): Workload => ({
  name: `udp-lossfree frame=${frame} loss<=0.1%`,
  topology: "pair",
  headline: "rate",
  metrics: { rate: { unit: "frames/s", better: "higher", digits: 0 } },
  run: (context) => run(context, frame),
});
