/**
 * The remote VTEPs of one tunnel, counted by who uses them (flood list, static FDB entries): which slots of the remote
 * table they have, so that a slot exists exactly as long as something leads to it.
 *
 * A remote with a UDP port, VNI or interface of its own also holds the tunnel's plain remote of the same address: frames are accepted
 * from that address and learned entries point to the plain one (see dataplane/remote-table.ts).
 */
import { type Counters, clearRow, REMOTE_COLUMNS } from "../dataplane/counters.ts";
import { RECURSIVE_TX_PORT, type RemoteWay } from "../dataplane/remote-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import { parseVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { underlayHeaderBytes, underlayHeaders } from "../wire/underlay-headers.ts";
import { monotonicS } from "./clock.ts";
import type { Encapsulation, Templates } from "./encapsulation.ts";
import type { Endpoints, Exit } from "./endpoint.ts";
import type { PathKey, PathMtus } from "./path-mtu.ts";
import type { Reception } from "./reception.ts";
import type { Transmitter } from "./transmitters.ts";
import type { ViaSockets } from "./via-sockets.ts";

/** What Linux sends with by default, and one more for the hop from the uplink to the underlay. */
const UPLINK_TTL = 65;

export interface RemoteKey {
  /** Canonical text. */
  readonly address: string;
  readonly port: number;
  readonly vni: number;
  /** Underlay interface that copies leave by, when it has one of its own. */
  readonly via?: string | undefined;
}

/** What the remotes of a tunnel are written into and made with. */
export interface RemoteParts {
  readonly tables: Tables;
  /** One set per worker. */
  readonly counters: readonly Counters[];
  readonly paths: PathMtus;
  readonly encapsulation: Encapsulation;
  readonly reception: Reception;
  readonly vias: Pick<ViaSockets, "exit">;
}

interface Held extends RemoteKey {
  readonly slot: number;
  users: number;
}

export class TunnelRemotes {
  private readonly parts: RemoteParts;
  private readonly tables: Tables;
  private readonly bd: number;
  private endpoints: Endpoints;
  private readonly own: { readonly port: number; readonly vni: number };
  private readonly held = new Map<string, Held>();
  /** Those of them that are plain, by address: almost all that is asked for. */
  private readonly plain = new Map<string, Held>();
  /** Addresses that nothing is sent to, because the routes to them lead back into the tunnel. */
  private recursive: ReadonlySet<string> = new Set();
  /** Slots of our own addresses. */
  private self: number[] = [];
  /** By address: those that nobody named (strangers.ts). */
  private readonly met = new Map<string, RemoteKey>();

  /** @param own the tunnel's own UDP port and VNI */
  constructor(parts: RemoteParts, bd: number, endpoints: Endpoints, own: { port: number; vni: number }) {
    this.parts = parts;
    this.tables = parts.tables;
    this.bd = bd;
    this.endpoints = endpoints;
    this.own = own;
  }

  /** Whether nothing is to be sent to them. */
  get isMirror(): boolean {
    return this.parts.encapsulation.isMirror;
  }

  /** Key of the remote VTEP; of one that is held and plain always the same object, as very many entries may have it. */
  keyOf(address: string, { port, vni, via }: Omit<RemoteKey, "address">): RemoteKey {
    const isOwn = port === this.own.port && vni === this.own.vni && via === undefined;
    return (isOwn ? this.plain.get(address) : undefined) ?? { address, port, vni, via };
  }

  /** Slot of the remote VTEP, made when it is new. @throws ERR_LIMIT, ERR_CONFIG_CONFLICT, then nothing is held */
  acquire(key: RemoteKey): number {
    if (this.isPlain(key)) return this.acquireSlot(key);
    const plain = { ...this.own, address: key.address };
    this.acquireSlot(plain);
    try {
      return this.acquireSlot(key);
    } catch (error) {
      this.releaseSlot(plain);
      throw error;
    }
  }

  release(key: RemoteKey): void {
    this.releaseSlot(key);
    if (!this.isPlain(key)) this.releaseSlot({ ...this.own, address: key.address });
  }

  /** All remotes, in the order in which they came. */
  list(): Held[] {
    return [...this.held.values()];
  }

