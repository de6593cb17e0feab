/** W7: frames of 64, 576 and 1464 bytes, 7:4:1, at 70 % of what the arm carries of them at most: is anything lost, and how late is the rest? */
import { OVERLAY_MTU } from "../arm.ts";
import { flood, overlayGenerator } from "../load.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

/** The largest frame: overlay MTU and Ethernet header. */
const LARGE = OVERLAY_MTU + 14;
const SHARE = 0.7;
const FIND_MAX_S = 1;
const WARMUP_S = 0.3;

const run = async (context: RunContext): Promise<Sample> => {
  const offer = (rate: number, seconds: number) =>
    flood(context, overlayGenerator({ size: LARGE, rate: rate.toFixed(0), imix: true }), seconds);
  await offer(0, WARMUP_S);
  const most = await offer(0, FIND_MAX_S);
  const rate = SHARE * (most.received / most.seconds);
  const result = await offer(rate, context.seconds);
  return {
    p99: result.p99Us,
    p50: result.p50Us,
    loss: 100 * result.loss,
    rate: result.received / result.seconds,
    bits: (8 * result.receivedBytes) / result.seconds / 1e9,
  };
};

export const imix: Workload = {
  id: "W7",
  name: "imix rate=70%",
  topology: "pair",
  breadth: "context",
  // To find the maximum it must be passed.
  overload: true,
  headline: "p99",
  metrics: {
    p99: { unit: "us one way", better: "lower", digits: 0 },
    p50: { unit: "us one way", better: "lower", digits: 0 },
    loss: { unit: "%", better: "lower", digits: 3 },
    rate: { unit: "frames/s", better: "higher", digits: 0 },
    bits: { unit: "Gbit/s", better: "higher", digits: 2, detail: true },
  },
  durationS: (seconds) => WARMUP_S + FIND_MAX_S + seconds + 0.9,
  run,
};
