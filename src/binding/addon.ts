/**
 * The only loader of the native addon, and the only declaration of what is in it.
 *
 * Set-up calls throw an Error with `code` (the errno's name, e.g. "EBUSY"), `errno` (a positive number) and `syscall`
 * (e.g. "ioctl(TUNSETIFF)"); the caller turns it into a VtepdError. Hot calls (`Io.receive`, `Io.send`) never throw after
 * construction. Descriptors are plain numbers owned by whoever opened them; an Io borrows them.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { VtepdError } from "../errors.ts";

/** What a set-up call throws. */
export interface NativeError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

export interface TapOptions {
  /** 1..15 bytes. */
  name: string;
  kind: "tap" | "tun";
  /** Number of queues, 1..256; above 1 the device is IFF_MULTI_QUEUE. */
  queues: number;
  /** IFF_VNET_HDR with a header of VNET_HEADER_BYTES. */
  vnetHeader: boolean;
  /** What the kernel may leave undone in frames read from the device (TUNSETOFFLOAD); each needs the ones before it. `tunnel`: superframes inside UDP tunnels too, vnet header of TUNNEL_VNET_HEADER_BYTES (Linux 6.17). Default none. */
  offload?: "none" | "checksum" | "tso" | "uso" | "tunnel";
  /** 6 bytes. Set before anyone else sees the device up, so that udev leaves it alone. TAP only. */
  macAddress?: Uint8Array;
  mtu?: number;
  /** Transmit queue length of the device in frames. */
  txQueueLength?: number;
  /** Set IFF_UP. */
  up: boolean;
  /** The device is there, without anybody's descriptors; it is left as it is. */
  attach?: boolean;
  /** Path of the network namespace the device is made in; default the process's own. */
  netns?: string;
}

export interface Tap {
  /** One non-blocking descriptor per queue. Closing the last one removes the device. */
  readonly fds: number[];
  readonly ifindex: number;
}

/** The device behind a TAP descriptor as it is now, in whatever namespace it has been moved to (TUNGETDEVNETNS). */
export interface TapInfo {
  readonly name: string;
  readonly ifindex: number;
  readonly mtu: number;
  readonly up: boolean;
  readonly macAddress: Uint8Array;
  /** Tells that namespace from others. */
  readonly netnsInode: number;
}

/** A packet that this host would send. */
export interface RouteLookup {
  /** 4 or 16 bytes. */
  address: Uint8Array;
  /** Of the same family. */
  source?: Uint8Array;
  /** SO_MARK. */
  mark?: number;
  /** Index of the interface that it has to leave by. */
  link?: number;
  /** Path; default the process's own. */
  netns?: string;
}

export interface UdpOptions {
  /** 4 or 16 bytes in network order: the address to bind, all zeros for any. Its length chooses the family. */
  address: Uint8Array;
  /** 0 = ephemeral. */
  port: number;
  /** Interface index for link-local IPv6 addresses. */
  scopeId?: number;
  /** SO_BINDTODEVICE. */
  device?: string;
  reusePort: boolean;
  /** Bytes; set with the FORCE variant where allowed, else as far as the host's limit goes. */
  receiveBuffer?: number;
  sendBuffer?: number;
  /** Outer UDP checksum on transmit: SO_NO_CHECK for IPv4, UDP_NO_CHECK6_TX for IPv6. Default true. */
  checksum?: boolean;
  /** Accept zero checksums over IPv6 (UDP_NO_CHECK6_RX). Default false. */
  acceptZeroChecksum6?: boolean;
  /** 1..255; default the host's. */
  ttl?: number;
  tos?: number;
  /** Ask for destination address (IP_PKTINFO), TOS (IP_RECVTOS) and SO_RXQ_OVFL with each datagram. */
  receiveInfo: boolean;
  /** Let the kernel merge datagrams of one sender into one message (UDP_GRO). Default false. */
  merge?: boolean;
  /**
   * IP_MTU_DISCOVER / IPV6_MTU_DISCOVER: 0 = fragment as needed, 2 = set DF and refuse what is too big, 5 = as 0, but hear no
   * ICMP. Default: leave.
   */
  mtuDiscover?: number;
  /** SO_MARK, 0..2^32-1. */
  mark?: number;
  /** IPv6: lease this flow label, 1..2^20-1, so that it may be sent with (sin6_flowinfo). */
  flowLabel?: number;
  /** `address` is a multicast group: join it on the interface with this index, and receive nothing else. */
  joinOn?: number;
  /** Attach a filter that drops all input: a socket that only sends must not fill its receive queue. */
  discardInput?: boolean;
  /** Path of the network namespace of the socket; default the process's own. */
  netns?: string;
}

