/**
 * The local VTEP: all running tunnels, as control and metrics see them. It answers from the tunnels, the tables and the
 * workers' counters; it makes values only when asked. Main thread.
 */
import { statSync } from "node:fs";
import type { TunnelConfig } from "../config/config.ts";
import { memberTwice } from "../config/contradictions.ts";
import type { CaptureRequest, CaptureSink } from "../dataplane/capture-view.ts";
import type { EventView } from "../dataplane/event-view.ts";
import type { FdbEntry } from "../dataplane/fdb.ts";
import { FDB_CONTROL, FDB_STATIC, FDB_STICKY } from "../dataplane/fdb-memory.ts";
import { isHostName } from "../dataplane/host-name.ts";
import { REMOTE_UDP_PORT, REMOTE_VNI } from "../dataplane/remote-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { TraceRequest, TraceView } from "../dataplane/trace-view.ts";
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
  PolicerRates,
  PolicerView,
  RouteView,
  SocketStats,
  StatusView,
  VtepService,
} from "../dataplane/view.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { formatMac, readMacHi, readMacLo } from "../wire/mac.ts";
import { admitEntry, admitFdb, admitNeighbour, admitRemote, admitVia } from "./admission.ts";
import type { Captures } from "./captures.ts";
import { monotonicS } from "./clock.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Events } from "./events.ts";
import { takes, waitingMacs } from "./fdb-flush.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import { kernelModulesOf } from "./kernel-tunnels.ts";
import { existingTunnel } from "./named-tunnel.ts";
import type { Offload } from "./offload.ts";
import type { Receivers } from "./receivers.ts";
import type { RouteRecursion } from "./route-recursion.ts";
import type { Statistics } from "./statistics.ts";
import type { Traces } from "./traces.ts";
import type { Tunnel } from "./tunnel.ts";
import { type Wish, wishText } from "./wish.ts";

export interface VtepParts {
  readonly tables: Tables;
  readonly receivers: Receivers;
  readonly statistics: Statistics;
  /** By name, in the order of creation. */
  readonly tunnels: ReadonlyMap<string, Tunnel>;
  readonly routes: () => RouteView[];
  readonly recursion: RouteRecursion;
  readonly events: Events;
  readonly captures: Captures;
  readonly traces: Traces;
  readonly offload: Offload;
  readonly configPath: string;
  readonly version: string;
  readonly kept: () => KeptView;
  readonly unready: () => string[];
}

export class Vtep implements VtepService {
  private readonly parts: VtepParts;

  constructor(parts: VtepParts) {
    this.parts = parts;
  }

  status(): StatusView {
    const { tables, statistics, tunnels, offload, configPath, version } = this.parts;
    return {
      version,
      node: process.version,
      pid: process.pid,
      uptimeS: process.uptime(),
      netns: String(statSync("/proc/self/ns/net").ino),
      config: configPath,
      links: tunnels.size,
      fdbEntries: tables.fdb.live,
      fdbCapacity: tables.fdb.capacity,
      workers: statistics.ofWorkers(),
      offload: { tier: offload.tier, capabilities: offload.capabilities, ...statistics.ofSegmentation() },
      kept: this.parts.kept(),
    };
  }

  unready(): string[] {
    return this.parts.unready();
  }

  links(): LinkView[] {
    return [...this.parts.tunnels.values()].map((tunnel) => this.view(tunnel));
  }

  link(name: string): LinkView {
    return this.view(this.tunnel(name));
  }

  fdb(dev?: string): Iterable<FdbEntryView> {
    const { tunnels } = this.parts;
    return this.entries(dev === undefined ? [...tunnels.values()] : [this.tunnel(dev)]);
  }

  changeFdb(dev: string, verb: "add" | "append" | "replace", request: FdbRequest): void {
    const tunnel = this.tunnelWithFdb(dev);
    admitEntry(tunnel, request);
    this.parts.recursion.admit(tunnel, request, "dst");
    tunnel.forwarding.change(verb, request, "control");
  }

