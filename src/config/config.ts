/**
 * The configuration as the rest of vtepd sees it: in our own words, with every default filled in, addresses as canonical
 * text. The keys that it is read from are in schema.ts.
 */

import type { Settings } from "../dataplane/desired-view.ts";
import type { Encap } from "../tunnel/in-udp.ts";
import type { ListenAddress } from "./address.ts";
import type { Both } from "./gre-value.ts";

/** As the logger knows them, loudest first. */
export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What carries frames through the kernel; `tunnel` is never chosen unasked; see daemon/offload.ts. */
export const OFFLOAD_TIERS = ["tunnel", "socket", "mmsg", "plain"] as const;
export type OffloadTier = (typeof OFFLOAD_TIERS)[number];

/** Single offloads that can be switched off. */
export const OFFLOADS = [
  "vnet-header",
  "udp-segment",
  "udp-gro",
  "tap-tso",
  "tap-uso",
  "merge-tcp",
  "merge-udp",
] as const;
export type OffloadName = (typeof OFFLOADS)[number];

export interface DaemonConfig {
  readonly control: {
    readonly socket: string;
    /** Undefined = the daemon's own group. */
    readonly group?: string | undefined;
    /** Who may connect: permission bits of the socket file. */
    readonly mode: number;
  };
  readonly metrics: {
    /** Undefined = served on the control socket only. */
    readonly listen?: ListenAddress | undefined;
  };
  readonly log: { readonly level: LogLevel };
  /** Data-plane threads; undefined = the daemon chooses. */
  readonly workers?: number | undefined;
  /** CPUs that workers are bound to, in turn; empty = wherever the kernel puts them. */
  readonly cpus: readonly number[];
  /** Microseconds that a worker asks again for frames before it sleeps. */
  readonly busyPollUs: number;
  readonly offload: {
    /** Undefined = the best that works. */
    readonly tier?: OffloadTier | undefined;
    readonly disabled: readonly OffloadName[];
  };
  /** Entries of all tunnels together. */
  readonly fdbCapacity: number;
  /** Absolute path; undefined = nothing is kept over restarts. */
  readonly stateDirectory?: string | undefined;
  /** Whether devices are made persistent. */
  readonly keepDevices: boolean;
  /** `192.0.2.53:53`, `[2001:db8::53]:53`; empty = the host's own. */
  readonly resolver: readonly string[];
}

export type PolicedClass = "broadcast" | "multicast" | "unknownUnicast";

export interface Policer {
  /** Frames a second. */
  readonly rate: number;
  /** Frames at once. */
  readonly burst: number;
}

export interface FdbConfig {
  /** Frames of the MAC from another VTEP are delivered instead of dropped. */
  readonly sticky?: boolean | undefined;
  /** Lower case; all zeros = a member of the flood list. */
  readonly mac: string;
  /** Address or host name, as `remote` and `flood` have them. */
  readonly dst: string;
  /** Undefined = the tunnel's own. */
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  /** Underlay interface; undefined = the tunnel's own, or where the routes lead. */
  readonly via?: string | undefined;
}

export interface NeighbourConfig {
  readonly address: string;
  readonly mac: string;
  readonly router: boolean;
}

/** A network of the overlay and the remote VTEP that it is behind. */
export interface RouteConfig {
  /** `network/prefix`, canonical. */
  readonly to: string;
  readonly via: string;
}

/** Of a tunnel. */
export interface TunnelRouteConfig extends RouteConfig {
  /** Next hop in the overlay, of Ethernet frames. */
  readonly gateway?: string | undefined;
  /** Whether it is routed without the tunnel while the remote VTEP is on a link of ours. */
  readonly mayBeDirect: boolean;
}

/** What may be told of: unicast MACs without an FDB entry, addresses without a neighbour. */
export const NOTIFICATIONS = ["l2-miss", "l3-miss"] as const;
export type Notification = (typeof NOTIFICATIONS)[number];