  /** Bytes of the largest packet on the way to a slot's VTEP, 0 when nobody knows. */
  pathMtu(slot: number): number {
    return this.parts.paths.of(slot);
  }

  /** Whether a remote has the tunnel's own UDP port, VNI and interface. */
  isPlain(key: RemoteKey): boolean {
    return key.port === this.own.port && key.vni === this.own.vni && key.via === undefined;
  }

  /** How many VTEPs that nobody named have a slot. */
  get strangers(): number {
    return this.met.size;
  }

  /** Whether the tunnel has a remote of this address. */
  has(address: string): boolean {
    return this.plain.has(address);
  }

  /** Gives a VTEP that nobody named a slot. Returns false when it has one, and when there is none left. */
  meet(address: string): boolean {
    if (this.has(address)) return false;
    const key = { ...this.own, address };
    try {
      this.acquireSlot(key);
    } catch (error) {
      // Nobody has asked for anything, so there is nobody to tell: it is as with one stranger too many.
      if (error instanceof VtepdError && error.code === "ERR_LIMIT") return false;
      throw error;
    }
    this.met.set(address, key);
    return true;
  }

  /** Takes the slots of such VTEPs back, of those that are idle. */
  forget(isIdle: (slot: number) => boolean): void {
    for (const [address, key] of this.met) {
      if (!isIdle(this.held.get(remoteText(key))!.slot)) continue;
      this.met.delete(address);
      this.releaseSlot(key);
    }
  }

  /** Makes our own addresses known as such, so that multicast of ours that comes back is dropped. Returns what undoes it. */
  addSelf(): () => void {
    this.self = this.insertSelf(this.endpoints);
    return () => this.setSelf([]);
  }

  /** Sends to all remotes through other endpoints, or other sockets of their interfaces, of the same families. @throws ERR_LIMIT, then nothing has changed */
  moveTo(endpoints: Endpoints): void {
    const ways = [...this.held.values()].map((held) => [held.slot, this.wayTo(endpoints, held)] as const);
    if (this.self.length > 0) this.setSelf(this.insertSelf(endpoints));
    for (const [slot, way] of ways) this.tables.remotes.setWay(slot, way);
    this.endpoints = endpoints;
    for (const held of this.held.values()) {
      this.parts.paths.remove(held.slot);
      this.addPath(held.slot, held);
    }
  }

  /** Asks the kernel again what the paths carry. */
  refreshPaths(): void {
    for (const { slot } of this.held.values()) this.parts.paths.outdated(slot, performance.now());
  }

  isRecursive(address: string): boolean {
    return this.recursive.has(address);
  }

  addRecursive(address: string): void {
    this.setRecursive(new Set([...this.recursive, address]));
  }

  /** Stops sending to these addresses, and begins again to those of before that are not among them. */
  setRecursive(addresses: ReadonlySet<string>): void {
    const before = this.recursive;
    if (before.size === 0 && addresses.size === 0) return;
    this.recursive = addresses;
    for (const held of this.held.values()) {
      if (before.has(held.address) === addresses.has(held.address)) continue;
      this.tables.remotes.setPort(held.slot, this.wayTo(this.endpoints, held).txPort);
      this.parts.paths.outdated(held.slot, performance.now());
    }
  }

  private insertSelf({ all }: Endpoints): number[] {
    return all.map(({ local, transmitter }) =>
      this.tables.remotes.insert(
        {
          bd: this.bd,
          address: local,
          udpPort: 0,
          vni: this.own.vni,
          scopeId: 0,
          txPort: transmitter.port,
          txMask: 0,
          txDfStep: 0,
          template: new Uint8Array(0),
          indexed: true,
          isSelf: true,
        },
        monotonicS(),
      ),
    );
  }

  private setSelf(slots: number[]): void {
    for (const slot of this.self) this.tables.remotes.remove(slot, monotonicS());
    this.self = slots;
  }

  private acquireSlot(key: RemoteKey): number {
    const known = this.find(key);
    if (known !== undefined) {
      known.users++;
      return known.slot;
    }
    const slot = this.makeSlot(key);
    try {
      if (this.isPlain(key)) this.parts.reception.add(key.address);
    } catch (error) {
      this.tables.remotes.remove(slot, monotonicS());
      throw error;
    }
    this.addPath(slot, key);
    const held = { ...key, slot, users: 1 };
    this.held.set(remoteText(key), held);
    if (this.isPlain(key)) this.plain.set(key.address, held);
    return slot;
  }

