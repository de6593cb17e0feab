/**
 * What copies go out to the underlay through: one transmitter per (local address, underlay interface, and what the sockets
 * are set to), shared by all tunnels that want the same. A transmitter is, for each worker, TX_SOCKETS sockets on ephemeral
 * ports. With an IP protocol other than UDP it is one raw socket, which also keeps the host from answering
 * that nobody here speaks the protocol.
 *
 * Sending from several ports gives the underlay flow entropy (RFC 7348 section 5): routers and receive queues spread by the
 * outer 5-tuple, and a UDP socket has one source port. The loop picks the socket by inner flow hash. A range of source
 * ports is used evenly; one fixed port is one socket.
 *
 * DF is a property of a socket, not of a datagram: where it depends on the inner packet there are two sets, the second with
 * DF, `dfStep` ports behind the first.
 *
 * In tier `tunnel` IPv4 transmitters of VXLAN, GRE, IPIP and SIT send through an uplink instead (uplink.ts), where each packet
 * has its own source port and flags. One that is pinned to an underlay interface, or asks for anything that an uplink cannot do, does not:
 * what the uplink sends goes where the routing table says.
 */
import { AF_INET, PORT_UDP_TX, PORT_UPLINK } from "../binding/abi.ts";
import { addon, type RawOptions, type UdpOptions } from "../binding/addon.ts";
import type { OffloadTier } from "../config/config.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { netnsPath } from "../host/netns.ts";
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_IPV6, PROTOCOL_UDP } from "../wire/underlay-headers.ts";
import { VNI_HEADER_BYTES } from "../wire/vni-header.ts";
import { attempt } from "./native-error.ts";
import type { Offload } from "./offload.ts";
import { Pool } from "./pool.ts";
import { SOCKET_BUFFER_BYTES } from "./receivers.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Undo } from "./undo.ts";
import { Uplink } from "./uplink.ts";

/** A power of two: the flow hash is cut with a mask. */
const TX_SOCKETS = 16;

/** IP_MTU_DISCOVER: DF clear; DF set, and what is too big for the path refused. */
const FRAGMENT_AS_NEEDED = 0;
const NEVER_FRAGMENT = 2;

/** What the kernel can cut when it is not in UDP. */
const IN_IP: readonly number[] = [PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_IPV6];

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface TransmitterSpec {
  readonly local: VtepAddress;
  /** IP protocol number. */
  readonly protocol: number;
  /** Of a tunnel that shares its one socket with nobody, its name; else empty. */
  readonly owner: string;
  /** Header layout of the tunnel (binding/abi.ts, HEADER_*). */
  readonly header: number;
  /** Whether each packet has a header of its own (GRE's checksum and sequence number), or none is sent at all. */
  readonly needsSocket: boolean;
  readonly link: string | undefined;
  readonly scopeId: number;
  readonly df: "unset" | "set" | "inherit";
  /** Outer UDP checksum. */
  readonly checksum: boolean;
  /** SO_MARK; 0 = none. */
  readonly mark: number;
  /** Outer flow label over IPv6; 0 = the host's. */
  readonly flowLabel: number;
  /** Undefined = the daemon's own. */
  readonly netns: string | undefined;
  /** As of a receiver. */
  readonly epoch: string;
  /** Undefined = ephemeral ports. */
  readonly sourcePorts: PortRange | undefined;
}

export interface Transmitter {
  readonly spec: TransmitterSpec;
  /** First of the data plane's ports, the mask for the flow hash, and how far behind the ports with DF are (0: there are none). */
  readonly port: number;
  readonly mask: number;
  readonly dfStep: number;
  /** What is sent through, when not sockets. */
  readonly uplink: Uplink | undefined;
  readonly tier: OffloadTier;
  /** A socket set as those that send, through which the kernel is asked about paths (path-mtu.ts). */
  readonly probeFd: number;
  /** The sockets of each worker, in the order of their ports; none with an uplink. */
  readonly fds: readonly (readonly number[])[];
}

/** What a port of the data plane sends through. */
export interface SendingSocket {
  readonly local: VtepAddress;
  readonly protocol: number;
  readonly hasDf: boolean;
  readonly isUplink: boolean;
  /** The worker's; undefined for an uplink. */
  readonly fd: number | undefined;
}

export class Transmitters {
  private readonly tables: Tables;
  private readonly supervisor: Supervisor;
  private readonly offload: Offload;
  private readonly pool = new Pool<Transmitter>();
  private readonly lost = new Set<Uplink>();
  private reviving: Promise<void> | undefined;

