/** Counters per remote VTEP, few enough for Prometheus whatever the network sends. */
import type { RemoteStats, TrafficCounters } from "../dataplane/view.ts";

/** Remote VTEPs of one tunnel that get series of their own. */
export const MAX_REMOTES_PER_LINK = 1024;
/** Label of the rest: no address looks like it. */
export const OTHER_REMOTES = "other";

export type RemoteCounters = TrafficCounters & Pick<RemoteStats, "fdbLearned" | "pathMtu">;

const NOTHING: RemoteCounters = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0, fdbLearned: 0, pathMtu: 0 };

const add = (a: RemoteCounters, b: RemoteCounters): RemoteCounters => ({
  rxFrames: a.rxFrames + b.rxFrames,
  rxBytes: a.rxBytes + b.rxBytes,
  txFrames: a.txFrames + b.txFrames,
  txBytes: a.txBytes + b.txBytes,
  fdbLearned: a.fdbLearned + b.fdbLearned,
  pathMtu: a.pathMtu === 0 || b.pathMtu === 0 ? a.pathMtu + b.pathMtu : Math.min(a.pathMtu, b.pathMtu),
});

/**
 * Keyed by address: one VTEP may be listed with several ports or VNIs, and two samples with the same labels are an error.
 * What comes after the limit is summed up; the order is the data plane's, in which a VTEP keeps its place, so a sum
 * never goes back.
 */
export const remoteSeries = (remotes: readonly RemoteStats[]): Map<string, RemoteCounters> => {
  const series = new Map<string, RemoteCounters>();
  for (const remote of remotes) {
    const hasRoom = series.has(remote.address) || series.size < MAX_REMOTES_PER_LINK;
    const key = hasRoom ? remote.address : OTHER_REMOTES;
    series.set(key, add(series.get(key) ?? NOTHING, remote));
  }
  return series;
};
