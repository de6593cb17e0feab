/** The C load programs, called: a flood from one host to the other and what arrived of it. */
import { fileURLToPath } from "node:url";
import type { Child } from "../test/support/child.ts";
import type { Host } from "../test/support/host.ts";
import { sleep } from "../test/support/wait-for.ts";
import { bare, type LEFT, OVERLAY_DEV, RIGHT } from "./arm.ts";
import type { CpuUse } from "./cpu-time.ts";
import type { RunContext } from "./workload.ts";

export const LOAD_PROGRAM: string = fileURLToPath(new URL("./build/load", import.meta.url));

/** UDP port of the sink. */
export const SINK_PORT = 5001;
/** A sink on the underlay finds the probe behind VXLAN 8, Ethernet 14, IPv4 20, UDP 8. */
export const UNDERLAY_SKIP = 50;
/** Frames on their way when the generator stops get this long to arrive. */
const DRAIN_MS = 150;
const GRACE_MS = 10_000;

export type LoadOptions = Readonly<Record<string, string | number | boolean>>;

/** { size: 64, gso: true, imix: false } -> --size 64 --gso */
export const loadArgs = (options: LoadOptions): string[] =>
  Object.entries(options).flatMap(([key, value]) => {
    if (value === false) return [];
    return value === true ? [`--${key}`] : [`--${key}`, String(value)];
  });

export const spawnLoad = (context: RunContext, host: Host, verb: string, options: LoadOptions): Child => {
  const [command, ...rest] = context.place([LOAD_PROGRAM, verb, ...loadArgs(options)]);
  return host.spawn(command, rest);
};

/** The JSON line a load program ends with. */
export const loadResult = (child: Child): Record<string, number> => {
  const line = child.stdout.split("\n").find((text) => text.startsWith("{"));
  if (line === undefined) throw new Error(`\`${child.command}\` printed no result:\n${child.stdout}${child.stderr}`);
  return JSON.parse(line);
};

/** Runs a load program that ends by itself. @throws Error when it fails or takes longer than `seconds` and some. */
export const runLoad = async (child: Child, seconds: number): Promise<Record<string, number>> => {
  const status = await child.wait(seconds * 1000 + GRACE_MS);
  if (status.code !== 0) throw new Error(`\`${child.command}\` failed:\n${child.stderr}`);
  return loadResult(child);
};

/** Inner headers of ready-made frames from a host's overlay address to the other's. */
export const innerHeaders = (from: typeof LEFT, to: typeof LEFT, destinationMac: string): LoadOptions => ({
  "inner-src-mac": from.mac,
  "inner-dst-mac": destinationMac,
  "inner-src": bare(from.overlay),
  "inner-dst": bare(to.overlay),
  "inner-port": SINK_PORT,
});

/** The MAC of a host's overlay device: not every arm lets us choose it. */
export const overlayMac = (host: Host): string => String(host.ipJson("link", "show", OVERLAY_DEV)[0].address);

export interface Generator {
  readonly verb: "udp-send" | "vxlan-send" | "tap-send";
  readonly options: LoadOptions;
}

/** udp-send out of the left host to the sink on the right one, over the overlay. */
export const overlayGenerator = (options: LoadOptions): Generator => ({
  verb: "udp-send",
  options: { to: bare(RIGHT.overlay), port: SINK_PORT, ...options },
});

export interface Flood {
  readonly sent: number;
  readonly received: number;
  /** Of the Ethernet frames inside the overlay that arrived. */
  readonly receivedBytes: number;
  /** Of sending. */
  readonly seconds: number;
  /** Share of the frames sent that did not arrive, 0..1. */
  readonly loss: number;
  readonly reordered: number;
  /** Frames that arrived and that the sink was too slow to take. */
  readonly sinkOverflow: number;
  /** One-way delay from the generator to the sink, microseconds. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly cpu: CpuUse;
}

/** Runs a generator on the left host against a fresh sink on the right one. */
export const flood = async (
  context: RunContext,
  { verb, options }: Generator,
  seconds: number,
  sinkOptions: LoadOptions = { port: SINK_PORT },
): Promise<Flood> => {
  const sink = spawnLoad(context, context.right, "udp-sink", sinkOptions);
  await sink.waitForOutput(/^ready/m);
  const stop = context.measure();
  const source = await runLoad(spawnLoad(context, context.left, verb, { ...options, seconds }), seconds);
  const cpu = stop();
  await sleep(DRAIN_MS);
  await sink.stop();
  const { sent = 0, seconds: took = seconds } = source;
  const { received = 0, bytes = 0, reordered = 0, sinkOverflow = 0, p50Us = 0, p99Us = 0 } = loadResult(sink);
  const loss = sent === 0 ? 1 : 1 - received / sent;
  return { sent, received, receivedBytes: bytes, seconds: took, loss, reordered, sinkOverflow, p50Us, p99Us, cpu };
};