/** A socket that only sends packets of one IP protocol, and keeps the host from refusing that protocol (native/raw.cc). */
export interface RawOptions
  extends Pick<
    UdpOptions,
    "address" | "scopeId" | "device" | "sendBuffer" | "ttl" | "tos" | "mtuDiscover" | "mark" | "flowLabel" | "netns"
  > {
  /** Is given no copy of what comes in, and so does not keep the host from refusing the protocol. Default false. */
  deaf?: boolean;
  /** 1..254. VTEP addresses that are sent to through it have port 0. */
  protocol: number;
}

export interface PacketSocketOptions {
  /** 4 or 16 bytes: the local VTEP. Its length chooses the family. */
  address: Uint8Array;
  /** IP protocol, 0..255. */
  protocol: number;
  /** The local UDP port, for protocol 17. */
  port?: number;
  /** Only packets that this interface receives; default all. */
  device?: string;
  /** `address` is a multicast group. */
  isGroup: boolean;
  /** As in UdpOptions. */
  acceptZeroChecksum6?: boolean;
  /** How many sockets share the packets, by flow; 1..256. */
  count: number;
  /** As in UdpOptions. */
  receiveBuffer: number;
  /** As in UdpOptions. */
  netns?: string;
}

/** A message to a service manager, sd_notify(3). */
export interface Notification {
  /** $NOTIFY_SOCKET: a path, or with `@` in front an abstract name. */
  socket: string;
  /** `NAME=value` lines. */
  text: string;
  /** A descriptor that goes along; it stays the caller's. */
  fd?: number;
}

