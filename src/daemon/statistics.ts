/** Adds up the workers' counters, at the moment somebody asks. Main thread. */
import { STATUS_GSO_LOST, STATUS_GSO_REFUSED, STATUS_RX_ERRORS, STATUS_RX_OVERFLOW } from "../binding/abi.ts";
import {
  type Counters,
  DECAP,
  DROP_COLUMNS,
  ENCAP,
  LINK_COLUMNS,
  LINK_FDB_FULL,
  LINK_FDB_REMOTE_FULL,
  LINK_FLOODED,
  LINK_KEEPALIVES,
  LINK_LEARNS,
  LINK_MOVES,
  LINK_MOVES_DAMPED,
  LINK_NEIGHBOUR_ANSWERS,
  LINK_RESERVED_BITS,
  LINK_RX_BYTES,
  LINK_RX_FRAMES,
  LINK_TX_BYTES,
  LINK_TX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_RX_BYTES,
  REMOTE_RX_FRAMES,
  REMOTE_TX_BYTES,
  REMOTE_TX_FRAMES,
  WORKER_BATCHES,
  WORKER_FRAMES,
  WORKER_WAKEUPS,
} from "../dataplane/counters.ts";
import type { FdbAccounts } from "../dataplane/fdb-accounts.ts";
import type { LinkStats, OffloadView, RemoteStats, SocketStats, WorkerView } from "../dataplane/view.ts";
import { DROP_REASON_COLUMNS, DROP_REASONS } from "../drop-reason.ts";
import type { Ageing } from "./ageing.ts";
import type { Eviction } from "./eviction.ts";
import { formatSocket, type Receiver } from "./receivers.ts";
import type { RemoteKey } from "./remotes.ts";
import type { Tunnel } from "./tunnel.ts";

/** What a worker writes and the main thread reads. */
export interface WorkerMemory {
  readonly counters: Counters;
  /** STATUS_* words. */
  readonly status: Int32Array;
}

export class Statistics {
  private readonly workers: readonly WorkerMemory[];
  private readonly ageing: Ageing;
  private readonly eviction: Eviction;
  private readonly fdb: FdbAccounts;

  constructor(workers: readonly WorkerMemory[], fdb: FdbAccounts, ageing: Ageing, eviction: Eviction) {
    this.eviction = eviction;
    this.workers = workers;
    this.fdb = fdb;
    this.ageing = ageing;
  }

  ofTunnel(tunnel: Tunnel): LinkStats {
    const row = tunnel.bd * LINK_COLUMNS;
    const { remotes } = tunnel.forwarding;
    const sum = (column: number): number => this.sum("link", row + column);
    const drops = tunnel.bd * DROP_COLUMNS;
    return {
      name: tunnel.config.name,
      rxFrames: sum(LINK_RX_FRAMES),
      rxBytes: sum(LINK_RX_BYTES),
      txFrames: sum(LINK_TX_FRAMES),
      txBytes: sum(LINK_TX_BYTES),
      floodedFrames: sum(LINK_FLOODED),
      fdbLearns: sum(LINK_LEARNS),
      fdbMoves: sum(LINK_MOVES),
      fdbMovesDamped: sum(LINK_MOVES_DAMPED),
      fdbAged: this.ageing.count(tunnel.bd),
      fdbFull: sum(LINK_FDB_FULL),
      fdbRemoteFull: sum(LINK_FDB_REMOTE_FULL),
      fdbEvicted: this.eviction.count(tunnel.bd),
      neighbourAnswers: sum(LINK_NEIGHBOUR_ANSWERS),
      keepalives: sum(LINK_KEEPALIVES),
      reservedBits: sum(LINK_RESERVED_BITS),
      drops: {
        encap: this.reasons("drop", drops + ENCAP * DROP_REASON_COLUMNS),
        decap: this.reasons("drop", drops + DECAP * DROP_REASON_COLUMNS),
      },
      remotes: remotes.list().map((remote) => this.ofRemote(remote, remotes.pathMtu(remote.slot))),
    };
  }

  ofSocket({ spec, id }: Receiver): SocketStats {
    return { socket: formatSocket(spec), drops: this.reasons("socket", id * DROP_REASON_COLUMNS) };
  }

  /** How often UDP_SEGMENT was refused, and on how many sockets it was given up. */
  ofSegmentation(): Pick<OffloadView, "segmentRefused" | "segmentLost"> {
    const sum = (word: number): number => this.workers.reduce((total, { status }) => total + (status[word]! >>> 0), 0);
    return { segmentRefused: sum(STATUS_GSO_REFUSED), segmentLost: sum(STATUS_GSO_LOST) };
  }

  ofWorkers(): WorkerView[] {
    return this.workers.map(({ counters: { worker }, status }, id) => ({
      id,
      wakeups: worker[WORKER_WAKEUPS]!,
      batches: worker[WORKER_BATCHES]!,
      frames: worker[WORKER_FRAMES]!,
      receiveOverflow: status[STATUS_RX_OVERFLOW]! >>> 0,
      receiveErrors: status[STATUS_RX_ERRORS]! >>> 0,
    }));
  }

  private ofRemote(remote: RemoteKey & { readonly slot: number }, pathMtu: number): RemoteStats {
    const sum = (column: number): number => this.sum("remote", remote.slot * REMOTE_COLUMNS + column);
    return {
      address: remote.address,
      port: remote.port,
      vni: remote.vni,
      pathMtu,
      fdbLearned: this.fdb.learnedAt(remote.slot),
      rxFrames: sum(REMOTE_RX_FRAMES),
      rxBytes: sum(REMOTE_RX_BYTES),
      txFrames: sum(REMOTE_TX_FRAMES),
      txBytes: sum(REMOTE_TX_BYTES),
    };
  }

  private sum(group: keyof Counters, index: number): number {
    let total = 0;
    for (const { counters } of this.workers) total += counters[group][index]!;
    return total;
  }

  private reasons(group: keyof Counters, from: number): Record<string, number> {
    const counted: Record<string, number> = {};
    for (const [reason, { name }] of DROP_REASONS.entries()) {
      const count = this.sum(group, from + reason);
      if (count > 0) counted[name] = count;
    }
    return counted;
  }
}
