/**
 * What the rest of vtepd may know of the data plane: plain values, made when somebody asks, by the main thread.
 * Control and metrics both read these; neither sees shared memory.
 */
import type { CaptureRequest, CaptureSink } from "./capture-view.ts";
import type { EventView } from "./event-view.ts";
import type { TraceRequest, TraceView } from "./trace-view.ts";

/** One tunnel as it runs. Addresses are canonical text; times are seconds. */
export interface LinkView {
  readonly name: string;
  /** Name of its device: the tunnel's, unless somebody has given it another one. */
  readonly device: string;
  readonly mode: string;
  /** Whether it carries Ethernet frames; else IP packets. */
  readonly isEthernet: boolean;
  /** What its GRE headers have; null = no key. */
  readonly gre: {
    readonly inputKey: number | null;
    readonly outputKey: number | null;
    readonly checksum: { readonly input: boolean; readonly output: boolean };
    readonly sequence: { readonly input: boolean; readonly output: boolean };
  };
  /** Of 6to4 and 6rd: the prefix of the addresses inside, and what all VTEPs' addresses begin with; `network/prefix`. */
  readonly embedding: { readonly prefix: string; readonly base: string } | null;
  /** What it is put into, when that is UDP and the mode is not one of UDP. */
  readonly encap: string | null;
  /** Interface index in the device's present namespace; 0 when the device is gone. */
  readonly ifindex: number;
  readonly vni: number;
  /** One for each address family of the tunnel. */
  readonly locals: readonly string[];
  /** The single remote of a point-to-point tunnel. */
  readonly remote: string | null;
  readonly group: string | null;
  /** The addresses of all flood-list members, `remote` and `group` included. */
  readonly flood: readonly string[];
  /** Networks of the overlay and the remote VTEPs that they are behind. */
  readonly routes: readonly LinkRouteView[];
  /** Those that `remote`, flood list and static entries have. */
  readonly names: readonly NameView[];
  /** Underlay interface the sockets are bound to. */
  readonly link: string | null;
  readonly port: number;
  readonly mtu: number;
  readonly macAddress: string;
  readonly learning: boolean;
  readonly unknownUnicast: "flood" | "drop";
  /** VLAN tags inside. */
  readonly vlan: "pass" | "strip" | "drop";
  /** 0 = learned entries never age. */
  readonly ageingS: number;
  readonly fdbLimit: number;
  /** Learned entries behind one remote VTEP; 0 = no limit. */
  readonly fdbLimitPerRemote: number;
  /** When the limit is reached. */
  readonly eviction: "fair" | "none";
  readonly moveDamping: boolean;
  readonly fdbLearned: number;
  readonly fdbStatic: number;
  readonly netns: string | null;
  /** Of the namespace that the device is in now, wherever somebody has moved it; null when it is gone. */
  readonly netnsInode: string | null;
  /** Of the sockets; null = the daemon's. */
  readonly underlayNetns: string | null;
  readonly queues: number;
  /** How its frames go through the kernel: `tunnel`, `socket`, `mmsg` or `plain`. */
  readonly tier: string;
  /** What its datagrams come through: UDP sockets, or packet sockets in tier `tunnel`. */
  readonly receiver: "socket" | "packet";
  /** Modules of the host's kernel that take its packets, too. */
  readonly kernelModules: readonly string[];
  /** Outer header; null = the host's default. */
  readonly ttl: number | "inherit" | null;
  readonly tos: number | "inherit";
  readonly df: "unset" | "set" | "inherit";
  /** Over IPv6; 0 = the host's. */
  readonly flowLabel: number | "inherit";
  /** null = ephemeral ports. */
  readonly sourcePorts: { readonly first: number; readonly last: number } | null;
  readonly checksum: boolean;
  readonly zeroChecksum6Tx: boolean;
  readonly zeroChecksum6Rx: boolean;
  readonly mark: number | null;
  readonly policers: PolicerView;
  readonly oversize: "icmp" | "fragment" | "drop";
  readonly mssClamp: number | "off" | "auto";
  /** Whose frames are accepted. */
  readonly accept: "known" | "any";
  /** Whether questions for far neighbours are answered here. */
  readonly arpProxy: boolean;
  readonly notifications: readonly ("l2-miss" | "l3-miss")[];
  /** `gone`: the device was deleted under us. */
  readonly state: "up" | "gone";
  /** Whether the device is there and somebody has set it up. */
  readonly isUp: boolean;
  /** What the tunnel waits for; it keeps all that it has meanwhile. `code` is one of errors.ts. */
  readonly underlayProblem: { readonly code: string; readonly message: string } | null;
}