/** One tunnel, with all defaults filled in, those of keys that its mode does not have included, and all addresses as canonical text. */
export interface TunnelConfig {
  readonly name: string;
  /** One of tunnel/modes.ts. */
  readonly mode: string;
  /** VNI, or the GRE key that is sent, 0 without one. */
  readonly id: number;
  /** GRE: keys, 0..2^32-1; undefined = none. */
  readonly key?: Both<number> | undefined;
  /** What it is put into, when that is UDP and the mode is not one of UDP. */
  readonly encap?: { readonly type: Encap } | undefined;
  /** Whether packets with options in the tunnel header are dropped. */
  readonly refusesOptions: boolean;
  /** ESP: path of the file that has the associations. */
  readonly keyFile?: string | undefined;
  /** ESP: sequence numbers of 64 bits. */
  readonly extendedSequence: boolean;
  /** ESP: 0 = no protection against replays. */
  readonly replayWindow: number;
  readonly greChecksum: Both<boolean>;
  readonly greSequence: Both<boolean>;
  /** At most one of each family; for a family without, it is found by a route lookup of the remote VTEPs. */
  readonly locals: readonly string[];
  /** Canonical address, or host name in lower case. */
  readonly remote?: string | undefined;
  /** Multicast group that floods. */
  readonly group?: string | undefined;
  /** Without `remote` and `group`. */
  readonly flood: readonly string[];
  readonly fdb: readonly FdbConfig[];
  readonly routes: readonly TunnelRouteConfig[];
  /** Prefixes of the addresses that have a VTEP's inside, and what all those VTEPs have in common; `network/prefix`, canonical. */
  readonly embedding?: { readonly prefix: string; readonly base: string } | undefined;
  /** UDP port, ours and the remote VTEPs'; 0 where the carrier is another IP protocol. */
  readonly port: number;
  readonly macLearning: boolean;
  /** Unicast frames from the overlay to MACs that are not known. */
  readonly unknownUnicast: "flood" | "drop";
  /** Of flooded frames from the overlay; undefined = no limit. */
  readonly policers: Readonly<Record<PolicedClass, Policer | undefined>>;
  /** The same for the frames of each source MAC. */
  readonly sourcePolicers: Readonly<Record<PolicedClass, Policer | undefined>>;
  /** Whether questions for far neighbours are answered here. */
  readonly arpProxy: boolean;
  readonly neighbours: readonly NeighbourConfig[];
  readonly notifications: readonly Notification[];
  /** What becomes of VLAN tags inside, in both directions. */
  readonly vlan: "pass" | "strip" | "drop";
  /** 0 = learned entries never age. */
  readonly ageingS: number;
  /** Learned entries of this tunnel. */
  readonly limit: number;
  /** And behind one remote VTEP; undefined = no limit of its own. */
  readonly limitPerRemote?: number | undefined;
  /** When `limit` is reached: whether remote VTEPs with many entries make room for those with few. */
  readonly eviction: "fair" | "none";
  /** Whether a MAC that moves too often is held where it is. */
  readonly moveDamping: boolean;
  /** Bytes; undefined = what the underlay leaves. */
  readonly mtu?: number | undefined;
  readonly macAddress?: string | undefined;
  /** `address/prefix` */
  readonly addresses: readonly string[];
  /** Name in /run/netns, or absolute path. */
  readonly netns?: string | undefined;
  /** As `netns`: where the underlay is, when not in the daemon's namespace. */
  readonly underlayNetns?: string | undefined;
  /** Underlay interface. */
  readonly link?: string | undefined;
  /** TAP queues; undefined = one per worker. */
  readonly queues?: number | undefined;
  /** Outer TTL or hop limit; undefined = the host's default (multicast: 1). */
  readonly ttl?: number | "inherit" | undefined;
  /** Outer TOS or traffic class without its ECN bits. */
  readonly tos: number | "inherit";
  readonly doNotFragment: "unset" | "set" | "inherit";
  /** Frames larger than one packet to their remote VTEP carries. */
  readonly oversize: "icmp" | "fragment" | "drop";
  /** Bytes that TCP's segments are held down to, by the SYNs of both directions; `auto` = what fits. */
  readonly mssClamp: number | "off" | "auto";
  /** Outer flow label over IPv6; 0 = the host's. */
  readonly flowLabel: number | "inherit";
  /** Outer UDP source ports; undefined = ephemeral ones. */
  readonly sourcePorts?: { readonly first: number; readonly last: number } | undefined;
  /** Outer UDP checksum over IPv4. */
  readonly checksum: boolean;
  readonly zeroChecksum6Tx: boolean;
  readonly zeroChecksum6Rx: boolean;
  /** SO_MARK of outer packets; undefined = none. */
  readonly mark?: number | undefined;
  /** Whose frames are accepted: those of known remote VTEPs, or everybody's. */
  readonly accept: "known" | "any";
}

/** Routes of the host by next hops on a link, without a tunnel. */
export interface HostGatewayConfig {
  readonly name: string;
  readonly link: string;
  readonly routes: readonly RouteConfig[];
}

export interface Config {
  readonly version: 1;
  readonly daemon: DaemonConfig;
  /** In the order of the file; names of digits only come first. */
  readonly tunnels: readonly TunnelConfig[];
  readonly hostGateways: readonly HostGatewayConfig[];
  /** As it is written, without defaults. */
  readonly settings: { readonly daemon: Settings; readonly tunnels: Readonly<Record<string, Settings>> };
}
