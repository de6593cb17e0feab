/**
 * VtepService in memory: what control, metrics and the command line are tested against. It keeps the rules of the
 * interface (static wins, `append` for flood-list members, all or nothing) over plain arrays; counters are whatever the
 * test says they are.
 */
import { statSync } from "node:fs";
import type { CaptureRequest, CaptureSink } from "../../src/dataplane/capture-view.ts";
import type { EventView } from "../../src/dataplane/event-view.ts";
import type { TraceRequest, TraceView } from "../../src/dataplane/trace-view.ts";
import type {
  FdbEntryView,
  FdbFilter,
  FdbRequest,
  FloodMember,
  KeptView,
  LinkStats,
  LinkView,
  NeighbourRequest,
  NeighbourView,
  RouteView,
  SocketStats,
  StatusView,
  VtepService,
  WorkerView,
} from "../../src/dataplane/view.ts";
import { VtepdError } from "../../src/errors.ts";

export const FLOOD_MAC = "00:00:00:00:00:00";

type Verb = "add" | "append" | "replace";

export const fakeLink = (name: string, overrides: Partial<LinkView> = {}): LinkView => ({
  name,
  device: name,
  mode: "vxlan",
  isEthernet: true,
  gre: {
    inputKey: null,
    outputKey: null,
    checksum: { input: false, output: false },
    sequence: { input: false, output: false },
  },
  embedding: null,
  encap: null,
  ifindex: 4,
  vni: 42,
  locals: ["192.0.2.1"],
  remote: null,
  group: null,
  flood: [],
  routes: [],
  names: [],
  link: null,
  port: 4789,
  mtu: 1450,
  macAddress: "02:00:00:00:00:01",
  learning: true,
  unknownUnicast: "flood",
  policers: {},
  oversize: "icmp",
  mssClamp: "off",
  vlan: "pass",
  ageingS: 300,
  fdbLimit: 65536,
  fdbLimitPerRemote: 0,
  eviction: "fair",
  moveDamping: true,
  fdbLearned: 0,
  fdbStatic: 0,
  netns: null,
  netnsInode: String(statSync("/proc/self/ns/net").ino),
  underlayNetns: null,
  queues: 1,
  tier: "socket",
  receiver: "socket",
  kernelModules: [],
  ttl: null,
  tos: 0,
  df: "unset",
  flowLabel: 0,
  sourcePorts: null,
  checksum: true,
  zeroChecksum6Tx: false,
  zeroChecksum6Rx: false,
  mark: null,
  accept: "known",
  arpProxy: false,
  notifications: [],
  isUp: true,
  state: "up",
  underlayProblem: null,
  ...overrides,
});

const fakeStats = (name: string, overrides: Partial<LinkStats> = {}): LinkStats => ({
  name,
  rxFrames: 0,
  rxBytes: 0,
  txFrames: 0,
  txBytes: 0,
  floodedFrames: 0,
  fdbLearns: 0,
  fdbMoves: 0,
  fdbAged: 0,
  fdbFull: 0,
  fdbRemoteFull: 0,
  fdbEvicted: 0,
  fdbMovesDamped: 0,
  neighbourAnswers: 0,
  keepalives: 0,
  reservedBits: 0,
  drops: { encap: {}, decap: {} },
  remotes: [],
  ...overrides,
});

export class FakeVtep implements VtepService {
  readonly #links = new Map<string, LinkView>();
  readonly #stats = new Map<string, LinkStats>();
  #entries: FdbEntryView[] = [];
  #neighbours: NeighbourView[] = [];
  readonly listeners = new Set<(event: EventView) => void>();
  socketStats: SocketStats[] = [];
  workers: WorkerView[] = [{ id: 0, wakeups: 10, frames: 300, batches: 20, receiveOverflow: 4, receiveErrors: 0 }];
  readonly rekeyed: string[] = [];
  keptRoutes: RouteView[] = [];
  /** Set to make every call fail with it: a bug in the service. */
  bug: Error | undefined;

  addLink(link: LinkView, stats: Partial<LinkStats> = {}): void {
    this.#links.set(link.name, link);
    this.#stats.set(link.name, fakeStats(link.name, stats));
  }

  removeLink(name: string): void {
    this.#links.delete(name);
    this.#stats.delete(name);
  }

  /** As if a frame of `mac` had come from `dst` at some time. */
  learn(dev: string, mac: string, dst: string, usedS = 0, updatedS = 0): void {
    const link = this.#links.get(dev)?.link ?? null;
    const via = link === null ? {} : { via: link };
    this.#entries.push({ dev, mac, dst, ...via, origin: "learned", owner: "learned", usedS, updatedS });
  }

  kept: KeptView = {
    journal: { path: "/var/lib/vtepd/control.journal", bytes: 4096, failure: null, waiting: 2 },
    reload: { isSuccessful: true, succeededAtS: 1_700_000_000 },
  };
  unreadyReasons: string[] = [];