  deleteFdb(dev: string, mac: string, dst?: string): void {
    this.tunnelWithFdb(dev).forwarding.delete(mac, dst);
  }

  /** MACs of the entries that a flush takes. @throws ERR_LINK_NOT_FOUND */
  taken(dev: string, filter: FdbFilter): { readonly learned: string[]; readonly fixed: string[] } {
    const tunnel = this.tunnel(dev);
    const goes = [...this.entries([tunnel])].filter((entry) => entry.mac !== FLOOD_MAC && takes(filter, tunnel, entry));
    return {
      learned: goes.filter(({ origin }) => origin === "learned").map(({ mac }) => mac),
      fixed: [
        ...goes.filter(({ origin }) => origin === "static").map(({ mac }) => mac),
        ...waitingMacs(tunnel, filter),
      ],
    };
  }

  flood(dev: string): FloodMember[] {
    const tunnel = this.tunnel(dev);
    return tunnel.forwarding.flood.members.map(({ dst, port, vni, via }) => ({
      dst,
      ...ownPortAndVni(tunnel, port, vni),
      ...(via === undefined ? {} : { via }),
    }));
  }

  async prepare(dev: string, wanted: FloodMember | readonly FloodMember[]): Promise<() => void> {
    const tunnel = this.tunnelWithFdb(dev);
    if ("dst" in wanted) {
      admitVia(tunnel, wanted.via, "via");
      return tunnel.prepare([wanted]);
    }
    for (const [index, { via }] of wanted.entries()) admitVia(tunnel, via, `${index}.via`);
    return tunnel.prepare(wanted);
  }

  setFlood(dev: string, members: readonly FloodMember[]): void {
    const tunnel = this.tunnelWithFdb(dev);
    const { forwarding } = tunnel;
    const wanted = members.map((member) => forwarding.toWish(member, "control"));
    const seen = new Set<string>();
    for (const [index, member] of wanted.entries()) {
      const path = `${index}.dst`;
      admitRemote(tunnel, member.dst, path);
      this.parts.recursion.admit(tunnel, member, path);
      const key = wishText(member);
      if (seen.has(key)) {
        throw new VtepdError("ERR_CONFIG_CONFLICT", `${path}: ${memberTwice(member.dst)}`, { path });
      }
      seen.add(key);
    }
    forwarding.flood.set(wanted);
  }

  addFlood(dev: string, member: FloodMember): void {
    this.changeFdb(dev, "append", { mac: FLOOD_MAC, ...member });
  }

  deleteFlood(dev: string, member: FloodMember): void {
    const { forwarding } = this.tunnelWithFdb(dev);
    forwarding.flood.deleteMember(forwarding.toWish(member, "control"));
  }

  *neighbours(dev?: string): Iterable<NeighbourView> {
    const tunnels = dev === undefined ? [...this.parts.tunnels.values()] : [this.tunnel(dev)];
    for (const { neighbours } of tunnels) yield* neighbours.list();
  }

  changeNeighbour(dev: string, verb: "add" | "replace", request: NeighbourRequest): void {
    const tunnel = this.tunnel(dev);
    admitNeighbour(tunnel, request);
    tunnel.neighbours.change(verb, request, "control");
  }

  deleteNeighbour(dev: string, address: string): void {
    this.tunnel(dev).neighbours.delete(address);
  }

  flushNeighbours(dev: string, state: "learned" | "all"): number {
    return this.tunnel(dev).neighbours.flush(state);
  }

  rekey(dev: string): void {
    const { config, associations } = this.tunnel(dev);
    if (config.keyFile === undefined) throw new VtepdError("ERR_USAGE", `tunnel ${dev} has no \`key-file\``);
    associations.load();
  }

  routes(): RouteView[] {
    return this.parts.routes();
  }

  listen(listener: (event: EventView) => void): () => void {
    return this.parts.events.listen(listener);
  }

  async capture(request: CaptureRequest, sink: CaptureSink): Promise<() => void> {
    if (request.dev !== undefined) this.tunnel(request.dev);
    return this.parts.captures.start(request, sink);
  }

