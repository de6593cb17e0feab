/** The C load programs, called: a flood from left to right and what arrived of it. */
import { fileURLToPath } from "node:url";
import type { Child } from "../test/support/child.ts";
import type { Host } from "../test/support/host.ts";
import { sleep } from "../test/support/wait-for.ts";
import type { CpuUse } from "./cpu-time.ts";
import type { RunContext } from "./workload.ts";

export const LOAD_PROGRAM: string = fileURLToPath(new URL("./build/load", import.meta.url));

/** UDP port of the sink. */
export const SINK_PORT = 5001;
/** Frames on their way when the generator stops get this long to arrive. */
const DRAIN_MS = 150;
const GRACE_MS = 10_000;

export const spawnLoad = (context: RunContext, host: Host, args: readonly string[]): Child => {
  const [command, ...rest] = context.place([LOAD_PROGRAM, ...args]);
  return host.spawn(command, rest);
};

/** The JSON line a load program ends with. */
export const loadResult = (child: Child): Record<string, number> => {
  const line = child.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`\`${child.command}\` printed no result:\n${child.stdout}${child.stderr}`);
  return JSON.parse(line);
};

export interface Flood {
  readonly sent: number;
  readonly received: number;
  /** Of sending. */
  readonly seconds: number;
  /** Share of the frames sent that did not arrive, 0..1. */
  readonly loss: number;
  readonly reordered: number;
  /** Frames that arrived and that the sink was too slow to take. */
  readonly sinkOverflow: number;
  readonly cpu: CpuUse;
}

/** Runs a generator on the left host with the given arguments against a fresh sink on the right one. */
export const flood = async (context: RunContext, generator: readonly string[], seconds: number): Promise<Flood> => {
  const sink = spawnLoad(context, context.right, ["udp-sink", "--port", String(SINK_PORT)]);
  await sink.waitForOutput(/^ready/m);
  const stop = context.measure();
  const source = spawnLoad(context, context.left, [...generator, "--seconds", String(seconds)]);
  const status = await source.wait(seconds * 1000 + GRACE_MS);
  const cpu = stop();
  await sleep(DRAIN_MS);
  await sink.stop();
  if (status.code !== 0) throw new Error(`\`${source.command}\` failed:\n${source.stderr}`);
  const { sent = 0, seconds: took = seconds } = loadResult(source);
  const { received = 0, reordered = 0, sinkOverflow = 0 } = loadResult(sink);
  return { sent, received, seconds: took, loss: sent === 0 ? 1 : 1 - received / sent, reordered, sinkOverflow, cpu };
};
