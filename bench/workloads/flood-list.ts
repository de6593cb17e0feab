/** W9: broadcast frames of 64 bytes through a VTEP whose flood list has so many members; what counts is the copies. */
import { LEFT, OVERLAY_DEV, RIGHT, VXLAN_PORT } from "../arm.ts";
import { flood, innerHeaders, overlayMac, UNDERLAY_SKIP } from "../load.ts";
import { CPU_PER_FRAME, cpuPerFrame, type RunContext, type Sample, type Workload } from "../workload.ts";

const FRAME_BYTES = 64;
const WARMUP_S = 0.5;
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const UNDERLAY_PREFIX = "192.0.2.";
/** The right host's own address is .2, the others follow. */
const FIRST = 2;

const run = async (context: RunContext): Promise<Sample> => {
  const inner = { ...innerHeaders(LEFT, RIGHT, BROADCAST), "inner-src-mac": overlayMac(context.left) };
  const options = { dev: OVERLAY_DEV, ...inner, size: FRAME_BYTES, rate: 0 };
  const sink = { port: VXLAN_PORT, skip: UNDERLAY_SKIP };
  // The first copies wait for ARP.
  await flood(context, { verb: "tap-send", options }, WARMUP_S, sink);
  const { received, sent, seconds, cpu } = await flood(context, { verb: "tap-send", options }, context.seconds, sink);
  return { copies: received / seconds, offered: sent / seconds, ...cpuPerFrame(cpu, received) };
};

export const floodList = (remotes: number): Workload => ({
  id: "W9",
  name: `flood remotes=${remotes}`,
  topology: "sender",
  breadth: "core",
  setUp: { floodList: Array.from({ length: remotes }, (_, n) => `${UNDERLAY_PREFIX}${FIRST + n}`) },
  overload: true,
  headline: "copies",
  metrics: {
    copies: { unit: "datagrams/s", better: "higher", digits: 0 },
    offered: { unit: "frames/s", better: "higher", digits: 0, detail: true },
    ...CPU_PER_FRAME,
  },
  durationS: (seconds) => WARMUP_S + seconds + 0.7,
  run,
});