  unready(): string[] {
    return this.unreadyReasons;
  }

  status(): StatusView {
    if (this.bug !== undefined) throw this.bug;
    return {
      version: "0.1.0-test",
      node: "v20.20.2",
      pid: 4711,
      uptimeS: 3725,
      netns: "4026531840",
      config: "/etc/vtepd/vtepd.yaml",
      links: this.#links.size,
      fdbEntries: this.#entries.length,
      fdbCapacity: 131072,
      workers: this.workers,
      offload: {
        tier: "socket",
        capabilities: [
          { name: "udp-segment", inUse: true, reason: "" },
          { name: "tap-uso", inUse: false, reason: "TUNSETOFFLOAD: EINVAL" },
        ],
        segmentRefused: 3,
        segmentLost: 1,
      },
      kept: this.kept,
    };
  }

  links(): LinkView[] {
    if (this.bug !== undefined) throw this.bug;
    return [...this.#links.keys()].map((name) => this.link(name));
  }

  link(name: string): LinkView {
    const link = this.#links.get(name);
    if (link === undefined) throw new VtepdError("ERR_LINK_NOT_FOUND", `no tunnel "${name}"`);
    const mine = this.#entries.filter(({ dev }) => dev === name);
    return {
      ...link,
      flood: mine.filter(({ mac }) => mac === FLOOD_MAC).map(({ dst }) => dst),
      fdbLearned: mine.filter(({ origin }) => origin === "learned").length,
      fdbStatic: mine.filter(({ origin }) => origin === "static").length,
    };
  }

  // Lazy on purpose: an unknown tunnel shows at the first entry, as it may with the real one.
  *fdb(dev?: string): Iterable<FdbEntryView> {
    if (dev !== undefined) this.link(dev);
    for (const entry of this.#entries) if (dev === undefined || entry.dev === dev) yield entry;
  }

  changeFdb(dev: string, verb: Verb, request: FdbRequest, owner: "config" | "control" = "control"): void {
    const link = this.link(dev);
    const { mac, dst, port, vni, sticky } = request;
    const isDefault = mac === FLOOD_MAC && dst === (link.remote ?? link.group) && port === undefined;
    const via = request.via ?? (isDefault ? link.link : null);
    const isSame = (entry: FdbEntryView): boolean => entry.dev === dev && entry.mac === mac;
    const isStatic = (entry: FdbEntryView): boolean => isSame(entry) && entry.origin === "static";
    const isMember = (entry: FdbEntryView): boolean => isSame(entry) && this.#isMember(dev, entry, request);
    const clash = verb === "append" && mac === FLOOD_MAC ? isMember : isStatic;
    if (verb !== "replace" && this.#entries.some(clash)) {
      throw new VtepdError("ERR_FDB_ENTRY_EXISTS", `${mac} dev ${dev} exists already`);
    }
    const stays = (entry: FdbEntryView): boolean => !isSame(entry) || (verb === "append" && entry.origin === "static");
    this.#entries = this.#entries.filter(stays);
    this.#entries.push({
      dev,
      mac,
      dst,
      ...(port === undefined || port === link.port ? {} : { port }),
      ...(vni === undefined || vni === link.vni ? {} : { vni }),
      ...(via === null ? {} : { via }),
      origin: "static",
      ...(sticky === true ? { sticky } : {}),
      owner,
      usedS: 3,
      updatedS: 10,
    });
  }

