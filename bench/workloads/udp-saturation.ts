/**
 * W4 at saturation: an open-loop flood; what counts is what arrives.
 *
 * `udpSaturation` crosses both VTEPs: the generator, two VTEPs and the sink share the CPUs, and the sending VTEP may be
 * the limit. In `receiveSaturation` ready-made VXLAN datagrams come over the wire, so only the receiving VTEP can be.
 */
import { sleep } from "../../test/support/wait-for.ts";
import { LEFT, RIGHT, VNI, VXLAN_PORT } from "../arm.ts";
import { type Flood, flood, type Generator, innerHeaders, overlayGenerator, overlayMac } from "../load.ts";
import { type Breadth, CPU_PER_FRAME, cpuPerFrame, type RunContext, type Sample, type Workload } from "../workload.ts";

const DRAIN_MS = 300;
const WARMUP_S = 0.5;

const COMMON = {
  id: "W4",
  overload: true,
  headline: "received",
  metrics: {
    received: { unit: "frames/s", better: "higher", digits: 0 },
    offered: { unit: "frames/s", better: "higher", digits: 0, detail: true },
    ...CPU_PER_FRAME,
    reordered: { unit: "frames", better: "lower", digits: 0, detail: true },
    "sink overflow": { unit: "frames", better: "lower", digits: 0, detail: true },
  },
  durationS: (seconds) => WARMUP_S + seconds + 0.6,
} as const satisfies Partial<Workload>;

const sampleOf = (result: Flood): Sample => ({
  received: result.received / result.seconds,
  offered: result.sent / result.seconds,
  ...cpuPerFrame(result.cpu, result.received),
  reordered: result.reordered,
  "sink overflow": result.sinkOverflow,
});

const floodTwice = async (context: RunContext, generator: Generator): Promise<Sample> => {
  await flood(context, generator, WARMUP_S);
  // What is still in queues would be taken for frames of the next flood, whose sequence numbers begin again.
  await sleep(DRAIN_MS);
  return sampleOf(await flood(context, generator, context.seconds));
};

export const udpSaturation = (frame: number, breadth: Breadth): Workload => ({
  ...COMMON,
  name: `udp-saturation frame=${frame}`,
  topology: "pair",
  breadth,
  run: (context) => floodTwice(context, overlayGenerator({ size: frame, rate: 0 })),
});

export const receiveSaturation = (frame: number, breadth: Breadth): Workload => ({
  ...COMMON,
  name: `receive-saturation frame=${frame}`,
  topology: "receiver",
  breadth,
  run: (context) => {
    const inner = innerHeaders(LEFT, RIGHT, overlayMac(context.right));
    const options = { to: RIGHT.local, port: VXLAN_PORT, vni: VNI, ...inner, size: frame, rate: 0, gso: true };
    return floodTwice(context, { verb: "vxlan-send", options });
  },
});