export interface LinkRouteView {
  readonly to: string;
  readonly via: string;
  /** Next hop in the overlay, of Ethernet frames. */
  readonly gateway?: string | undefined;
  /** Whether it is routed without the tunnel while the remote VTEP is on a link of ours. */
  readonly mayBeDirect: boolean;
}

/** A route of the host that we keep. */
export interface RouteView {
  /** The tunnel's name in the configuration, whether it is one or not (`host-gw`). */
  readonly tunnel: string;
  /** `network/prefix` */
  readonly to: string;
  readonly gateway: string | null;
  readonly dev: string;
  /** Routing protocol number, by which the host's routes are told to be ours. */
  readonly protocol: number;
  /** Whether it leads around the tunnel. */
  readonly isDirect: boolean;
  /** Whether the host had it when we looked last. */
  readonly isPresent: boolean;
}

/** Flooded frames a second, at most; what is absent has no limit. */
export interface PolicerRates {
  readonly broadcast?: number;
  readonly multicast?: number;
  readonly unknownUnicast?: number;
}

export interface PolicerView extends PolicerRates {
  /** Of each source MAC; absent when none has a limit. */
  readonly perSource?: PolicerRates;
}

/** Frames and bytes, seen from the overlay device as `ip -s link` shows it: receive = from the tunnel. */
export interface TrafficCounters {
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly txFrames: number;
  readonly txBytes: number;
}

export interface LinkStats extends TrafficCounters {
  readonly name: string;
  /** Frames copied to more than one place because they were broadcast, unknown unicast or multicast. */
  readonly floodedFrames: number;
  readonly fdbLearns: number;
  readonly fdbMoves: number;
  readonly fdbAged: number;
  /** MACs that were not learned because the tunnel's limit or the table was full. */
  readonly fdbFull: number;
  /** MACs that were not learned because their remote VTEP had all the entries it may have. */
  readonly fdbRemoteFull: number;
  /** Entries that made room for remote VTEPs with fewer. */
  readonly fdbEvicted: number;
  /** Frames whose MAC was held where it is although it was seen elsewhere. */
  readonly fdbMovesDamped: number;
  /** Accepted datagrams in which a reserved bit of the tunnel header was set (RFC 7348: ignored on receipt). */
  readonly reservedBits: number;
  /** Questions for neighbours that were answered here instead of flooded. */
  readonly neighbourAnswers: number;
  /** GRE keepalives that were answered here. */
  readonly keepalives: number;
  /** Keyed by the reason's name; only non-zero ones. `encap` = overlay to underlay, `decap` = the other way. */
  readonly drops: {
    readonly encap: Readonly<Record<string, number>>;
    readonly decap: Readonly<Record<string, number>>;
  };
  readonly remotes: readonly RemoteStats[];
}

export interface RemoteStats extends TrafficCounters {
  readonly address: string;
  readonly port: number;
  readonly vni: number;
  /** Bytes of the largest packet that the underlay carries to it; 0 = nobody knows. */
  readonly pathMtu: number;
  /** FDB entries that were learned from it and are still there. */
  readonly fdbLearned: number;
}

/** Drops that belong to no tunnel: the VNI was not found or the header could not be read. */
export interface SocketStats {
  /** e.g. `192.0.2.1:4789` or `[2001:db8::1]:4789`. */
  readonly socket: string;
  readonly drops: Readonly<Record<string, number>>;
}

export interface FdbEntryView {
  readonly dev: string;
  /** Lower case, colon separated; `00:00:00:00:00:00` is a flood-list member. */
  readonly mac: string;
  readonly dst: string;
  /** The host name that was asked for. */
  readonly name?: string;
  /** Only when it differs from the tunnel's own. */
  readonly port?: number;
  readonly vni?: number;
  /** Underlay interface, when the entry or the tunnel is bound to one. */
  readonly via?: string;
  readonly origin: "learned" | "static";
  /** A static entry that lets frames of its MAC from elsewhere pass. */
  readonly sticky?: boolean;
  /** Who made it. */
  readonly owner: "config" | "control" | "learned";
  /** Seconds since it was last hit, and since it was made or moved. */
  readonly usedS: number;
  readonly updatedS: number;
}

