/** W1 to W3: TCP streams by iperf3. */
import { runStreams, type StreamOptions, streamSeconds, WARMUP_S } from "../iperf.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const JUMBO = { overlayMtu: 8950, underlayMtu: 9000 };

/** Jain's fairness index: 1 = all streams alike, 1/n = one has it all. */
export const fairness = (rates: readonly number[]): number => {
  const sum = rates.reduce((total, rate) => total + rate, 0);
  const squares = rates.reduce((total, rate) => total + rate * rate, 0);
  return squares === 0 ? 0 : (sum * sum) / (rates.length * squares);
};

const run = async (context: RunContext, options: StreamOptions): Promise<Sample> => {
  const { throughput, perStream, retransmits, cpu } = await runStreams(context, context.seconds, options);
  const gigabytes = (throughput * streamSeconds(context.seconds)) / 8;
  return {
    throughput,
    ...(cpu.vtepS === undefined ? {} : { "VTEP CPU per GB": cpu.vtepS / gigabytes }),
    "machine CPU per GB": cpu.machineS / gigabytes,
    retransmits,
    ...(perStream.length > 1 ? { fairness: fairness(perStream) } : {}),
  };
};

const COMMON = {
  topology: "pair",
  headline: "throughput",
  metrics: {
    throughput: { unit: "Gbit/s", better: "higher", digits: 2 },
    "VTEP CPU per GB": { unit: "s", better: "lower", digits: 2 },
    "machine CPU per GB": { unit: "s", better: "lower", digits: 2 },
    retransmits: { unit: "segments", better: "lower", digits: 0 },
  },
  durationS: (seconds) => WARMUP_S + streamSeconds(seconds) + 0.5,
} as const satisfies Partial<Workload>;

const FAIRNESS = { fairness: { unit: "of 1", better: "higher", digits: 2 } } as const;

export const tcpStream: Workload = {
  ...COMMON,
  id: "W1",
  name: "tcp-stream streams=1",
  breadth: "tiers",
  run: (context) => run(context, {}),
};

export const tcpStreams: Workload = {
  ...COMMON,
  id: "W2",
  name: "tcp-stream streams=8",
  breadth: "context",
  metrics: { ...COMMON.metrics, ...FAIRNESS },
  run: (context) => run(context, { streams: 8 }),
};

export const tcpBothWays: Workload = {
  ...COMMON,
  id: "W2",
  name: "tcp-stream streams=1 both-ways",
  breadth: "core",
  metrics: { ...COMMON.metrics, ...FAIRNESS },
  run: (context) => run(context, { bothWays: true }),
};

export const tcpJumbo: Workload = {
  ...COMMON,
  id: "W3",
  name: "tcp-stream streams=1 mtu=8950",
  breadth: "core",
  setUp: JUMBO,
  run: (context) => run(context, {}),
};