  constructor(tables: Tables, supervisor: Supervisor, offload: Offload) {
    this.tables = tables;
    this.supervisor = supervisor;
    this.offload = offload;
  }

  /** @throws ERR_ADDRESS_IN_USE, ERR_ADDRESS_NOT_LOCAL, ERR_INTERFACE_NOT_FOUND, ERR_PERMISSION, ERR_LIMIT, ERR_SYSCALL, and as Uplink.open */
  acquire(spec: TransmitterSpec): Promise<Transmitter> {
    return this.pool.acquire(keyOf(spec), (undo) =>
      this.wantsUplink(spec) ? this.openUplink(spec, undo) : this.openSockets(spec, undo),
    );
  }

  release(transmitter: Transmitter): Promise<void> {
    return this.pool.release(transmitter);
  }

  /** Undefined for a port that is none of theirs. */
  socketOf(port: number, worker: number): SendingSocket | undefined {
    const found = this.pool.list().find((transmitter) => port >= transmitter.port && port < endOf(transmitter));
    if (found === undefined) return undefined;
    const { spec, dfStep, uplink, fds } = found;
    const index = port - found.port;
    const hasDf = spec.df === "set" || (dfStep > 0 && index >= dfStep);
    return {
      local: spec.local,
      protocol: spec.protocol,
      hasDf,
      isUplink: uplink !== undefined,
      fd: fds[worker]?.[index],
    };
  }

