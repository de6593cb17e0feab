/** Where each data-plane metric gets its samples from, and their rendering at a scrape. */
import type {
  KeptView,
  LinkStats,
  LinkView,
  SocketStats,
  StatusView,
  VtepService,
  WorkerView,
} from "../dataplane/view.ts";
import * as catalogue from "./catalogue.ts";
import { formatFamily, type Sample } from "./exposition.ts";
import { type RemoteCounters, remoteSeries } from "./remote-series.ts";

type RemoteRow = readonly [link: string, remote: string, counters: RemoteCounters];

/** Everything a scrape reads, each read once, so that all families are of one moment. */
interface Moment {
  readonly status: StatusView;
  readonly links: readonly LinkView[];
  readonly stats: readonly LinkStats[];
  readonly sockets: readonly SocketStats[];
  readonly remotes: readonly RemoteRow[];
}

type Source = (moment: Moment) => readonly Sample[];

const perStats =
  (read: (stats: LinkStats) => number): Source =>
  ({ stats }) =>
    stats.map((link) => [read(link), link.name]);

const perRemote =
  (read: (counters: RemoteCounters) => number): Source =>
  ({ remotes }) =>
    remotes.map(([link, remote, counters]) => [read(counters), link, remote]);

const perWorker =
  (read: (worker: WorkerView) => number): Source =>
  ({ status }) =>
    status.workers.map((worker) => [read(worker), worker.id]);

const perReason = (drops: Readonly<Record<string, number>>, ...labels: string[]): Sample[] =>
  Object.entries(drops).map(([reason, count]) => [count, ...labels, reason]);

const linkInfo: Source = ({ links }) =>
  links.flatMap(({ name, mode, vni, locals, port }) => locals.map((local) => [1, name, mode, vni, local, port]));

const linkDrops: Source = ({ stats }) =>
  stats.flatMap(({ name, drops }) => [
    ...perReason(drops.encap, name, "encap"),
    ...perReason(drops.decap, name, "decap"),
  ]);

const fdbEntries: Source = ({ links }) =>
  links.flatMap(({ name, fdbLearned, fdbStatic }): Sample[] => [
    [fdbLearned, name, "learned"],
    [fdbStatic, name, "static"],
  ]);

// A limit of 0 is none, and a gauge of 0 would read as a full table.
const fdbLimit: Source = ({ links }) =>
  links.filter((link) => link.fdbLimit > 0).map((link) => [link.fdbLimit, link.name]);

const capabilities: Source = ({ status }) =>
  status.offload.capabilities.map(({ name, inUse, reason }) => [inUse ? 1 : 0, name, reason]);

const journal =
  (read: (journal: NonNullable<KeptView["journal"]>) => number): Source =>
  ({ status }) => {
    const { journal: kept } = status.kept;
    return kept === null ? [] : [[read(kept)]];
  };

// A gauge of 0 would read as a path that carries nothing.
const pathMtus: Source = (moment) => perRemote(({ pathMtu }) => pathMtu)(moment).filter(([mtu]) => mtu > 0);

