/**
 * W13: a host in between loses 1 % of the underlay's frames and delivers 1 % late. What TCP makes of it, and whether every
 * byte arrives as it was sent: the hashes of a second transfer are compared.
 */
import { transfer } from "../../test/support/transfer.ts";
import { bare, RIGHT } from "../arm.ts";
import { runStreams, WARMUP_S } from "../iperf.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const HASHED_BYTES = 16 << 20;
const TRANSFER_TIMEOUT_MS = 60_000;

const run = async (context: RunContext): Promise<Sample> => {
  const { throughput, retransmits } = await runStreams(context, context.seconds);
  const address = bare(RIGHT.overlay);
  const { sent, received } = await transfer(context.left, context.right, address, HASHED_BYTES, TRANSFER_TIMEOUT_MS);
  if (sent !== received) throw new Error(`CORRUPTED: SHA-256 ${sent} was sent and ${received} was received`);
  const { dropped = 0, reordered = 0 } = (await context.stopRelay?.()) ?? {};
  if (dropped === 0 || reordered === 0) throw new Error("the relay lost or delayed nothing: this was no bad wire");
  return { throughput, retransmits, "intact bytes": HASHED_BYTES, dropped, reordered };
};

export const badWire: Workload = {
  id: "W13",
  name: "tcp-stream loss=1% reordered=1%",
  topology: "relayed",
  breadth: "context",
  headline: "throughput",
  metrics: {
    throughput: { unit: "Gbit/s", better: "higher", digits: 3 },
    retransmits: { unit: "segments", better: "lower", digits: 0 },
    "intact bytes": { unit: "bytes", better: "higher", digits: 0 },
    dropped: { unit: "underlay frames", better: "lower", digits: 0 },
    reordered: { unit: "underlay frames", better: "lower", digits: 0 },
  },
  durationS: (seconds) => WARMUP_S + seconds + 4,
  run,
};
