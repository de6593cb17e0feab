/**
 * W10: static FDB entries added and moved through the control interface, 100 000 a second or as many as it takes, on the
 * sending VTEP while a TCP stream runs. What counts is what the stream still gets.
 */
import { runStreams, WARMUP_S } from "../iperf.ts";
import { Unfit } from "../unfit.ts";
import type { RunContext, Sample, Workload } from "../workload.ts";

const RATE = 100_000;
/** Room for the MACs that are written, and some. */
const ROOM = 20_000;
/** Of the stream without updates that the other one is compared with. */
const QUIET_S = 1;

const run = async (context: RunContext): Promise<Sample> => {
  const { leftVtep, seconds } = context;
  if (leftVtep?.control === undefined) throw new Unfit("it has no FDB to update");
  const quiet = await runStreams(context, QUIET_S);
  const pausesBefore = leftVtep.gcPausesMs?.().length ?? 0;
  const stop = new AbortController();
  const updates = leftVtep.control.updateFdb(RATE, stop.signal);
  // Looked at below; a failure meanwhile must not count as nobody's.
  updates.catch(() => {});
  let disturbed: Awaited<ReturnType<typeof runStreams>>;
  try {
    disturbed = await runStreams(context, seconds);
  } finally {
    stop.abort();
  }
  const { done, seconds: took } = await updates;
  const pauses = leftVtep.gcPausesMs?.().slice(pausesBefore);
  return {
    throughput: disturbed.throughput,
    dip: 100 * (1 - disturbed.throughput / quiet.throughput),
    updates: done / took,
    ...(pauses === undefined
      ? {}
      : { "GC pauses": pauses.reduce((sum, ms) => sum + ms, 0), "longest GC pause": Math.max(0, ...pauses) }),
  };
};

export const fdbUpdates: Workload = {
  id: "W10",
  name: "tcp-stream fdb-updates<=100000/s",
  topology: "pair",
  breadth: "core",
  setUp: { fdbRoom: ROOM, traceGc: true },
  headline: "throughput",
  metrics: {
    throughput: { unit: "Gbit/s", better: "higher", digits: 2 },
    dip: { unit: "%", better: "lower", digits: 1 },
    updates: { unit: "updates/s", better: "higher", digits: 0 },
    "GC pauses": { unit: "ms", better: "lower", digits: 1 },
    "longest GC pause": { unit: "ms", better: "lower", digits: 2 },
  },
  durationS: (seconds) => QUIET_S + seconds + 2 * WARMUP_S + 1,
  run,
};
