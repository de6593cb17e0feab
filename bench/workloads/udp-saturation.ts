/**
 * W4 at saturation: an open-loop flood; what counts is what arrives.
 *
 * `udpSaturation` crosses both VTEPs: the generator, two VTEPs and the sink share the CPUs, and the sending VTEP may be
 * the limit. In `receiveSaturation` ready-made VXLAN datagrams come over the wire, so only the receiving VTEP can be.
 */
import { bare, LEFT, RIGHT, VNI, VXLAN_PORT } from "../arm.ts";
import { type Flood, flood, SINK_PORT } from "../load.ts";
import { CPU_PER_FRAME, cpuPerFrame, type RunContext, type Sample, type Workload } from "../workload.ts";

const WARMUP_S = 0.5;

const METRICS: Workload["metrics"] = {
  received: { unit: "frames/s", better: "higher", digits: 0 },
  offered: { unit: "frames/s", better: "higher", digits: 0, detail: true },
  ...CPU_PER_FRAME,
  reordered: { unit: "frames", better: "lower", digits: 0, detail: true },
  "sink overflow": { unit: "frames", better: "lower", digits: 0, detail: true },
};

const sampleOf = (result: Flood): Sample => ({
  received: result.received / result.seconds,
  offered: result.sent / result.seconds,
  ...cpuPerFrame(result.cpu, result.received),
  reordered: result.reordered,
  "sink overflow": result.sinkOverflow,
});

const floodTwice = async (context: RunContext, generator: readonly string[]): Promise<Sample> => {
  await flood(context, generator, WARMUP_S);
  return sampleOf(await flood(context, generator, context.seconds));
};

export const udpSaturation = (frame: number): Workload => ({
  name: `udp-saturation frame=${frame}`,
  topology: "pair",
  headline: "received",
  metrics: METRICS,
  run: (context) => {
    const to = ["--to", bare(RIGHT.overlay), "--port", String(SINK_PORT)];
    return floodTwice(context, ["udp-send", ...to, "--size", String(frame), "--rate", "0"]);
  },
});

export const receiveSaturation = (frame: number): Workload => ({
  name: `receive-saturation frame=${frame}`,
  topology: "receiver",
  headline: "received",
  metrics: METRICS,
  run: (context) => {
    const options = {
      to: RIGHT.local,
      port: VXLAN_PORT,
      vni: VNI,
      "inner-src-mac": LEFT.mac,
      // Read off the device: not every arm lets us choose it.
      "inner-dst-mac": String(context.right.ipJson("link", "show", "ov0")[0].address),
      "inner-src": bare(LEFT.overlay),
      "inner-dst": bare(RIGHT.overlay),
      "inner-port": SINK_PORT,
      size: frame,
      rate: 0,
    };
    const args = Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]);
    return floodTwice(context, ["vxlan-send", ...args, "--gso"]);
  },
});
