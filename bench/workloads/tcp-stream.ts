/** W1: one TCP stream by iperf3, left to right. */
import { sleep } from "../../test/support/wait-for.ts";
import { bare, RIGHT } from "../arm.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

/** Slow start and a JIT's warm-up are not what is measured. */
const WARMUP_S = 1;
const GRACE_MS = 15_000;

interface Report {
  readonly error?: string;
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number; readonly bytes: number; readonly seconds: number };
    readonly sum_sent: { readonly retransmits: number };
  };
}

const run = async ({ left, right, seconds, place, measure }: RunContext): Promise<Sample> => {
  const address = bare(RIGHT.overlay);
  const [serve, ...serveArgs] = place(["iperf3", "--server", "--one-off", "--bind", address, "--forceflush"]);
  const server = right.spawn(serve, serveArgs);
  await server.waitForOutput(/Server listening/);
  const time = ["--time", String(seconds), "--omit", String(WARMUP_S)];
  const [command, ...args] = place(["iperf3", "--client", address, "--json", "--connect-timeout", "5000", ...time]);
  const client = left.spawn(command, args);
  await sleep(WARMUP_S * 1000);
  const stop = measure();
  await sleep(seconds * 1000);
  const cpu = stop();
  await client.wait(GRACE_MS);
  await server.stop();
  const report = JSON.parse(client.stdout) as Report;
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  const { bits_per_second: rate } = report.end.sum_received;
  const gigabytes = (rate * seconds) / 8e9;
  return {
    throughput: rate / 1e9,
    ...(cpu.vtepS === undefined ? {} : { "VTEP CPU per GB": cpu.vtepS / gigabytes }),
    "machine CPU per GB": cpu.machineS / gigabytes,
    retransmits: report.end.sum_sent.retransmits,
  };
};

export const tcpStream: Workload = {
  name: "tcp-stream streams=1",
  topology: "pair",
  headline: "throughput",
  metrics: {
    throughput: { unit: "Gbit/s", better: "higher", digits: 2 },
    "VTEP CPU per GB": { unit: "s", better: "lower", digits: 2 },
    "machine CPU per GB": { unit: "s", better: "lower", digits: 2 },
    retransmits: { unit: "segments", better: "lower", digits: 0, detail: true },
  },
  run,
};
