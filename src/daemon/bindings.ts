/**
 * Underlay bindings: one per (local address, UDP port, underlay interface), shared by all tunnels on it and counted by
 * them. A binding is, for each worker, one socket that receives on the port (a reuse-port group spreads remote VTEPs over
 * the workers) and TX_SOCKETS sockets on ephemeral ports that send.
 *
 * Sending from several ports gives the underlay flow entropy (RFC 7348 section 5): routers and receive queues spread by the
 * outer 5-tuple, and a UDP socket has one source port. The loop picks the socket by inner flow hash.
 *
 * In tier `tunnel` an IPv4 binding sends through an uplink instead (uplink.ts), where each packet has its own source port.
 * A binding to one underlay interface does not: what the uplink sends goes where the routing table says. There it also
 * receives otherwise, where the kernel can (receive-offload.ts).
 *
 * A port held by somebody else is found by binding once without SO_REUSEPORT: with it, a second vtepd of the same user
 * would share the port in silence and steal half of the traffic.
 */
import { AF_INET, PORT_PACKET_RX, PORT_UDP_RX, PORT_UDP_TX, PORT_UPLINK } from "../binding/abi.ts";
import { addon, type PacketSocketOptions, type UdpOptions } from "../binding/addon.ts";
import type { OffloadTier } from "../config/schema.ts";
import type { Tables } from "../dataplane/tables.ts";
import { MAX_BINDINGS } from "../dataplane/vni-table.ts";
import type { VtepAddress } from "../dataplane/vtep-address.ts";
import type { PortChange } from "../dataplane/worker.ts";
import { VtepdError } from "../errors.ts";
import { kernelVxlanOnPort } from "../host/underlay.ts";
import { attempt } from "./native-error.ts";
import type { Offload } from "./offload.ts";
import { ReceiveOffload, removeLeftover } from "./receive-offload.ts";
import type { Supervisor } from "./supervisor.ts";
import { Undo } from "./undo.ts";
import { Uplink } from "./uplink.ts";

/** A power of two: the flow hash is cut with a mask. */
const TX_SOCKETS = 16;
/** Room for bursts of superframes; a TCP window's worth at 10 Gbit/s and 1 ms. */
const SOCKET_BUFFER_BYTES = 4 << 20;
/** IP_PMTUDISC_DONT: DF clear, as the kernel's `df unset`. */
const FRAGMENT_AS_NEEDED = 0;

export interface BindingSpec {
  readonly local: VtepAddress;
  readonly port: number;
  readonly link: string | undefined;
  /** Interface index, for link-local IPv6 addresses; 0 else. */
  readonly scopeId: number;
  /** Bytes of tunnel header. */
  readonly headerLength: number;
}

export interface Binding {
  readonly id: number;
  readonly spec: BindingSpec;
  /** First of the sending ports, and the mask for the flow hash. */
  readonly txPort: number;
  readonly txMask: number;
  /** What frames are sent through, when not through sockets. */
  readonly uplink: Uplink | undefined;
  readonly tier: OffloadTier;
  /** What its datagrams come through. */
  readonly receiver: "socket" | "packet";
}

interface Shared {
  readonly binding: Binding;
  readonly undo: Undo;
  /** What makes the workers receive on it; undefined once they do. */
  receive: PortChange[][] | undefined;
  users: number;
}

export class Bindings {
  private readonly tables: Tables;
  private readonly supervisor: Supervisor;
  private readonly offload: Offload;
  private readonly onRefused: (port: number, refusal: string) => void;
  private readonly receiveOffload = new ReceiveOffload();
  private readonly shared = new Map<string, Shared>();
  private readonly lost = new Set<Uplink>();
  private reviving: Promise<void> | undefined;

  /** @param onRefused told why a port's packets cannot be received in the way of tier `tunnel` */
  constructor(
    tables: Tables,
    supervisor: Supervisor,
    offload: Offload,
    onRefused: (port: number, refusal: string) => void,
  ) {
    this.onRefused = onRefused;
    this.tables = tables;
    this.supervisor = supervisor;
    this.offload = offload;
  }

