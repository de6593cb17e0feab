/**
 * What datagrams of the underlay come in through: one receiver per (local address or multicast group, IP protocol, UDP port,
 * underlay interface), shared by all tunnels on it. Its id is the binding by which the data plane tells tunnels apart.
 *
 * A receiver of a unicast address has a socket in each worker, all in one reuse-port group that spreads remote VTEPs over
 * the workers. The kernel gives a multicast datagram to every socket that is bound to its group, so a receiver of a group
 * has one socket, in one worker chosen by the group. One socket per group also passes the kernel's limit of 20 memberships a
 * socket (igmp_max_memberships), and being bound to the group it gets that group's datagrams only.
 *
 * ICMP "packet too big" that quotes a datagram from a receiving port is forged, because none leaves from there, and anybody
 * knows the port: the kernel is told not to believe it (IP_PMTUDISC_OMIT), unless tunnels send from that port.
 *
 * In tier `tunnel` VXLAN's IPv4 receivers use packet sockets where the kernel can (receive-offload.ts). Protocols other than UDP always
 * come through packet sockets: a raw socket would get packets that the kernel has merged without being told of it
 * (native/packet-socket.cc).
 *
 * A port held by somebody else is found by binding once without SO_REUSEPORT: with it, a second vtepd of the same user
 * would share the port in silence and steal half of the traffic.
 */