const FAMILIES: readonly (readonly [catalogue.Metric, Source])[] = [
  [catalogue.BUILD_INFO, ({ status }) => [[1, status.version, status.node]]],
  [catalogue.LINK_INFO, linkInfo],
  [catalogue.LINK_UP, ({ links }) => links.map((link) => [link.state === "up" ? 1 : 0, link.name])],
  [catalogue.LINK_UNDERLAY_UP, ({ links }) => links.map((link) => [link.underlayProblem === null ? 1 : 0, link.name])],
  [catalogue.LINK_RECEIVE_PACKETS, perStats((stats) => stats.rxFrames)],
  [catalogue.LINK_RECEIVE_BYTES, perStats((stats) => stats.rxBytes)],
  [catalogue.LINK_TRANSMIT_PACKETS, perStats((stats) => stats.txFrames)],
  [catalogue.LINK_TRANSMIT_BYTES, perStats((stats) => stats.txBytes)],
  [catalogue.LINK_DROPS, linkDrops],
  [catalogue.FLOOD_PACKETS, perStats((stats) => stats.floodedFrames)],
  [catalogue.SOCKET_DROPS, ({ sockets }) => sockets.flatMap(({ socket, drops }) => perReason(drops, socket))],
  [catalogue.FDB_ENTRIES, fdbEntries],
  [catalogue.FDB_LIMIT, fdbLimit],
  [catalogue.FDB_CAPACITY, ({ status }) => [[status.fdbCapacity]]],
  [catalogue.FDB_LEARNS, perStats((stats) => stats.fdbLearns)],
  [catalogue.FDB_MOVES, perStats((stats) => stats.fdbMoves)],
  [catalogue.FDB_MOVES_DAMPED, perStats((stats) => stats.fdbMovesDamped)],
  [catalogue.FDB_AGED, perStats((stats) => stats.fdbAged)],
  [catalogue.FDB_FULL, perStats((stats) => stats.fdbFull)],
  [catalogue.FDB_REMOTE_FULL, perStats((stats) => stats.fdbRemoteFull)],
  [catalogue.FDB_EVICTED, perStats((stats) => stats.fdbEvicted)],
  [catalogue.LINK_NEIGHBOUR_ANSWERS, perStats((stats) => stats.neighbourAnswers)],
  [catalogue.LINK_KEEPALIVES, perStats((stats) => stats.keepalives)],
  [catalogue.LINK_RESERVED_BITS, perStats((stats) => stats.reservedBits)],
  [catalogue.REMOTE_RECEIVE_PACKETS, perRemote((counters) => counters.rxFrames)],
  [catalogue.REMOTE_RECEIVE_BYTES, perRemote((counters) => counters.rxBytes)],
  [catalogue.REMOTE_TRANSMIT_PACKETS, perRemote((counters) => counters.txFrames)],
  [catalogue.REMOTE_TRANSMIT_BYTES, perRemote((counters) => counters.txBytes)],
  [catalogue.REMOTE_FDB_ENTRIES, perRemote((counters) => counters.fdbLearned)],
  [catalogue.REMOTE_PATH_MTU, pathMtus],
  [catalogue.WORKER_WAKEUPS, perWorker((worker) => worker.wakeups)],
  [catalogue.WORKER_RECEIVE_OVERFLOW, perWorker((worker) => worker.receiveOverflow)],
  [catalogue.WORKER_RECEIVE_ERRORS, perWorker((worker) => worker.receiveErrors)],
  [catalogue.WORKER_BATCHES, perWorker((worker) => worker.batches)],
  [catalogue.WORKER_FRAMES, perWorker((worker) => worker.frames)],
  [catalogue.OFFLOAD_INFO, ({ status }) => [[1, status.offload.tier]]],
  [catalogue.CAPABILITY, capabilities],
  [catalogue.SEGMENT_REFUSED, ({ status }) => [[status.offload.segmentRefused]]],
  [catalogue.SEGMENT_LOST, ({ status }) => [[status.offload.segmentLost]]],
  [catalogue.JOURNAL_BYTES, journal(({ bytes }) => bytes)],
  [catalogue.JOURNAL_FAILED, journal(({ failure }) => (failure === null ? 0 : 1))],
  [catalogue.LAST_RELOAD_SUCCESSFUL, ({ status }) => [[status.kept.reload.isSuccessful ? 1 : 0]]],
  [catalogue.LAST_RELOAD_SUCCESS_TIMESTAMP, ({ status }) => [[status.kept.reload.succeededAtS]]],
];

/** Exposition text of the data-plane families. */
export const renderMetrics = (service: VtepService): string => {
  const stats = service.stats();
  const moment: Moment = {
    status: service.status(),
    links: service.links(),
    stats,
    sockets: service.sockets(),
    remotes: stats.flatMap(({ name, remotes }) =>
      Array.from(remoteSeries(remotes), ([remote, counters]): RemoteRow => [name, remote, counters]),
    ),
  };
  return FAMILIES.map(([metric, source]) => formatFamily(metric, source(moment))).join("");
};
