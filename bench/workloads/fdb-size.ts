/**
 * W8: frames of 64 bytes to MACs chosen at random out of an FDB of that size, through the sending VTEP. The other host
 * teaches the MACs to it first, by VXLAN datagrams with those inner sources, and then counts what comes.
 */
import { LEFT, OVERLAY_DEV, RIGHT, VNI, type Vtep, VXLAN_PORT } from "../arm.ts";
import { flood, innerHeaders, overlayMac, runLoad, spawnLoad, UNDERLAY_SKIP } from "../load.ts";
import { CPU_PER_FRAME, cpuPerFrame, type RunContext, type Sample, type Workload } from "../workload.ts";

const FRAME_BYTES = 64;
const WARMUP_S = 0.5;
/** Frames/s of teaching at most: what a VTEP can take beside the generator on few CPUs. */
const TEACHING_RATE = 150_000;
/** A lesson may take so many times as long: the kernel learns in the generator's own time. */
const LESSON_PATIENCE = 5;
const MAX_LESSONS = 4;
/** Of the MACs taught, known in the end. A frame to another MAC goes to the same remote VTEP by flooding. */
const KNOWN_SHARE = 0.995;
/** A MAC of nobody: the frames that teach are not for the host itself. */
const NOBODY = "02:00:00:00:00:99";
/** Entries of the FDB beside those taught: flood list, multicast, the hosts' own. */
const SPARE = 64;

const teach = async (context: RunContext, { control }: Vtep, macs: number): Promise<number> => {
  // A VTEP without FDB sends everything to its one remote VTEP: the row it makes is the cost of the frames themselves.
  if (control === undefined) return 0;
  const inner = innerHeaders(RIGHT, LEFT, NOBODY);
  const seconds = 1 + LESSON_PATIENCE * (macs / TEACHING_RATE);
  const lesson = { macs, count: macs, rate: TEACHING_RATE, size: FRAME_BYTES, seconds };
  const options = { to: LEFT.local, port: VXLAN_PORT, vni: VNI, ...inner, ...lesson };
  for (let given = 0; given < MAX_LESSONS; given++) {
    await runLoad(spawnLoad(context, context.right, "vxlan-send", options), seconds);
    const known = await control.fdbEntries();
    if (known >= KNOWN_SHARE * macs) return known;
  }
  throw new Error(`of ${macs} MACs taught ${MAX_LESSONS} times it knows ${await control.fdbEntries()}`);
};

const run = async (context: RunContext, macs: number): Promise<Sample> => {
  const { left, leftVtep } = context;
  if (leftVtep === undefined) throw new Error("no VTEP on the left");
  const entries = await teach(context, leftVtep, macs);
  const inner = { ...innerHeaders(LEFT, RIGHT, NOBODY), "inner-src-mac": overlayMac(left) };
  const options = { dev: OVERLAY_DEV, ...inner, macs, size: FRAME_BYTES, rate: 0 };
  const sink = { port: VXLAN_PORT, skip: UNDERLAY_SKIP };
  await flood(context, { verb: "tap-send", options }, WARMUP_S, sink);
  const { received, sent, seconds, cpu } = await flood(context, { verb: "tap-send", options }, context.seconds, sink);
  return { sent: received / seconds, offered: sent / seconds, ...cpuPerFrame(cpu, received), "FDB entries": entries };
};

export const fdbSize = (macs: number): Workload => ({
  id: "W8",
  name: `fdb-random-destination entries=${macs}`,
  topology: "sender",
  breadth: "core",
  setUp: { fdbRoom: macs + SPARE },
  overload: true,
  headline: "sent",
  metrics: {
    sent: { unit: "frames/s", better: "higher", digits: 0 },
    offered: { unit: "frames/s", better: "higher", digits: 0, detail: true },
    ...CPU_PER_FRAME,
    "FDB entries": { unit: "entries", better: "higher", digits: 0, detail: true },
  },
  durationS: (seconds) => WARMUP_S + seconds + 0.7 + (1.4 * macs) / TEACHING_RATE,
  run: (context) => run(context, macs),
});