export interface WorkerView {
  readonly id: number;
  readonly wakeups: number;
  readonly frames: number;
  readonly batches: number;
  /** Datagrams that the kernel dropped because a socket's receive buffer was full (SO_RXQ_OVFL). */
  readonly receiveOverflow: number;
  /** Receives that failed for another reason than an empty queue. */
  readonly receiveErrors: number;
}

/** One thing that makes the data plane faster where the kernel can do it. */
export interface CapabilityView {
  readonly name: string;
  readonly inUse: boolean;
  /** Why not; empty when in use. */
  readonly reason: string;
}

export interface OffloadView {
  /** `tunnel`, `socket`, `mmsg` or `plain`. */
  readonly tier: string;
  readonly capabilities: readonly CapabilityView[];
  /** Sends with UDP_SEGMENT that the kernel refused and that were repeated datagram by datagram. */
  readonly segmentRefused: number;
  /** Sockets that gave UDP_SEGMENT up for that. */
  readonly segmentLost: number;
}

export interface StatusView {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly uptimeS: number;
  /** Inode of the daemon's network namespace, by which clients in others know that they are. */
  readonly netns: string;
  readonly config: string;
  readonly links: number;
  readonly fdbEntries: number;
  readonly fdbCapacity: number;
  readonly workers: readonly WorkerView[];
  readonly offload: OffloadView;
  readonly kept: KeptView;
}

/** What outlives the daemon, and what it was told to be. */
export interface KeptView {
  /** Where changes over the control socket are kept; null = nowhere. */
  readonly journal: {
    readonly path: string;
    readonly bytes: number;
    /** Why changes are refused; null = they are not. */
    readonly failure: string | null;
    /** Changes made by hand that cannot be made now: their tunnel is not there, or they do not fit it. */
    readonly waiting: number;
  } | null;
  /** The last time the configuration was brought into effect, or was to be; the start counts. */
  readonly reload: {
    readonly isSuccessful: boolean;
    /** Of the last time that was successful, seconds since 1970. */
    readonly succeededAtS: number;
  };
}

/** A host name that remote VTEPs of a tunnel have, and the addresses it has now: none when it was never resolved. */
export interface NameView {
  readonly name: string;
  readonly addresses: readonly string[];
}

/** A static FDB entry as asked for: `dst` may be a host name. A zero MAC stands for a flood-list member, as in `bridge fdb`. */
export interface FdbRequest {
  readonly mac: string;
  readonly dst: string;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  /** Underlay interface that copies leave by. */
  readonly via?: string | undefined;
  /** Frames of the MAC from elsewhere are delivered instead of dropped. Not for a flood-list member. */
  readonly sticky?: boolean | undefined;
}

/** A remote VTEP that gets a copy of each flooded frame. */
export type FloodMember = Omit<FdbRequest, "mac" | "sticky">;

/** A neighbour as asked for. */
export interface NeighbourRequest {
  readonly address: string;
  readonly mac: string;
  readonly router?: boolean | undefined;
}

export interface NeighbourView {
  readonly dev: string;
  readonly address: string;
  readonly mac: string;
  readonly router: boolean;
  /** Who made it. */
  readonly owner: "config" | "control" | "learned";
  /** Seconds since it was last heard, and since it was made or changed. */
  readonly heardS: number;
  readonly updatedS: number;
}

/** Which entries of a tunnel a flush takes: all that meet every condition that is given. */
export interface FdbFilter {
  readonly mac?: string | undefined;
  /** An address, or the host name that a static entry was made with. */
  readonly dst?: string | undefined;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  /** Default `learned`: what an operator has said stays, unless asked for by name. */
  readonly state?: "learned" | "static" | "all" | undefined;
  /** Seconds since the last hit, at least. */
  readonly idleS?: number | undefined;
  /** Seconds since it was made or moved, at least. */
  readonly ageS?: number | undefined;
}

