/** TCP streams by iperf3 from the left host to the right one, measured as a whole. */
import type { Child } from "../test/support/child.ts";
import { sleep } from "../test/support/wait-for.ts";
import { bare, RIGHT } from "./arm.ts";
import type { CpuUse } from "./cpu-time.ts";
import type { RunContext } from "./workload.ts";

/** Slow start and a JIT's warm-up are not what is measured. */
export const WARMUP_S = 1;
const GRACE_MS = 15_000;
const CONNECT_MS = 5000;

export interface StreamOptions {
  readonly streams?: number;
  /** As many streams again in the other direction. */
  readonly bothWays?: boolean;
}

export interface Streams {
  /** Received at both ends together, Gbit/s. */
  readonly throughput: number;
  /** Of each stream, bit/s. */
  readonly perStream: readonly number[];
  readonly retransmits: number;
  readonly cpu: CpuUse;
}

interface Sum {
  readonly bits_per_second: number;
  readonly retransmits?: number;
}

interface Report {
  readonly error?: string;
  readonly end: {
    readonly sum_received: Sum;
    readonly sum_sent: Sum;
    readonly sum_received_bidir_reverse?: Sum;
    readonly sum_sent_bidir_reverse?: Sum;
    readonly streams: readonly { readonly receiver: Sum }[];
  };
}

const serve = async ({ right, place }: RunContext): Promise<Child> => {
  const command = ["iperf3", "--server", "--one-off", "--bind", bare(RIGHT.overlay), "--forceflush"];
  const [program, ...args] = place(command);
  const server = right.spawn(program, args);
  await server.waitForOutput(/Server listening/);
  return server;
};

const connect = ({ left, place }: RunContext, words: readonly string[]): Child => {
  const command = ["iperf3", "--client", bare(RIGHT.overlay), "--connect-timeout", String(CONNECT_MS), ...words];
  const [program, ...args] = place(command);
  return left.spawn(program, args);
};

/** The client says nothing before its end; a lost SYN makes it begin a second or three late. */
const begun = (server: Child): Promise<unknown> => server.waitForOutput(/ connected to /, 2 * CONNECT_MS);

/** iperf3 knows whole seconds only, and takes 0 for "for ever". */
export const streamSeconds = (seconds: number): number => Math.max(1, Math.round(seconds));

/** Takes `streamSeconds` and a warm-up. @throws Error when iperf3 does */
export const runStreams = async (
  context: RunContext,
  seconds: number,
  { streams = 1, bothWays = false }: StreamOptions = {},
): Promise<Streams> => {
  const server = await serve(context);
  const measuredS = streamSeconds(seconds);
  const time = ["--time", String(measuredS), "--omit", String(WARMUP_S), "--parallel", String(streams)];
  const client = connect(context, ["--json", ...time, ...(bothWays ? ["--bidir"] : [])]);
  await begun(server);
  await sleep(WARMUP_S * 1000);
  const stop = context.measure();
  await sleep(measuredS * 1000);
  const cpu = stop();
  await client.wait(GRACE_MS);
  await server.stop();
  const report = JSON.parse(client.stdout) as Report;
  if (report.error !== undefined) throw new Error(`iperf3: ${report.error}`);
  const { end } = report;
  const back = end.sum_received_bidir_reverse?.bits_per_second ?? 0;
  return {
    throughput: (end.sum_received.bits_per_second + back) / 1e9,
    perStream: end.streams.map(({ receiver }) => receiver.bits_per_second),
    retransmits: (end.sum_sent.retransmits ?? 0) + (end.sum_sent_bidir_reverse?.retransmits ?? 0),
    cpu,
  };
};

/** One stream held at a rate, bit/s, until the result is called. */
export const holdStream = async (context: RunContext, rate: number): Promise<() => Promise<void>> => {
  const server = await serve(context);
  const client = connect(context, ["--time", "3600", "--bitrate", rate.toFixed(0)]);
  await begun(server);
  await sleep(WARMUP_S * 1000);
  if (!client.running) throw new Error(`iperf3 ended at once: ${client.stdout}${client.stderr}`);
  return async () => {
    const held = client.running;
    await client.stop();
    await server.stop();
    if (!held) throw new Error(`the stream broke off: ${client.stdout}${client.stderr}`);
  };
};