  /** A worker lost the device behind a port. Returns its name when it is an uplink and the first to say so. */
  gone(port: number): string | undefined {
    const uplink = this.pool.list().find((transmitter) => transmitter.uplink?.port === port)?.uplink;
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

  private wantsUplink(spec: TransmitterSpec): boolean {
    const { local, protocol, header, needsSocket, link, checksum, mark, netns, sourcePorts } = spec;
    const isPlain =
      local.family === AF_INET &&
      !needsSocket &&
      link === undefined &&
      netns === undefined &&
      mark === 0 &&
      sourcePorts === undefined;
    if (this.offload.tier !== "tunnel" || !isPlain) return false;
    if (protocol === PROTOCOL_UDP) return header === VNI_HEADER_BYTES && checksum;
    return this.offload.cutsIpTunnels && IN_IP.includes(protocol);
  }

  private async openUplink(spec: TransmitterSpec, undo: Undo): Promise<Transmitter> {
    const { ports } = this.tables;
    const port = ports.allocate(PORT_UPLINK, 0);
    undo.push(() => ports.release(port));
    const isUdp = spec.protocol === PROTOCOL_UDP;
    const uplink = new Uplink(port, this.supervisor, !isUdp);
    await uplink.open();
    undo.push(() => uplink.close());
    undo.push(() => void this.lost.delete(uplink));
    undo.push(() => uplink.detach());
    await uplink.attach();
    if (!isUdp) this.openSocket(spec, FRAGMENT_AS_NEEDED, 0, undo); // the one that hears
    return { spec, port, mask: 0, dfStep: 0, uplink, tier: "tunnel", probeFd: openProbe(spec, undo), fds: [] };
  }

  private async openSockets(spec: TransmitterSpec, undo: Undo): Promise<Transmitter> {
    const { ports } = this.tables;
    const { sourcePorts } = spec;
    const isUdp = spec.protocol === PROTOCOL_UDP;
    const isFixed = sourcePorts !== undefined && sourcePorts.first === sourcePorts.last;
    const count = isFixed || !isUdp || spec.owner !== "" ? 1 : TX_SOCKETS;
    const sets = spec.df === "inherit" ? [FRAGMENT_AS_NEEDED, NEVER_FRAGMENT] : [discoveryOf(spec.df)];
    const total = count * sets.length;
    const port = ports.allocate(PORT_UDP_TX, 0, total);
    undo.push(() => ports.release(port, total));
    // Without a checksum the kernel takes no UDP_SEGMENT.
    const features = isUdp && spec.checksum ? this.offload.txFeatures : 0;
    const additions = Array.from({ length: this.supervisor.count }, (_, worker) =>
      sets.flatMap((mtuDiscover, set) =>
        Array.from({ length: count }, (_, n) => {
          const fd = this.openSocket(spec, mtuDiscover, worker * total + set * count + n, undo);
          const { header } = spec;
          return { verb: "add", port: port + set * count + n, fd, kind: PORT_UDP_TX, header, features } as const;
        }),
      ),
    );
    const removal = Array.from({ length: total }, (_, n) => ({ verb: "remove", port: port + n }) as const);
    undo.push(() => this.supervisor.changePorts(additions.map(() => removal)));
    await this.supervisor.changePorts(additions);
    const tier = this.offload.tier === "tunnel" ? "socket" : this.offload.tier;
    const dfStep = sets.length === 2 ? count : 0;
    const fds = additions.map((changes) => changes.map(({ fd }) => fd));
    return { spec, port, mask: count - 1, dfStep, uplink: undefined, tier, probeFd: openProbe(spec, undo), fds };
  }

  /** @param n counts the sockets of this transmitter */
  private openSocket(spec: TransmitterSpec, mtuDiscover: number, n: number, undo: Undo): number {
    const options = { ...sending(spec), mtuDiscover };
    if (spec.protocol !== PROTOCOL_UDP) {
      const raw = attempt(describe(spec, 0), () => addon.openRaw({ ...options, protocol: spec.protocol, deaf: n > 0 }));
      undo.push(() => addon.closeFd(raw));
      return raw;
    }
    const open = (port: number, reusePort: boolean): number =>
      attempt(describe(spec, port), () => addon.openUdp({ ...sendingUdp(spec), mtuDiscover, port, reusePort }));
    const fd = spec.sourcePorts === undefined ? open(0, false) : openInRange(spec.sourcePorts, n, open);
    undo.push(() => addon.closeFd(fd));
    return fd;
  }
}

/** The first port behind its own. */
const endOf = ({ port, mask, dfStep }: Transmitter): number => port + (mask + 1) * (dfStep > 0 ? 2 : 1);

/** @param undo gets what closes it @throws as the opening of any socket */
export const openProbe = (spec: TransmitterSpec, undo: Undo): number => {
  const { protocol } = spec;
  const fd = attempt(describe(spec, 0), () =>
    protocol === PROTOCOL_UDP
      ? addon.openUdp({ ...sendingUdp(spec), port: 0, reusePort: false })
      : addon.openRaw({ ...sending(spec), protocol, deaf: true }),
  );
  undo.push(() => addon.closeFd(fd));
  return fd;
};

/** The socket takes its share of the range, or the next port that is free. One fixed port is shared by the workers. */
const openInRange = (
  { first, last }: PortRange,
  n: number,
  open: (port: number, reusePort: boolean) => number,
): number => {
  const length = last - first + 1;
  if (length === 1) return open(first, true);
  for (let step = 0; ; step++) {
    try {
      return open(first + ((n * 31 + step) % length), false);
    } catch (error) {
      const isTaken = error instanceof VtepdError && error.code === "ERR_ADDRESS_IN_USE";
      if (!isTaken || step + 1 === length) throw error;
    }
  }
};

const discoveryOf = (df: "unset" | "set"): number => (df === "set" ? NEVER_FRAGMENT : FRAGMENT_AS_NEEDED);

const keyOf = (spec: TransmitterSpec): string => {
  const {
    local,
    protocol,
    owner,
    header,
    needsSocket,
    link,
    scopeId,
    df,
    checksum,
    mark,
    flowLabel,
    netns,
    epoch,
    sourcePorts,
  } = spec;
  return `${owner} ${protocol} ${header} ${needsSocket} ${netns ?? ""} ${epoch} ${local.text} ${link ?? ""} ${scopeId} ${df} ${checksum} ${mark} ${flowLabel} ${sourcePorts?.first}-${sourcePorts?.last}`;
};

const sendingUdp = (spec: TransmitterSpec): Omit<UdpOptions, "port" | "reusePort"> => ({
  ...sending(spec),
  checksum: spec.checksum,
  receiveInfo: false,
  discardInput: true,
});

const sending = (spec: TransmitterSpec): Omit<RawOptions, "protocol"> => ({
  address: spec.local.bytes,
  scopeId: spec.scopeId,
  ...(spec.link === undefined ? {} : { device: spec.link }),
  sendBuffer: SOCKET_BUFFER_BYTES,
  ...(spec.mark === 0 ? {} : { mark: spec.mark }),
  ...(spec.flowLabel === 0 ? {} : { flowLabel: spec.flowLabel }),
  ...(spec.netns === undefined ? {} : { netns: netnsPath(spec.netns) }),
});

const describe = ({ local, protocol }: TransmitterSpec, port: number): string =>
  protocol !== PROTOCOL_UDP
    ? `raw socket from ${local.text} of IP protocol ${protocol}`
    : `UDP socket from ${local.family === AF_INET ? local.text : `[${local.text}]`}:${port === 0 ? "any port" : port}`;