import { AF_INET, PORT_PACKET_RX, PORT_UDP_RX } from "../binding/abi.ts";
import { addon, type PacketSocketOptions, type UdpOptions } from "../binding/addon.ts";
import { headerTwice } from "../config/contradictions.ts";
import { type HeaderFormat, MAX_BINDINGS } from "../dataplane/binding-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import { addressWords, type VtepAddress } from "../dataplane/vtep-address.ts";
import type { PortChange } from "../dataplane/worker.ts";
import { VtepdError } from "../errors.ts";
import { netnsPath } from "../host/netns.ts";
import { kernelVxlanOnPort } from "../host/underlay.ts";
import { PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import { VNI_HEADER_BYTES } from "../wire/vni-header.ts";
import { attempt } from "./native-error.ts";
import type { Offload } from "./offload.ts";
import { Pool } from "./pool.ts";
import { ReceiveOffload, removeLeftover } from "./receive-offload.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Undo } from "./undo.ts";

/** IP_PMTUDISC_OMIT: fragment as needed, by the interface's MTU only. */
const BELIEVE_NO_ICMP = 5;

/** Room for bursts of superframes; a TCP window's worth at 10 Gbit/s and 1 ms. */
export const SOCKET_BUFFER_BYTES: number = 4 << 20;

export interface ReceiverSpec {
  /** Ours, or a multicast group. */
  readonly address: VtepAddress;
  /** IP protocol number, and the UDP port, 0 with another protocol. */
  readonly protocol: number;
  readonly port: number;
  /** Underlay interface; a group has one. */
  readonly link: { readonly name: string; readonly ifindex: number } | undefined;
  /** Of a link-local address; 0 else. */
  readonly scopeId: number;
  readonly format: HeaderFormat;
  /** Header layout of the tunnel (binding/abi.ts, HEADER_*). */
  readonly header: number;
  readonly isGroup: boolean;
  /** Undefined = the daemon's own. */
  readonly netns: string | undefined;
  /** Sockets of another epoch are not shared, though all else is equal (endpoint.ts). */
  readonly epoch: string;
  /** Whether datagrams over IPv6 may have no checksum. */
  readonly acceptZeroChecksum6: boolean;
}

export interface Receiver {
  /** Also the row of its drop counters. */
  readonly id: number;
  readonly spec: ReceiverSpec;
  /** Of the data plane; sending from it uses the receiving UDP port. */
  readonly port: number;
  readonly kind: "socket" | "packet";
  /** The socket that is a member of the group. */
  readonly member: number | undefined;
}

export class Receivers {
  private readonly tables: Tables;
  private readonly supervisor: Supervisor;
  private readonly offload: Offload;
  private readonly onRefused: (port: number, refusal: string) => void;
  /** UDP ports whose sockets send, too. */
  private readonly sendingPorts = new Set<number>();
  private readonly receiveOffload = new ReceiveOffload();
  private readonly pool = new Pool<Receiver>();
  /** What makes the workers receive on those that are new. */
  private readonly waiting = new Map<Receiver, PortChange[][]>();

  /** @param onRefused told why a port's packets cannot be received in the way of tier `tunnel` */
  constructor(
    tables: Tables,
    supervisor: Supervisor,
    offload: Offload,
    onRefused: (port: number, refusal: string) => void,
  ) {
    this.tables = tables;
    this.supervisor = supervisor;
    this.offload = offload;
    this.onRefused = onRefused;
  }

  /** Sockets of the UDP port that are opened from now on are going to send, too. */
  sendsFrom(port: number): void {
    this.sendingPorts.add(port);
  }

  /** @throws ERR_ADDRESS_IN_USE, ERR_ADDRESS_NOT_LOCAL, ERR_INTERFACE_NOT_FOUND, ERR_PERMISSION, ERR_LIMIT, ERR_SYSCALL */
  acquire(spec: ReceiverSpec): Promise<Receiver> {
    return this.pool.acquire(keyOf(spec), (undo) => this.open(spec, undo));
  }

  release(receiver: Receiver): Promise<void> {
    return this.pool.release(receiver);
  }

  /**
   * Lets the workers receive on what is new. Until then datagrams wait in the sockets, so that none is counted as of an
   * unknown VNI while its tunnel is still being made.
   */
  async activate(): Promise<void> {
    for (const [receiver, changes] of this.waiting) {
      this.waiting.delete(receiver);
      await this.supervisor.changePorts(changes);
    }
  }

  list(): Receiver[] {
    return this.pool.list();
  }

  private async open(spec: ReceiverSpec, undo: Undo): Promise<Receiver> {
    if (!spec.isGroup) await this.checkFree(spec);
    const { ports } = this.tables;
    const id = this.freeId();
    const kind = await this.chooseKind(spec, undo);
    const portKind = kind === "packet" ? PORT_PACKET_RX : PORT_UDP_RX;
    const port = ports.allocate(portKind, id);
    undo.push(() => ports.release(port));
    const { fds, member } = this.openSockets(spec, kind, undo);
    const removal = fds.map((fd) => (fd === undefined ? [] : [{ verb: "remove", port } as const]));
    undo.push(() => this.supervisor.changePorts(removal));
    this.tables.bindings.set(id, spec.format);
    const { header } = spec;
    const features = this.offload.rxFeatures | this.offload.txFeatures;
    const receiver = { id, spec, port, kind, member };
    undo.push(() => void this.waiting.delete(receiver));
    this.waiting.set(
      receiver,
      fds.map((fd) => (fd === undefined ? [] : [{ verb: "add", port, fd, kind: portKind, header, features }])),
    );
    return receiver;
  }

  private async chooseKind(spec: ReceiverSpec, undo: Undo): Promise<"socket" | "packet"> {
    if (spec.protocol !== PROTOCOL_UDP) return "packet";
    if (spec.header !== VNI_HEADER_BYTES) return "socket"; // the kernel's device would look for frames elsewhere
    const isHere = spec.address.family === AF_INET && spec.netns === undefined;
    if (this.offload.tier !== "tunnel" || !isHere) return "socket";
    const refusal = await this.receiveOffload.acquire(spec.port);
    undo.push(() => this.receiveOffload.release(spec.port));
    if (refusal !== "") this.onRefused(spec.port, refusal);
    return refusal === "" ? "packet" : "socket";
  }

  /** A descriptor for each worker that has one. */
  private openSockets(
    spec: ReceiverSpec,
    kind: "socket" | "packet",
    undo: Undo,
  ): { fds: (number | undefined)[]; member: number | undefined } {
    const { count } = this.supervisor;
    const merge = this.offload.mergeDatagrams;
    const fds: number[] = [];
    undo.push(() => fds.forEach(addon.closeFd));
    if (kind === "packet") {
      fds.push(...attempt(describe(spec), () => addon.openPacketSockets(receivingPackets(spec, count))));
      return { fds: [...fds], member: spec.isGroup ? this.join(spec, undo) : undefined };
    }
    const believes = this.sendingPorts.has(spec.port) ? {} : { mtuDiscover: BELIEVE_NO_ICMP };
    attempt(describe(spec), () => {
      const sockets = spec.isGroup ? 1 : count;
      for (let n = 0; n < sockets; n++) fds.push(addon.openUdp({ ...receiving(spec), ...believes, merge }));
    });
    if (!spec.isGroup) return { fds, member: undefined };
    const worker = (addressWords(spec.address.mapped)[3]! >>> 24) % count;
    return { fds: Array.from({ length: count }, (_, n) => (n === worker ? fds[0] : undefined)), member: fds[0] };
  }

  /** Joins the group with a socket that is good for nothing else: packet sockets cannot. */
  private join(spec: ReceiverSpec, undo: Undo): number {
    const options = { ...receiving(spec), port: 0, reusePort: false, receiveInfo: false, discardInput: true };
    const fd = attempt(describe(spec), () => addon.openUdp(options));
    undo.push(() => addon.closeFd(fd));
    return fd;
  }

  /**
   * Makes a member of the group again, after the interface has lost that. The socket stays: the end of an old one would
   * take the new one's membership along. @throws ERR_SYSCALL
   */
  rejoin({ spec, member }: Receiver): void {
    const { address, link } = spec;
    if (member === undefined || link === undefined) return;
    attempt(describe(spec), () => addon.rejoinGroup({ fd: member, address: address.bytes, joinOn: link.ifindex }));
  }

  private async checkFree(spec: ReceiverSpec): Promise<void> {
    if (spec.protocol !== PROTOCOL_UDP) return; // no socket has an IP protocol for itself
    if (spec.netns === undefined && spec.address.family === AF_INET && this.receiveOffload.holds(spec.port)) {
      // Only whether the address is this host's.
      addon.closeFd(attempt(describe(spec), () => addon.openUdp({ ...receiving(spec), port: 0, reusePort: false })));
      return;
    }
    const ours = this.list().filter(
      ({ spec: other }) =>
        other.port === spec.port && other.address.text === spec.address.text && other.netns === spec.netns,
    );
    for (const { spec: other } of ours) checkHeader(spec, other);
    if (ours.length > 0) return; // the same port on another interface: our own sockets would answer
    const bind = (): void =>
      addon.closeFd(attempt(describe(spec), () => addon.openUdp({ ...receiving(spec), reusePort: false })));
    try {
      bind();
    } catch (error) {
      if (!(error instanceof VtepdError) || error.code !== "ERR_ADDRESS_IN_USE") throw error;
      if (spec.netns === undefined && (await removeLeftover(spec.port))) return bind();
      const device = await kernelVxlanOnPort(spec.port, spec.netns);
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

const headerOf = ({ format, header }: ReceiverSpec): string => `${JSON.stringify(format)} ${header}`;

/** Two sockets of one port and interface would share out what comes without a look at it. @throws ERR_CONFIG_CONFLICT */
const checkHeader = (spec: ReceiverSpec, other: ReceiverSpec): void => {
  if (headerOf(spec) === headerOf(other) || spec.link?.name !== other.link?.name) return;
  const words = headerTwice(`port ${spec.port} and local address ${spec.address.text}`);
  throw new VtepdError("ERR_CONFIG_CONFLICT", `${words} the other tunnel's`);
};

const keyOf = (spec: ReceiverSpec): string => {
  const { address, protocol, port, link, scopeId, netns, epoch, acceptZeroChecksum6 } = spec;
  return `${netns ?? ""} ${epoch} ${address.text} ${protocol} ${port} ${link?.name ?? ""} ${scopeId} ${headerOf(spec)} ${acceptZeroChecksum6}`;
};

const receiving = (spec: ReceiverSpec): UdpOptions => ({
  address: spec.address.bytes,
  port: spec.port,
  scopeId: spec.isGroup ? 0 : spec.scopeId,
  ...(spec.link === undefined ? {} : { device: spec.link.name }),
  ...(spec.isGroup ? { joinOn: spec.link!.ifindex } : {}),
  reusePort: true,
  receiveBuffer: SOCKET_BUFFER_BYTES,
  sendBuffer: SOCKET_BUFFER_BYTES,
  acceptZeroChecksum6: spec.acceptZeroChecksum6,
  receiveInfo: true,
  ...(spec.netns === undefined ? {} : { netns: netnsPath(spec.netns) }),
});

const receivingPackets = (spec: ReceiverSpec, count: number): PacketSocketOptions => ({
  address: spec.address.bytes,
  protocol: spec.protocol,
  ...(spec.protocol === PROTOCOL_UDP ? { port: spec.port } : {}),
  ...(spec.netns === undefined ? {} : { netns: netnsPath(spec.netns) }),
  ...(spec.link === undefined ? {} : { device: spec.link.name }),
  isGroup: spec.isGroup,
  count,
  receiveBuffer: SOCKET_BUFFER_BYTES,
});

const describe = (spec: ReceiverSpec): string =>
  spec.protocol === PROTOCOL_UDP ? `UDP socket ${formatSocket(spec)}` : `packet socket ${formatSocket(spec)}`;

/** `192.0.2.1:4789`, `[2001:db8::1]:4789`; `192.0.2.1 protocol 47`. */
export const formatSocket = ({
  address,
  protocol,
  port,
}: Pick<ReceiverSpec, "address" | "protocol" | "port">): string => {
  if (protocol !== PROTOCOL_UDP) return `${address.text} protocol ${protocol}`;
  return address.family === AF_INET ? `${address.text}:${port}` : `[${address.text}]:${port}`;
};