  private find(key: RemoteKey): Held | undefined {
    return this.isPlain(key) ? this.plain.get(key.address) : this.held.get(remoteText(key));
  }

  private makeSlot(key: RemoteKey): number {
    const address = parseVtepAddress(key.address);
    const exit = this.exitTo(this.endpoints, key);
    const slot = this.tables.remotes.insert(
      {
        bd: this.bd,
        address,
        udpPort: key.port,
        vni: key.vni,
        flowLabel: exit.transmitter.spec.flowLabel,
        ...this.wayTo(this.endpoints, key),
        indexed: this.isPlain(key),
      },
      monotonicS(),
    );
    clearRow(this.parts.counters, "remote", slot, REMOTE_COLUMNS);
    return slot;
  }

  private addPath(slot: number, key: RemoteKey): void {
    const { family } = parseVtepAddress(key.address);
    const { encapsulation, paths } = this.parts;
    paths.add(slot, this.pathTo(key), (mtu) => encapsulation.frameBytes(mtu, family));
  }

  private releaseSlot(key: RemoteKey): void {
    const held = this.find(key);
    if (held === undefined || --held.users > 0) return;
    this.held.delete(remoteText(key));
    if (this.isPlain(key)) this.plain.delete(key.address);
    this.parts.paths.remove(held.slot);
    if (this.isPlain(key)) this.parts.reception.remove(key.address);
    const { fdb, remotes } = this.tables;
    const nowS = monotonicS();
    // First, or workers would learn behind it again; what one learns in the batch that it is at goes with ageing.ts.
    remotes.remove(held.slot, nowS);
    if (fdb.accounts.learnedAt(held.slot) > 0) {
      fdb.sweep(nowS, (bd, target) => bd === this.bd && target === held.slot);
    }
  }

  private wayTo(endpoints: Endpoints, key: RemoteKey): RemoteWay {
    const exit = this.exitTo(endpoints, key);
    const { port, mask, dfStep, uplink, spec } = exit.transmitter;
    return {
      scopeId: exit.scopeId,
      txPort: this.recursive.has(key.address) ? RECURSIVE_TX_PORT : port,
      txMask: mask,
      txDfStep: dfStep,
      txIpv6Step: exit.ipv6Transmitter === undefined ? 0 : exit.ipv6Transmitter.port - port,
      underlayBytes: uplink === undefined ? 0 : underlayHeaderBytes(spec.protocol),
      ...this.templates(exit, key),
    };
  }

  private exitTo(endpoints: Endpoints, { address, via }: RemoteKey): Exit {
    const { family } = parseVtepAddress(address);
    return via === undefined ? endpoints.of(family, address, "dst") : this.parts.vias.exit(via, family);
  }

  private pathTo(key: RemoteKey): PathKey {
    const { scopeId, transmitter } = this.exitTo(this.endpoints, key);
    return { probeFd: transmitter.probeFd, address: parseVtepAddress(key.address), port: key.port, scopeId };
  }

  private templates({ local, transmitter, ipv6Transmitter }: Exit, { address, port, vni }: RemoteKey): Templates {
    const plain = this.parts.encapsulation.templates(vni);
    const behindUnderlay = (tunnelHeader: Uint8Array, { spec, uplink }: Transmitter): Uint8Array => {
      if (uplink === undefined) return tunnelHeader;
      const { macAddress } = uplink;
      const [src, dst] = [local.bytes, parseVtepAddress(address).bytes];
      const { protocol } = spec;
      const headers = { dstMac: macAddress, srcMac: macAddress, src, dst, protocol, dstPort: port, ttl: UPLINK_TTL };
      return Uint8Array.of(...underlayHeaders(headers), ...tunnelHeader);
    };
    const { template, ipv6Template } = plain;
    return {
      template: behindUnderlay(template, transmitter),
      ipv6Template: ipv6Template && behindUnderlay(ipv6Template, ipv6Transmitter ?? transmitter),
    };
  }
}

export const remoteText = ({ address, port, vni, via }: RemoteKey): string => `${address} ${port} ${vni} ${via ?? ""}`;
