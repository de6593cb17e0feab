/** Counters and the daemon's own state as JSON. iproute2 has no such commands, so the words are ours, in its spelling. */
import type { KeptView, LinkStats, SocketStats, StatusView, TrafficCounters } from "../dataplane/view.ts";

export interface TrafficJson {
  readonly rx: { readonly packets: number; readonly bytes: number };
  readonly tx: { readonly packets: number; readonly bytes: number };
}

export interface LinkStatsJson extends TrafficJson {
  readonly ifname: string;
  /** Packets that were copied to the flood list. */
  readonly flooded: number;
  /** Accepted packets with a reserved bit set in the tunnel header. */
  readonly reserved_bits: number;
  /** Questions for neighbours that were answered here. */
  readonly neighbour_answers: number;
  /** GRE keepalives that were answered here. */
  readonly keepalives: number;
  readonly fdb: {
    readonly learns: number;
    readonly moves: number;
    /** Frames whose MAC was held where it is although it was seen elsewhere. */
    readonly moves_damped: number;
    readonly aged: number;
    /** MACs not learned, because the tunnel or the table was full, or their remote VTEP had its share. */
    readonly full: number;
    readonly remote_full: number;
    /** Entries that made room for remote VTEPs with fewer. */
    readonly evicted: number;
  };
  /** Keyed by drop reason, only non-zero ones. */
  readonly drops: {
    readonly encap: Readonly<Record<string, number>>;
    readonly decap: Readonly<Record<string, number>>;
  };
  readonly remotes: readonly RemoteStatsJson[];
}

interface RemoteStatsJson extends TrafficJson {
  readonly address: string;
  readonly port: number;
  readonly vni: number;
  /** Bytes of the largest packet on the way to it; absent when nobody knows. */
  readonly path_mtu?: number;
  /** FDB entries learned from it. */
  readonly learned: number;
}

export interface StatsJson {
  readonly links: readonly LinkStatsJson[];
  /** Drops that belong to no tunnel; absent when one tunnel was asked for. */
  readonly sockets?: readonly SocketStats[];
}

export interface StatusJson {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  /** Seconds. */
  readonly uptime: number;
  /** Inode of its network namespace. */
  readonly netns: string;
  /** Path of the configuration file. */
  readonly config: string;
  readonly links: number;
  readonly fdb: { readonly entries: number; readonly capacity: number };
  /** What carries frames through the kernel, and why not more. */
  readonly offload: {
    readonly tier: string;
    readonly in_use: readonly string[];
    /** Reason by name. */
    readonly not_in_use: Readonly<Record<string, string>>;
    readonly segment_refused: number;
    readonly segment_lost: number;
  };
  readonly workers: readonly {
    readonly id: number;
    readonly wakeups: number;
    readonly batches: number;
    readonly frames: number;
    /** Datagrams lost to a full receive buffer; receives that failed otherwise. */
    readonly overflow: number;
    readonly errors: number;
  }[];
  /** What keeps changes over the control socket; absent = nothing does. `failure`: why they are refused. */
  readonly journal?: {
    readonly path: string;
    readonly bytes: number;
    readonly waiting: number;
    readonly failure?: string;
  };
  /** The last reload, and when one succeeded last, seconds since 1970. */
  readonly reload: { readonly successful: boolean; readonly succeeded: number };
}

const trafficJson = (counters: TrafficCounters): TrafficJson => ({
  rx: { packets: counters.rxFrames, bytes: counters.rxBytes },
  tx: { packets: counters.txFrames, bytes: counters.txBytes },
});

export const linkStatsJson = (stats: LinkStats): LinkStatsJson => ({
  ifname: stats.name,
  ...trafficJson(stats),
  flooded: stats.floodedFrames,
  reserved_bits: stats.reservedBits,
  neighbour_answers: stats.neighbourAnswers,
  keepalives: stats.keepalives,
  fdb: {
    learns: stats.fdbLearns,
    moves: stats.fdbMoves,
    moves_damped: stats.fdbMovesDamped,
    aged: stats.fdbAged,
    full: stats.fdbFull,
    remote_full: stats.fdbRemoteFull,
    evicted: stats.fdbEvicted,
  },
  drops: stats.drops,
  remotes: stats.remotes.map((remote) => ({
    address: remote.address,
    port: remote.port,
    vni: remote.vni,
    ...(remote.pathMtu === 0 ? {} : { path_mtu: remote.pathMtu }),
    learned: remote.fdbLearned,
    ...trafficJson(remote),
  })),
});

const journalJson = ({ journal }: KeptView): Pick<StatusJson, "journal"> => {
  if (journal === null) return {};
  const { path, bytes, failure, waiting } = journal;
  return { journal: { path, bytes, waiting, ...(failure === null ? {} : { failure }) } };
};

export const statusJson = (status: StatusView): StatusJson => ({
  version: status.version,
  node: status.node,
  pid: status.pid,
  uptime: status.uptimeS,
  netns: status.netns,
  config: status.config,
  links: status.links,
  fdb: { entries: status.fdbEntries, capacity: status.fdbCapacity },
  offload: {
    tier: status.offload.tier,
    in_use: status.offload.capabilities.filter(({ inUse }) => inUse).map(({ name }) => name),
    not_in_use: Object.fromEntries(
      status.offload.capabilities.filter(({ inUse }) => !inUse).map(({ name, reason }) => [name, reason]),
    ),
    segment_refused: status.offload.segmentRefused,
    segment_lost: status.offload.segmentLost,
  },
  workers: status.workers.map(({ id, wakeups, batches, frames, receiveOverflow, receiveErrors }) => ({
    id,
    wakeups,
    batches,
    frames,
    overflow: receiveOverflow,
    errors: receiveErrors,
  })),
  ...journalJson(status.kept),
  reload: { successful: status.kept.reload.isSuccessful, succeeded: status.kept.reload.succeededAtS },
});