/**
 * The running daemon as control and metrics see it. Each call is atomic: it has happened whole when it returns, and has
 * changed nothing when it throws. Main thread only.
 */
export interface VtepService {
  status(): StatusView;
  /** What keeps it from carrying the frames of all its tunnels, in words; empty = it is ready. */
  unready(): string[];
  /** In the order of creation. */
  links(): LinkView[];
  /** @throws ERR_LINK_NOT_FOUND */
  link(name: string): LinkView;
  /** All entries of one tunnel or of all. Lazy: a table may hold a million. @throws ERR_LINK_NOT_FOUND */
  fdb(dev?: string): Iterable<FdbEntryView>;
  /**
   * `add` refuses an existing static entry, `append` adds a flood-list member (zero MAC) or creates, `replace` overwrites.
   * All three replace a learned entry. @throws ERR_LINK_NOT_FOUND, ERR_FDB_ENTRY_EXISTS, ERR_CONFIG_VALUE, ERR_LIMIT
   */
  changeFdb(dev: string, verb: "add" | "append" | "replace", request: FdbRequest): void;
  /** Without `dst` all entries of the MAC go. @throws ERR_LINK_NOT_FOUND, ERR_FDB_ENTRY_NOT_FOUND */
  deleteFdb(dev: string, mac: string, dst?: string): void;
  /** Members of the flood list, as they were asked for, in order. @throws ERR_LINK_NOT_FOUND */
  flood(dev: string): FloodMember[];
  /**
   * Finds out the addresses of host names and opens the sockets of interfaces (`via`), so that a change that uses them has
   * its effect at once; waits for a few seconds at most. Returns what lets go of them, to be called after the change.
   * @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_CONFLICT, ERR_INTERFACE_NOT_FOUND, ERR_PERMISSION, ERR_LIMIT, ERR_SYSCALL
   */
  prepare(dev: string, wanted: FloodMember | readonly FloodMember[]): Promise<() => void>;
  /**
   * Makes this the flood list, at once: a frame goes to all of the old list or to all of the new one.
   * @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_CONFLICT, ERR_LIMIT
   */
  setFlood(dev: string, members: readonly FloodMember[]): void;
  /** One that is there already stays as it is. @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_CONFLICT, ERR_LIMIT */
  addFlood(dev: string, member: FloodMember): void;
  /** Without UDP port or VNI the tunnel's own are meant. @throws ERR_LINK_NOT_FOUND, ERR_FDB_ENTRY_NOT_FOUND */
  deleteFlood(dev: string, member: FloodMember): void;
  /** All neighbours of one tunnel or of all. Lazy. @throws ERR_LINK_NOT_FOUND */
  neighbours(dev?: string): Iterable<NeighbourView>;
  /** `add` refuses a neighbour that was named before; both replace a learned one. @throws ERR_LINK_NOT_FOUND, ERR_NEIGHBOUR_EXISTS, ERR_LIMIT */
  changeNeighbour(dev: string, verb: "add" | "replace", request: NeighbourRequest): void;
  /** @throws ERR_LINK_NOT_FOUND, ERR_NEIGHBOUR_NOT_FOUND */
  deleteNeighbour(dev: string, address: string): void;
  /** Removes the learned neighbours, or all; returns how many. @throws ERR_LINK_NOT_FOUND */
  flushNeighbours(dev: string, state: "learned" | "all"): number;
  /** Reads the tunnel's key file again. @throws ERR_LINK_NOT_FOUND, ERR_USAGE for a tunnel without one, ERR_KEY_FILE, ERR_LIMIT */
  rekey(dev: string): void;
  /** The routes of the host that we keep, those of tunnels first. */
  routes(): RouteView[];
  /** Calls `listener` for each event from now on, until the returned function is called. */
  listen(listener: (event: EventView) => void): () => void;
  /**
   * Begins a capture; the function that it resolves to ends it.
   * @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_VALUE (path `filter`), ERR_LIMIT
   */
  capture(request: CaptureRequest, sink: CaptureSink): Promise<() => void>;
  /** What would happen to a frame now. @throws ERR_LINK_NOT_FOUND, ERR_USAGE, ERR_CONFIG_CONFLICT */
  trace(dev: string, request: TraceRequest): TraceView;
  stats(dev?: string): LinkStats[];
  sockets(): SocketStats[];
}