/** The process that made a connection, as it was then. */
export interface PeerCredentials {
  /** 0 when it is in a process namespace that this one cannot see. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Each is "" when it works, else the reason why not (the errno's name or what was seen). */
export interface UdpProbe {
  /** UDP_SEGMENT: one send of 64 datagrams arrives as 64. */
  readonly segment: string;
  /** UDP_GRO can be switched on. */
  readonly merge: string;
}

export interface TapProbe {
  readonly vnetHeader: string;
  /** TUNSETOFFLOAD ladder. */
  readonly checksum: string;
  readonly tso: string;
  readonly uso: string;
  /** Superframes, with a short last segment, are accepted on write. */
  readonly writeTcp: string;
  readonly writeUdp: string;
  /** UDP tunnels around superframes, for an uplink. */
  readonly tunnel: string;
}

/** Shared memory of one Io; sizes in abi.ts. */
export interface IoMemory {
  /** ARENA_BYTES */
  arena: Uint8Array;
  /** FRAME_ROWS * FRAME_WORDS */
  frames: Int32Array;
  /** MAX_ACTIONS * ACTION_WORDS */
  actions: Int32Array;
  /** STATUS_WORDS */
  status: Int32Array;
  /** Header templates, any size. */
  templates: Uint8Array;
  /** n * VTEP_ADDRESS_BYTES */
  vteps: Uint8Array;
  /** ASSOCIATION_TABLE_WORDS; absent = nothing can be sealed or opened. */
  associations?: Int32Array;
}

/** One worker's epoll set and its batches. All methods belong to the thread that made it. */
export interface Io {
  /** Starts to poll `fd` (TAP, UDP_RX, PACKET_RX) or only makes it known as a place to send from (UDP_TX). UDP_TX takes raw sockets too, which never have FEATURE_SEGMENT and whose IPv6 addresses have port 0. `header`: the header layout, HEADER_*. `features`: sum of FEATURE_*. */
  add(port: number, fd: number, kind: number, header: number, features: number): void;
  /** Forgets the port; must come before its descriptor is closed. Unknown ids are ignored. */
  remove(port: number): void;
  /**
   * Waits until a port is readable or the eventfd fires, at most `timeoutMs` (-1 = for ever, 0 = no wait), then reads up to
   * BATCH_FRAMES frames into the arena and describes them in `frames`. Ports take turns when the batch is too small for all.
   * Neighbouring frames of one flow from a UDP_RX port that merges are one frame (FRAME_SEGMENTS).
   * Returns the number of frames, 0 when woken or timed out.
   */
  receive(timeoutMs: number): number;
  /**
   * Carries out the first `count` actions: a TAP gets vnet header and frame in one writev, a UDP socket gets template and
   * frame gathered by sendmmsg, an uplink outer headers and frame in one writev; with FEATURE_SEGMENT the segments of a superframe, and runs of equal-sized frames to one
   * destination, are one message (UDP_SEGMENT), else they are cut here. Actions on one port keep their order. Returns how many failed (ACTION_RESULT says why).
   */
  send(count: number): number;
  /** Ids of ports whose device is gone (EBADFD, ENODEV); each is reported once and no longer polled. */
  takeGone(): number[];
  close(): void;
}

interface Addon {
  /** The addon's own idea of abi.ts, by constant name. */
  readonly abi: Readonly<Record<string, number>>;
  /**
   * Fills the words of a descriptor (FRAME_WORDS of them) that tell of a frame's headers, as `receive` does. `isFromOverlay`:
   * with what is there of frames from a device only, else with what is there of those out of datagrams only.
   */
  describeFrame(bytes: Uint8Array, frame: Int32Array, isPacket: boolean, isFromOverlay: boolean): void;
  openTap(options: TapOptions): Tap;
  /** Closes descriptors of TAPs and removes the devices, all at once: thousands in seconds, where one by one takes minutes. Those that others have descriptors of go too, from our own namespace. */
  removeTaps(fds: Int32Array, isHeldElsewhere?: boolean): void;
  tapInfo(fd: number): TapInfo;
  /**
   * Makes a TAP's descriptor that was inherited ours: closed in children, never waited on, with our vnet header where the device has
   * one. Says what the device is.
   */
  adoptTap(options: { fd: number; vnetHeader: boolean; offload?: TapOptions["offload"] }): {
    kind: "tap" | "tun";
    vnetHeader: boolean;
  };
  /** Whether the device outlives its descriptors (1) or not (0). */
  setTapPersistent(fd: number, on: 0 | 1): void;
  /** Sets the MTU of a TAP, in whatever namespace it is. */
  setTapMtu(fd: number, mtu: number): void;
  openUdp(options: UdpOptions): number;
  openRaw(options: RawOptions): number;
  /** Packet sockets for what is for an address, IP protocol and UDP port, with a vnet header in front of each (native/packet-socket.cc). */
  openPacketSockets(options: PacketSocketOptions): number[];
  /**
   * Puts the program on an uplink's device by which the kernel cuts superframes in GRE, IPIP and SIT
   * (native/tunnel-program.cc), for as long as the returned descriptor is open.
   */
  attachTunnelProgram(options: { device: string; netns?: string }): number;
  /**
   * Bytes of the largest packet on the way to an address (4 or 16 bytes, as the socket's family) that the kernel knows of, 0
   * when it knows no way; `port` is 0 for a raw socket. What ICMP told this host of the path counts; the socket is connected by it, and must serve nothing else.
   */
  pathMtu(fd: number, address: Uint8Array, port: number, scopeId: number): number;
  /** Index of the interface that a packet leaves by; 0 when the routing tables have no way. */
  routeInterface(lookup: RouteLookup): number;
  /** Joins a group that the socket had joined before, and that the interface has lost since. */
  rejoinGroup(membership: { fd: number; address: Uint8Array; joinOn: number }): void;
  /** Local port of a socket. */
  udpPort(fd: number): number;
  /** Non-blocking eventfd. */
  openEvent(): number;
  signalEvent(fd: number): void;
  closeFd(fd: number): void;
  /** Waits for a service manager whose queue is full, two seconds at most. */
  sendNotification(notification: Notification): void;
  /** Who is at the other end of a unix stream socket. */
  peerCredentials(fd: number): PeerCredentials;
  /** What this kernel's UDP sockets can do, tried on loopback. */
  probeUdp(): UdpProbe;
  /** What this kernel's TAPs can do, tried on a device that exists for a moment (named vtepd<number>). */
  probeTap(): TapProbe;
  /** Why there can be no such program as `attachTunnelProgram` puts on devices; "" when it can. */
  probeTunnelProgram(): string;
  /** Binds the calling thread to one CPU. */
  pinThread(cpu: number): void;
  readonly Io: new (memory: IoMemory, wakeFd: number) => Io;
}

const load = (): Addon => {
  const file =
    process.env["VTEPD_ADDON"] ?? fileURLToPath(new URL("../../native/build/Release/vtepd.node", import.meta.url));
  if (!existsSync(file)) {
    throw new VtepdError(
      "ERR_ADDON",
      `expected the native addon at ${file}, found nothing; \`npm run build:native\` builds it`,
    );
  }
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    throw new VtepdError("ERR_ADDON", `cannot load the native addon ${file}: ${(cause as Error).message}`, { cause });
  }
};

export const addon: Addon = load();