  trace(dev: string, request: TraceRequest): TraceView {
    return this.parts.traces.trace(this.tunnel(dev), request);
  }

  stats(dev?: string): LinkStats[] {
    const { statistics, tunnels } = this.parts;
    const asked = dev === undefined ? [...tunnels.values()] : [this.tunnel(dev)];
    return asked.map((tunnel) => statistics.ofTunnel(tunnel));
  }

  sockets(): SocketStats[] {
    return this.parts.receivers.list().map((receiver) => this.parts.statistics.ofSocket(receiver));
  }

  private tunnel(name: string): Tunnel {
    return existingTunnel(this.parts.tunnels, name);
  }

  /** @throws ERR_LINK_NOT_FOUND, ERR_CONFIG_CONFLICT */
  private tunnelWithFdb(name: string): Tunnel {
    const tunnel = this.tunnel(name);
    admitFdb(tunnel);
    return tunnel;
  }

  private view(tunnel: Tunnel): LinkView {
    const { config, encapsulation, endpoints, device, forwarding, bd, underlayProblem: problem } = tunnel;
    const [{ receivers, transmitter }] = endpoints.all as [Endpoint];
    const { accounts } = this.parts.tables.fdb;
    const info = device.info();
    const mac = info?.macAddress ?? device.macAddress;
    return {
      name: config.name,
      device: info?.name ?? config.name,
      mode: config.mode,
      ifindex: info?.ifindex ?? 0,
      vni: config.id,
      isEthernet: encapsulation.isEthernet,
      gre: greView(config),
      embedding: config.embedding ?? null,
      encap: config.encap?.type ?? null,
      locals: endpoints.all.map(({ local }) => local.text),
      remote: this.remoteOf(tunnel),
      group: config.group ?? null,
      flood: forwarding.flood.places.map(({ remote }) => remote.address),
      routes: tunnel.routesInForce(),
      names: tunnel.names.list(),
      link: config.link ?? null,
      port: config.port,
      mtu: info?.mtu ?? device.mtu,
      macAddress: formatMac(readMacHi(mac, 0), readMacLo(mac, 0)),
      learning: config.macLearning,
      unknownUnicast: config.unknownUnicast,
      policers: policerView(config),
      oversize: config.oversize,
      mssClamp: config.mssClamp,
      vlan: config.vlan,
      ageingS: config.ageingS,
      fdbLimit: config.limit,
      fdbLimitPerRemote: config.limitPerRemote ?? 0,
      eviction: config.eviction,
      moveDamping: config.moveDamping,
      fdbLearned: accounts.learned(bd),
      fdbStatic: accounts.fixed(bd),
      netns: config.netns ?? null,
      netnsInode: info === undefined ? null : String(info.netnsInode),
      underlayNetns: config.underlayNetns ?? null,
      queues: device.queues,
      tier: transmitter.tier,
      receiver: receivers[0]!.kind,
      kernelModules: kernelModulesOf(tunnel),
      ttl: config.ttl ?? null,
      tos: config.tos,
      df: config.doNotFragment,
      flowLabel: config.flowLabel,
      sourcePorts: config.sourcePorts ?? null,
      checksum: config.checksum,
      zeroChecksum6Tx: config.zeroChecksum6Tx,
      zeroChecksum6Rx: config.zeroChecksum6Rx,
      mark: config.mark ?? null,
      accept: config.accept,
      arpProxy: config.arpProxy,
      notifications: config.notifications,
      state: info === undefined ? "gone" : "up",
      isUp: info?.up ?? false,
      underlayProblem: problem === undefined ? null : { code: problem.code, message: problem.message },
    };
  }

  /** The address of `remote`, unless it has a name that was never resolved. */
  private remoteOf({ config, forwarding }: Tunnel): string | null {
    if (config.remote === undefined || !isHostName(config.remote)) return config.remote ?? null;
    const place = forwarding.flood.places.find(({ wish }) => wish.isSingle && wish.dst === config.remote);
    return place?.remote.address ?? null;
  }

