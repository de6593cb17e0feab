/** W6: one byte there, one byte back, one at a time, on an otherwise idle overlay. */
import { bare, RIGHT } from "../arm.ts";
import { loadResult, spawnLoad } from "../load.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const PORT = "5002";
/** Round trips per second of asked length; a round trip takes 30 to 150 us. */
const PER_SECOND = 5000;
const WARMUP = 2000;

const run = async (context: RunContext, proto: "tcp" | "udp"): Promise<Sample> => {
  const server = spawnLoad(context, context.right, ["rr-server", "--port", PORT]);
  await server.waitForOutput(/^ready/m);
  const count = String(Math.max(2000, Math.round(PER_SECOND * context.seconds)));
  const to = ["--proto", proto, "--to", bare(RIGHT.overlay), "--port", PORT];
  const client = spawnLoad(context, context.left, ["rr-client", ...to, "--count", count, "--warmup", String(WARMUP)]);
  const status = await client.wait(context.seconds * 10_000 + 20_000);
  await server.stop();
  if (status.code !== 0) throw new Error(`\`${client.command}\` failed:\n${client.stderr}`);
  const { p50Us = 0, p99Us = 0, p999Us = 0, minUs = 0, meanUs = 0, lost = 0 } = loadResult(client);
  return { p50: p50Us, p99: p99Us, "p99.9": p999Us, min: minUs, mean: meanUs, lost };
};

const US = { unit: "us", better: "lower", digits: 1 } as const;
const DETAIL_US = { ...US, detail: true } as const;

export const requestResponse = (proto: "tcp" | "udp"): Workload => ({
  name: `request-response proto=${proto}`,
  topology: "pair",
  headline: "p50",
  metrics: {
    p50: US,
    p99: US,
    "p99.9": DETAIL_US,
    min: DETAIL_US,
    mean: DETAIL_US,
    lost: { unit: "answers", better: "lower", digits: 0, detail: true },
  },
  run: (context) => run(context, proto),
});
