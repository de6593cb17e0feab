/**
 * W5: UDP datagrams of 1372 bytes that the application hands to the kernel 47 at a time (UDP_SEGMENT). With `uso=on` a
 * TAP that offers it passes them on as one superframe; with `uso=off` the kernel segments before the device.
 */
import { OVERLAY_DEV } from "../arm.ts";
import { flood, overlayGenerator } from "../load.ts";
import { Unfit } from "../unfit.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const PAYLOAD_BYTES = 1372;
/** Ethernet 14, IPv4 20, UDP 8. */
const FRAME_BYTES = PAYLOAD_BYTES + 42;
const WARMUP_S = 0.5;
const FEATURE = "tx-udp-segmentation";

const turnUsoOff = ({ left }: RunContext): void => {
  const features = left.run("ethtool", ["-k", OVERLAY_DEV]);
  if (!features.includes(`${FEATURE}: on`)) throw new Unfit("it has no USO to turn off");
  left.run("ethtool", ["-K", OVERLAY_DEV, FEATURE, "off"]);
};

const run = async (context: RunContext, uso: "on" | "off"): Promise<Sample> => {
  if (uso === "off") turnUsoOff(context);
  const generator = overlayGenerator({ size: FRAME_BYTES, rate: 0, gso: true });
  await flood(context, generator, WARMUP_S);
  const { received, seconds, cpu, sent, sinkOverflow } = await flood(context, generator, context.seconds);
  const payloadBits = 8 * PAYLOAD_BYTES;
  const gigabytes = (received * PAYLOAD_BYTES) / 1e9;
  return {
    goodput: (received * payloadBits) / seconds / 1e9,
    offered: (sent * payloadBits) / seconds / 1e9,
    ...(cpu.vtepS === undefined || received === 0 ? {} : { "VTEP CPU per GB": cpu.vtepS / gigabytes }),
    "sink overflow": sinkOverflow,
  };
};

export const udpGso = (uso: "on" | "off"): Workload => ({
  id: "W5",
  name: `udp-gso payload=${PAYLOAD_BYTES} uso=${uso}`,
  topology: "pair",
  breadth: uso === "on" ? "tiers" : "core",
  overload: true,
  headline: "goodput",
  metrics: {
    goodput: { unit: "Gbit/s", better: "higher", digits: 2 },
    offered: { unit: "Gbit/s", better: "higher", digits: 2, detail: true },
    "VTEP CPU per GB": { unit: "s", better: "lower", digits: 2 },
    "sink overflow": { unit: "frames", better: "lower", digits: 0, detail: true },
  },
  durationS: (seconds) => WARMUP_S + seconds + 0.6,
  run: (context) => run(context, uso),
});
