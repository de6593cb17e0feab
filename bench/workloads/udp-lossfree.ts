/** W4: the highest rate at which no more than 0.1 % of the frames are lost, by binary search, across both VTEPs. */
import { flood, overlayGenerator } from "../load.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const LOSS_LIMIT = 0.001;
/** Each halves the bracket. */
const STEPS = 7;
const MIN_TRIAL_S = 0.5;
/** A generator that cannot keep the asked rate has not shown that the VTEP can. */
const KEPT_RATE = 0.98;

const trialS = (seconds: number): number => Math.max(MIN_TRIAL_S, seconds / 3);

const run = async (context: RunContext, frame: number): Promise<Sample> => {
  const offer = (rate: number) =>
    flood(context, overlayGenerator({ size: frame, rate: rate.toFixed(0) }), trialS(context.seconds));
  const saturated = await offer(0);
  let low = 0;
  // Less disturbed by the generator, a VTEP can carry more than at saturation.
  let high = 2 * (saturated.received / saturated.seconds);
  for (let step = 0; step < STEPS; step++) {
    const rate = (low + high) / 2;
    const { sent, seconds, loss } = await offer(rate);
    const kept = sent >= KEPT_RATE * rate * seconds;
    if (kept && loss <= LOSS_LIMIT) low = rate;
    else high = rate;
  }
  return { rate: low };
};

export const udpLossfree = (frame: number): Workload => ({
  id: "W4",
  name: `udp-lossfree frame=${frame} loss<=0.1%`,
  topology: "pair",
  breadth: "core",
  overload: true,
  headline: "rate",
  metrics: { rate: { unit: "frames/s", better: "higher", digits: 0 } },
  durationS: (seconds) => (STEPS + 1) * (trialS(seconds) + 0.25),
  run: (context) => run(context, frame),
});