  /** @throws ERR_ADDRESS_IN_USE, ERR_ADDRESS_NOT_LOCAL, ERR_INTERFACE_NOT_FOUND, ERR_PERMISSION, ERR_LIMIT, ERR_SYSCALL */
  async acquire(spec: BindingSpec): Promise<Binding> {
    const key = keyOf(spec);
    const known = this.shared.get(key);
    if (known !== undefined) {
      known.users++;
      return known.binding;
    }
    const undo = new Undo();
    try {
      const { binding, receive } = await this.open(spec, undo);
      this.shared.set(key, { binding, undo, receive, users: 1 });
      return binding;
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  /**
   * Lets the workers receive on bindings that are new. Until then datagrams wait in the sockets, so that none is counted
   * as of an unknown VNI while its tunnel is still being made.
   */
  async activate(): Promise<void> {
    for (const shared of this.shared.values()) {
      const { receive } = shared;
      shared.receive = undefined;
      if (receive !== undefined) await this.supervisor.changePorts(receive);
    }
  }

  async release(binding: Binding): Promise<void> {
    const key = keyOf(binding.spec);
    const shared = this.shared.get(key);
    if (shared === undefined || --shared.users > 0) return;
    this.shared.delete(key);
    await shared.undo.run();
  }

  /** A worker lost the device behind a port. Returns its name when it is an uplink and the first to say so. */
  gone(port: number): string | undefined {
    const uplink = this.list().find((binding) => binding.uplink?.port === port)?.uplink;
    if (uplink === undefined || this.lost.has(uplink)) return undefined;
    this.lost.add(uplink);
    return uplink.name;
  }

  /** Makes lost uplinks again, those that it can. */
  revive(): Promise<void> {
    this.reviving ??= this.reviveLost().finally(() => {
      this.reviving = undefined;
    });
    return this.reviving;
  }

  /** Resolves when no attempt to make an uplink again is running any more. */
  async settle(): Promise<void> {
    await this.reviving;
  }

  private async reviveLost(): Promise<void> {
    for (const uplink of this.lost) {
      await uplink.reopen().then(
        () => this.lost.delete(uplink),
        () => {}, // it was said that it is gone; the next call tries again
      );
    }
  }

  /** All bindings in use. */
  list(): Binding[] {
    return [...this.shared.values()].map(({ binding }) => binding);
  }

  private async open(spec: BindingSpec, undo: Undo): Promise<{ binding: Binding; receive: PortChange[][] }> {
    await this.checkFree(spec);
    const table = this.tables.ports;
    const id = this.freeId();
    const receiver = await this.chooseReceiver(spec, undo);
    const rxKind = receiver === "packet" ? PORT_PACKET_RX : PORT_UDP_RX;
    const rxPort = table.allocate(rxKind, id);
    undo.push(() => table.release(rxPort));
    const uplink = await this.openUplink(spec, id, undo);
    const txSockets = uplink === undefined ? TX_SOCKETS : 0;
    const txPort = uplink?.port ?? table.allocate(PORT_UDP_TX, id, txSockets);
    if (uplink === undefined) undo.push(() => table.release(txPort, txSockets));
    const receive: PortChange[][] = [];
    const send: PortChange[][] = [];
    const { headerLength } = spec;
    const { rxFeatures, txFeatures } = this.offload;
    const workers = this.supervisor.count;
    const rxFds = this.openReceivers(spec, receiver, undo);
    for (let worker = 0; worker < workers; worker++) {
      const open = (options: UdpOptions): number => {
        const fd = attempt(describe(spec), () => addon.openUdp(options));
        undo.push(() => addon.closeFd(fd));
        return fd;
      };
      const fd = rxFds[worker]!;
      receive.push([{ verb: "add", port: rxPort, fd, kind: rxKind, headerLength, features: rxFeatures }]);
      send.push(
        Array.from({ length: txSockets }, (_, n) => {
          const fd = open(sending(spec));
          return { verb: "add", port: txPort + n, fd, kind: PORT_UDP_TX, headerLength: 0, features: txFeatures };
        }),
      );
    }
    const ports = [rxPort, ...Array.from({ length: txSockets }, (_, n) => txPort + n)];
    const removal = ports.map((port) => ({ verb: "remove", port }) as const);
    undo.push(() => this.supervisor.changePorts(receive.map(() => removal)));
    await this.supervisor.changePorts(send);
    await uplink?.attach();
    const tier = this.offload.tier === "tunnel" && uplink === undefined ? "socket" : this.offload.tier;
    const binding = { id, spec, txPort, txMask: Math.max(txSockets - 1, 0), uplink, tier, receiver };
    return { binding, receive };
  }

  /** Undefined when the binding sends through sockets. */
  private async openUplink(spec: BindingSpec, id: number, undo: Undo): Promise<Uplink | undefined> {
    if (this.offload.tier !== "tunnel" || spec.local.family !== AF_INET || spec.link !== undefined) return undefined;
    const { ports } = this.tables;
    const port = ports.allocate(PORT_UPLINK, id);
    undo.push(() => ports.release(port));
    const uplink = new Uplink(port, this.supervisor);
    await uplink.open();
    undo.push(() => uplink.close());
    undo.push(() => void this.lost.delete(uplink));
    undo.push(() => uplink.detach());
    return uplink;
  }

  private async chooseReceiver(spec: BindingSpec, undo: Undo): Promise<"socket" | "packet"> {
    if (this.offload.tier !== "tunnel" || spec.local.family !== AF_INET) return "socket";
    const refusal = await this.receiveOffload.acquire(spec.port);
    undo.push(() => this.receiveOffload.release(spec.port));
    if (refusal !== "") this.onRefused(spec.port, refusal);
    return refusal === "" ? "packet" : "socket";
  }

  /** A descriptor for each worker. */
  private openReceivers(spec: BindingSpec, receiver: "socket" | "packet", undo: Undo): number[] {
    const { count } = this.supervisor;
    const merge = this.offload.mergeDatagrams;
    const fds: number[] = [];
    undo.push(() => fds.forEach(addon.closeFd));
    attempt(describe(spec), () => {
      if (receiver === "packet") fds.push(...addon.openPacketSockets(receivingPackets(spec, count)));
      else for (let n = 0; n < count; n++) fds.push(addon.openUdp({ ...receiving(spec), merge }));
    });
    return fds;
  }

  private async checkFree(spec: BindingSpec): Promise<void> {
    if (spec.local.family === AF_INET && this.receiveOffload.holds(spec.port)) {
      // Only whether the address is this host's.
      addon.closeFd(attempt(describe(spec), () => addon.openUdp(sending(spec))));
      return;
    }
    const ours = this.list().some(
      ({ spec: other }) => other.port === spec.port && other.local.text === spec.local.text,
    );
    if (ours) return; // the same port on another interface: our own sockets would answer
    const bind = (): void =>
      addon.closeFd(attempt(describe(spec), () => addon.openUdp({ ...receiving(spec), reusePort: false })));
    try {
      bind();
    } catch (error) {
      if (!(error instanceof VtepdError) || error.code !== "ERR_ADDRESS_IN_USE") throw error;
      if (await removeLeftover(spec.port)) return bind();
      const device = await kernelVxlanOnPort(spec.port);
      const holder =
        device === undefined
          ? `another program holds it; \`ss -lunp 'sport = :${spec.port}'\` shows which`
          : `the kernel's own vxlan device ${device} holds it`;
      throw new VtepdError("ERR_ADDRESS_IN_USE", `${describe(spec)}: the port is in use: ${holder}`, { cause: error });
    }
  }

  private freeId(): number {
    const used = new Set(this.list().map(({ id }) => id));
    for (let id = 0; id < MAX_BINDINGS; id++) if (!used.has(id)) return id;
    throw new VtepdError("ERR_LIMIT", `expected at most ${MAX_BINDINGS} underlay sockets, got one more`);
  }
}

const keyOf = (spec: BindingSpec): string => `${spec.local.text} ${spec.port} ${spec.link ?? ""} ${spec.headerLength}`;

const common = (spec: BindingSpec): Omit<UdpOptions, "port" | "reusePort" | "receiveInfo"> => ({
  address: spec.local.bytes,
  scopeId: spec.scopeId,
  ...(spec.link === undefined ? {} : { device: spec.link }),
  sendBuffer: SOCKET_BUFFER_BYTES,
  mtuDiscover: FRAGMENT_AS_NEEDED,
});

const receiving = (spec: BindingSpec): UdpOptions => ({
  ...common(spec),
  port: spec.port,
  reusePort: true,
  receiveBuffer: SOCKET_BUFFER_BYTES,
  receiveInfo: true,
});

const receivingPackets = (spec: BindingSpec, count: number): PacketSocketOptions => ({
  address: spec.local.bytes,
  port: spec.port,
  ...(spec.link === undefined ? {} : { device: spec.link }),
  count,
  receiveBuffer: SOCKET_BUFFER_BYTES,
});

const sending = (spec: BindingSpec): UdpOptions => ({
  ...common(spec),
  port: 0,
  reusePort: false,
  receiveInfo: false,
  discardInput: true,
});

const describe = (spec: BindingSpec): string => `UDP socket ${formatSocket(spec)}`;

/** `192.0.2.1:4789`, `[2001:db8::1]:4789`. */
export const formatSocket = ({ local, port }: Pick<BindingSpec, "local" | "port">): string =>
  local.bytes.length === 4 ? `${local.text}:${port}` : `[${local.text}]:${port}`;
