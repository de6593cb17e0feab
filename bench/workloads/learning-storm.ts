/**
 * W9: datagrams whose inner source MAC is a new one each time, through the receiving VTEP. It must learn or refuse each,
 * carry the frame all the same, and still answer on its control interface.
 */
import { LEFT, RIGHT, VNI, VXLAN_PORT } from "../arm.ts";
import { type Flood, flood, innerHeaders, overlayMac } from "../load.ts";
import { CPU_PER_FRAME, cpuPerFrame, type RunContext, type Sample, type Workload } from "../workload.ts";

const FRAME_BYTES = 64;
/** More than a storm of some seconds has frames. */
const MACS = 1 << 24;
const ASK_EVERY_MS = 50;

/** Asks again and again while `storm` lasts. Returns the longest time to an answer, ms; undefined when nobody can be asked. */
const longestWait = async ({ rightVtep }: RunContext, storm: Promise<Flood>): Promise<number | undefined> => {
  const ask = rightVtep?.control?.ask;
  if (ask === undefined) return undefined;
  let over = false;
  const stop = (): void => {
    over = true;
  };
  storm.then(stop, stop);
  let longestMs = 0;
  while (!over) {
    const start = performance.now();
    await ask();
    longestMs = Math.max(longestMs, performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
  }
  return longestMs;
};

const run = async (context: RunContext): Promise<Sample> => {
  const inner = innerHeaders(LEFT, RIGHT, overlayMac(context.right));
  const options = { to: RIGHT.local, port: VXLAN_PORT, vni: VNI, ...inner, macs: MACS, size: FRAME_BYTES, rate: 0 };
  const storm = flood(context, { verb: "vxlan-send", options: { ...options, gso: true } }, context.seconds);
  const wait = await longestWait(context, storm);
  const { received, sent, seconds, cpu } = await storm;
  const entries = await context.rightVtep?.control?.fdbEntries();
  return {
    received: received / seconds,
    offered: sent / seconds,
    ...cpuPerFrame(cpu, received),
    ...(wait === undefined ? {} : { "longest control answer": wait }),
    ...(entries === undefined ? {} : { "FDB entries": entries }),
  };
};

export const learningStorm: Workload = {
  id: "W9",
  name: "learning-storm frame=64",
  topology: "receiver",
  breadth: "core",
  overload: true,
  headline: "received",
  metrics: {
    received: { unit: "frames/s", better: "higher", digits: 0 },
    offered: { unit: "frames/s", better: "higher", digits: 0, detail: true },
    ...CPU_PER_FRAME,
    "longest control answer": { unit: "ms", better: "lower", digits: 1 },
    "FDB entries": { unit: "entries", better: "higher", digits: 0 },
  },
  durationS: (seconds) => seconds + 1,
  run,
};