  deleteFdb(dev: string, mac: string, dst?: string): void {
    this.link(dev);
    const goes = (entry: FdbEntryView): boolean =>
      entry.dev === dev && entry.mac === mac && (dst === undefined || entry.dst === dst);
    if (!this.#entries.some(goes)) throw new VtepdError("ERR_FDB_ENTRY_NOT_FOUND", `no entry ${mac} dev ${dev}`);
    this.#entries = this.#entries.filter((entry) => !goes(entry));
  }

  flushFdb(dev: string, { mac, dst, port, vni, state = "learned", idleS = 0, ageS = 0 }: FdbFilter): number {
    const link = this.link(dev);
    const goes = (entry: FdbEntryView): boolean =>
      entry.dev === dev &&
      entry.mac !== FLOOD_MAC &&
      (state === "all" || entry.origin === state) &&
      (mac === undefined || entry.mac === mac) &&
      (dst === undefined || entry.dst === dst) &&
      (port === undefined || (entry.port ?? link.port) === port) &&
      (vni === undefined || (entry.vni ?? link.vni) === vni) &&
      entry.usedS >= idleS &&
      entry.updatedS >= ageS;
    const count = this.#entries.filter(goes).length;
    this.#entries = this.#entries.filter((entry) => !goes(entry));
    return count;
  }

  flood(dev: string): FloodMember[] {
    this.link(dev);
    const members = this.#entries.filter((entry) => entry.dev === dev && entry.mac === FLOOD_MAC);
    const own = this.link(dev).link ?? undefined;
    return members.map(({ dst, port, vni, via }) => ({ dst, port, vni, ...(via === own ? {} : { via }) }));
  }

  async prepare(dev: string): Promise<() => void> {
    this.link(dev);
    return () => {};
  }

  setFlood(dev: string, members: readonly FloodMember[]): void {
    this.link(dev);
    this.#entries = this.#entries.filter((entry) => entry.dev !== dev || entry.mac !== FLOOD_MAC);
    for (const member of members) this.changeFdb(dev, "append", { mac: FLOOD_MAC, ...member });
  }

  addFlood(dev: string, member: FloodMember): void {
    const before = this.flood(dev);
    if (!before.some((other) => this.#isMember(dev, other, member))) this.setFlood(dev, [...before, member]);
  }

  deleteFlood(dev: string, member: FloodMember): void {
    const before = this.flood(dev);
    const rest = before.filter((other) => !this.#isMember(dev, other, member));
    if (rest.length === before.length) throw new VtepdError("ERR_FDB_ENTRY_NOT_FOUND", `no member ${member.dst}`);
    this.setFlood(dev, rest);
  }

  #isMember(dev: string, a: FloodMember, b: FloodMember): boolean {
    const { port, vni, link } = this.link(dev);
    const isSame = <T>(one: T, other: T, own: T): boolean => (one ?? own) === (other ?? own);
    return (
      a.dst === b.dst &&
      isSame(a.port, b.port, port) &&
      isSame(a.vni, b.vni, vni) &&
      isSame(a.via, b.via, link ?? undefined)
    );
  }

  *neighbours(dev?: string): Iterable<NeighbourView> {
    if (dev !== undefined) this.link(dev);
    for (const neighbour of this.#neighbours) if (dev === undefined || neighbour.dev === dev) yield neighbour;
  }

  changeNeighbour(dev: string, verb: "add" | "replace", { address, mac, router = false }: NeighbourRequest): void {
    this.link(dev);
    const isSame = (other: NeighbourView): boolean => other.dev === dev && other.address === address;
    if (verb === "add" && this.#neighbours.some((other) => isSame(other) && other.owner !== "learned")) {
      throw new VtepdError("ERR_NEIGHBOUR_EXISTS", `${address} dev ${dev} exists already`);
    }
    this.#neighbours = this.#neighbours.filter((other) => !isSame(other));
    this.#neighbours.push({ dev, address, mac, router, owner: "control", heardS: 3, updatedS: 10 });
  }

  /** As if the neighbour had been heard behind a remote VTEP. */
  hear(dev: string, address: string, mac: string): void {
    this.#neighbours.push({ dev, address, mac, router: false, owner: "learned", heardS: 1, updatedS: 20 });
  }

  deleteNeighbour(dev: string, address: string): void {
    this.link(dev);
    const rest = this.#neighbours.filter((other) => other.dev !== dev || other.address !== address);
    if (rest.length === this.#neighbours.length) {
      throw new VtepdError("ERR_NEIGHBOUR_NOT_FOUND", `no neighbour ${address} dev ${dev}`);
    }
    this.#neighbours = rest;
  }

  flushNeighbours(dev: string, state: "learned" | "all"): number {
    this.link(dev);
    const rest = this.#neighbours.filter(
      (other) => other.dev !== dev || (state === "learned" && other.owner !== "learned"),
    );
    const flushed = this.#neighbours.length - rest.length;
    this.#neighbours = rest;
    return flushed;
  }

  rekey(dev: string): void {
    this.link(dev);
    this.rekeyed.push(dev);
  }

  routes(): RouteView[] {
    return this.keptRoutes;
  }

  listen(listener: (event: EventView) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Of the last capture. */
  captured: { request: CaptureRequest; sink: CaptureSink; hasEnded: boolean } | undefined;

  async capture(request: CaptureRequest, sink: CaptureSink): Promise<() => void> {
    if (request.dev !== undefined) this.link(request.dev);
    const captured = { request, sink, hasEnded: false };
    this.captured = captured;
    return () => {
      captured.hasEnded = true;
    };
  }

  trace(dev: string, { frame, from }: TraceRequest): TraceView {
    this.link(dev);
    const steps = [
      { step: "parse", text: `${frame.length} bytes` },
      { step: "outcome", text: "dropped" },
    ];
    const direction = from === undefined ? "out" : "in";
    return { dev, direction, outcome: "dropped", reason: "no_tx_target", steps, copies: [] };
  }

  stats(dev?: string): LinkStats[] {
    if (this.bug !== undefined) throw this.bug;
    if (dev === undefined) return [...this.#stats.values()];
    this.link(dev);
    return [this.#stats.get(dev)!];
  }

  sockets(): SocketStats[] {
    return this.socketStats;
  }
}
