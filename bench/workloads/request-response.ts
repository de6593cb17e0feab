/** W6: one byte there, one byte back, one at a time: on an idle overlay, and beside a TCP stream at half its full rate. */
import { bare, RIGHT } from "../arm.ts";
import { holdStream, runStreams, WARMUP_S } from "../iperf.ts";
import { runLoad, spawnLoad } from "../load.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const PORT = 5002;
/** More than fit into a second: a round trip takes 30 to 150 us. */
const MAX_PER_SECOND = 50_000;
const WARMUP = 2000;
/** Length of the stream that finds the full rate. */
const FIND_RATE_S = 1;

const roundTrips = async (context: RunContext, proto: "tcp" | "udp"): Promise<Sample> => {
  const server = spawnLoad(context, context.right, "rr-server", { port: PORT });
  await server.waitForOutput(/^ready/m);
  const count = Math.ceil(MAX_PER_SECOND * context.seconds);
  const to = { proto, to: bare(RIGHT.overlay), port: PORT };
  const client = spawnLoad(context, context.left, "rr-client", {
    ...to,
    count,
    seconds: context.seconds,
    warmup: WARMUP,
  });
  // The warm-up is counted, not timed, and under load it is slow.
  const result = await runLoad(client, context.seconds + 20);
  await server.stop();
  const { p50Us = 0, p99Us = 0, p999Us = 0, minUs = 0, meanUs = 0, lost = 0 } = result;
  return { p50: p50Us, p99: p99Us, "p99.9": p999Us, min: minUs, mean: meanUs, lost };
};

const besideStream = async (context: RunContext, proto: "tcp" | "udp"): Promise<Sample> => {
  const { throughput } = await runStreams(context, FIND_RATE_S);
  const release = await holdStream(context, (throughput * 1e9) / 2);
  const sample = await roundTrips(context, proto);
  await release();
  return { ...sample, stream: throughput / 2 };
};

const US = { unit: "us", better: "lower", digits: 1 } as const;
const DETAIL_US = { ...US, detail: true } as const;

const COMMON = {
  id: "W6",
  topology: "pair",
  headline: "p50",
  metrics: {
    p50: US,
    p99: US,
    "p99.9": US,
    min: DETAIL_US,
    mean: DETAIL_US,
    lost: { unit: "answers", better: "lower", digits: 0, detail: true },
  },
} as const satisfies Partial<Workload>;

export const requestResponse = (proto: "tcp" | "udp"): Workload => ({
  ...COMMON,
  name: `request-response proto=${proto}`,
  breadth: "context",
  durationS: (seconds) => seconds + 0.6,
  run: (context) => roundTrips(context, proto),
});

export const loadedRequestResponse = (proto: "tcp" | "udp"): Workload => ({
  ...COMMON,
  name: `request-response proto=${proto} stream=50%`,
  breadth: "core",
  metrics: { ...COMMON.metrics, stream: { unit: "Gbit/s", better: "higher", digits: 2 } },
  durationS: (seconds) => seconds + FIND_RATE_S + 2 * WARMUP_S + 2,
  run: (context) => besideStream(context, proto),
});