  private *entries(tunnels: readonly Tunnel[]): Generator<FdbEntryView> {
    const nowS = monotonicS();
    for (const tunnel of tunnels) yield* floodEntries(tunnel, nowS);
    const byDomain = new Map(tunnels.map((tunnel) => [tunnel.bd, tunnel]));
    for (const entry of this.parts.tables.fdb.entries()) {
      const tunnel = byDomain.get(entry.bd);
      if (tunnel !== undefined) yield this.entryView(tunnel, entry, nowS);
    }
  }

  private entryView(tunnel: Tunnel, entry: FdbEntry, nowS: number): FdbEntryView {
    const { remotes } = this.parts.tables;
    const isStatic = (entry.flags & FDB_STATIC) !== 0;
    const mac = formatMac(entry.macHi, entry.macLo);
    const { statics } = tunnel.forwarding;
    const wish = isStatic && statics.hasPeculiar ? statics.get(mac)?.wish : undefined;
    return {
      dev: tunnel.config.name,
      mac,
      dst: formatVtepAddress(remotes.address(entry.target)),
      ...nameOf(wish),
      ...ownPortAndVni(tunnel, remotes.get(entry.target, REMOTE_UDP_PORT), remotes.get(entry.target, REMOTE_VNI)),
      ...(isStatic ? viaOf(wish?.via) : {}),
      origin: isStatic ? "static" : "learned",
      ...((entry.flags & FDB_STICKY) === 0 ? {} : { sticky: true }),
      owner: isStatic ? ((entry.flags & FDB_CONTROL) === 0 ? "config" : "control") : "learned",
      usedS: nowS - entry.usedS,
      updatedS: nowS - entry.updatedS,
    };
  }
}

function* floodEntries(tunnel: Tunnel, nowS: number): Generator<FdbEntryView> {
  for (const { remote, wish } of tunnel.forwarding.flood.places) {
    const ageS = nowS - wish.sinceS;
    yield {
      dev: tunnel.config.name,
      mac: FLOOD_MAC,
      dst: remote.address,
      ...nameOf(wish),
      ...ownPortAndVni(tunnel, remote.port, remote.vni),
      ...viaOf(wish.via ?? (isDefault(tunnel, wish) ? tunnel.config.link : undefined)),
      origin: "static",
      owner: wish.owner,
      usedS: ageS,
      updatedS: ageS,
    };
  }
}

const nameOf = (wish: Wish | undefined): { name?: string } =>
  wish !== undefined && isHostName(wish.dst) ? { name: wish.dst } : {};

/** UDP port and VNI, where they are not the tunnel's own. */
const ownPortAndVni = ({ config }: Tunnel, port: number, vni: number): { port?: number; vni?: number } => ({
  ...(port === config.port ? {} : { port }),
  ...(vni === config.id ? {} : { vni }),
});

const ratesOf = ({ broadcast, multicast, unknownUnicast }: TunnelConfig["policers"]): PolicerRates => ({
  ...(broadcast === undefined ? {} : { broadcast: broadcast.rate }),
  ...(multicast === undefined ? {} : { multicast: multicast.rate }),
  ...(unknownUnicast === undefined ? {} : { unknownUnicast: unknownUnicast.rate }),
});

const policerView = ({ policers, sourcePolicers }: TunnelConfig): PolicerView => {
  const perSource = ratesOf(sourcePolicers);
  return { ...ratesOf(policers), ...(Object.keys(perSource).length === 0 ? {} : { perSource }) };
};

const greView = ({ key, greChecksum, greSequence }: TunnelConfig): LinkView["gre"] => ({
  inputKey: key?.input ?? null,
  outputKey: key?.output ?? null,
  checksum: greChecksum,
  sequence: greSequence,
});

const viaOf = (via: string | undefined): { via?: string } => (via === undefined ? {} : { via });

/** Where the device itself was made to flood to: the kernel shows the interface that it is pinned to there, and only there. */
const isDefault = ({ config }: Tunnel, { dst, port, vni }: Wish): boolean =>
  dst === (config.remote ?? config.group) && port === config.port && vni === config.id;
