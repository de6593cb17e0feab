/**
 * A tunnel in the JSON of `ip -d -s -j link show`, recorded from iproute2 6.1. Keys stand in iproute2's order. What
 * iproute2 has and vtepd does not know (qdisc, group, queue lengths, ...) is left out; what vtepd knows and iproute2 has
 * no key for lies under `vtepd`.
 */
import type { LinkRouteView, LinkStats, LinkView, PolicerRates, PolicerView } from "../dataplane/view.ts";
import { type LinkInfo, linkInfo } from "./link-info.ts";

/** `rx` is from the tunnel, `tx` into it, as `ip -s link` counts a vxlan device. */
export interface LinkStats64 {
  readonly rx: {
    readonly bytes: number;
    readonly packets: number;
    readonly errors: number;
    readonly dropped: number;
    readonly over_errors: number;
    readonly multicast: number;
  };
  readonly tx: {
    readonly bytes: number;
    readonly packets: number;
    readonly errors: number;
    readonly dropped: number;
    readonly carrier_errors: number;
    readonly collisions: number;
  };
}

export interface LinkJson {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  /** UNKNOWN is what the kernel says of a TAP, and of a vxlan device, that is up. */
  readonly operstate: "UNKNOWN" | "DOWN" | "NOTPRESENT";
  /** `none`: IP packets, which have no MACs. */
  readonly link_type: "ether" | "none";
  readonly address?: string;
  readonly linkinfo: LinkInfo;
  readonly stats64: LinkStats64;
  readonly vtepd: {
    /** The tunnel's name, when somebody has given its device another one; both are understood. */
    readonly tunnel?: string;
    readonly state: "up" | "gone";
    readonly queues: number;
    /** How its frames go through the kernel; GET /v1/status says why. */
    readonly offload: string;
    /** Tier `tunnel`: whether packet sockets or UDP sockets receive. */
    readonly receive: "socket" | "packet";
    /** Loaded modules of the host's kernel that take its packets, too, and answer them with ICMP errors. */
    readonly kernel_modules: readonly string[];
    /** Where it was made. */
    readonly netns: string | null;
    /** Of the namespace that the device is in now, as `status` has the daemon's. */
    readonly netns_inode: string | null;
    readonly underlay_netns: string | null;
    /** `degraded`: something is missing that the tunnel waits for. */
    readonly underlay: { readonly state: "up" | "degraded"; readonly code?: string; readonly reason?: string };
    readonly accept: "known" | "any";
    readonly fwmark: number | null;
    readonly unknown_unicast: "flood" | "drop";
    /** Frames a second, of the classes that have a limit, in the configuration's words. */
    readonly policers: PolicersJson;
    readonly oversize: "icmp" | "fragment" | "drop";
    /** Bytes where it is a number. */
    readonly mss_clamp: number | "off" | "auto";
    readonly vlan: "pass" | "strip" | "drop";
    readonly flood: readonly string[];
    readonly routes: readonly RouteWordsJson[];
    /** Host names of remote VTEPs, and the addresses they have now. */
    readonly names: readonly { readonly name: string; readonly addresses: readonly string[] }[];
    readonly fdb: { readonly learned: number; readonly static: number };
    /** Learned entries behind one remote VTEP; null = no limit. */
    readonly limit_per_remote: number | null;
    /** When the limit is reached. */
    readonly eviction: "fair" | "none";
    readonly move_damping: boolean;
  };
}

/** In the configuration's words. */
interface RouteWordsJson {
  readonly to: string;
  readonly via: string;
  readonly gateway?: string;
  /** Present when on. */
  readonly "direct-routing"?: true;
}

interface RatesJson {
  readonly broadcast?: number;
  readonly multicast?: number;
  readonly "unknown-unicast"?: number;
}

export interface PolicersJson extends RatesJson {
  readonly "per-source"?: RatesJson;
}

const ratesJson = ({ unknownUnicast, broadcast, multicast }: PolicerRates): RatesJson => ({
  ...(broadcast === undefined ? {} : { broadcast }),
  ...(multicast === undefined ? {} : { multicast }),
  ...(unknownUnicast === undefined ? {} : { "unknown-unicast": unknownUnicast }),
});

const routeWordsJson = ({ to, via, gateway, mayBeDirect }: LinkRouteView): RouteWordsJson => ({
  to,
  via,
  ...(gateway === undefined ? {} : { gateway }),
  ...(mayBeDirect ? { "direct-routing": true } : {}),
});

const policersJson = ({ perSource, ...rates }: PolicerView): PolicersJson => ({
  ...ratesJson(rates),
  ...(perSource === undefined ? {} : { "per-source": ratesJson(perSource) }),
});

/** Drop reasons the kernel's drivers count as errors rather than as drops: the frame itself was bad. */
const MALFORMED = new Set(["pkt_too_small", "hdr_trunc", "vxlan_invalid_hdr", "invalid_hdr", "gre_csum"]);

/** Sum of the counters whose reason passes. */
const sum = (drops: Readonly<Record<string, number>>, wanted: (reason: string) => boolean): number => {
  let total = 0;
  for (const [reason, count] of Object.entries(drops)) if (wanted(reason)) total += count;
  return total;
};

/**
 * Each drop is in exactly one field. over_errors, multicast and collisions are 0 as they are on a kernel vxlan device:
 * neither driver counts such an event.
 */
const linkStats64 = (stats: LinkStats): LinkStats64 => {
  const { encap, decap } = stats.drops;
  const isTxError = (reason: string): boolean => MALFORMED.has(reason) || reason === "tx_error";
  const isNoRoute = (reason: string): boolean => reason === "ip_outnoroutes";
  return {
    rx: {
      bytes: stats.rxBytes,
      packets: stats.rxFrames,
      errors: sum(decap, (reason) => MALFORMED.has(reason)),
      dropped: sum(decap, (reason) => !MALFORMED.has(reason)),
      over_errors: 0,
      multicast: 0,
    },
    tx: {
      bytes: stats.txBytes,
      packets: stats.txFrames,
      errors: sum(encap, isTxError),
      dropped: sum(encap, (reason) => !(isTxError(reason) || isNoRoute(reason))),
      carrier_errors: sum(encap, isNoRoute),
      collisions: 0,
    },
  };
};

const ETHERNET_FLAGS = ["BROADCAST", "MULTICAST"];
const PACKET_FLAGS = ["POINTOPOINT", "MULTICAST", "NOARP"];

const flagsOf = ({ state, isUp, isEthernet }: LinkView): string[] =>
  state === "gone" ? [] : [...(isEthernet ? ETHERNET_FLAGS : PACKET_FLAGS), ...(isUp ? ["UP", "LOWER_UP"] : [])];

export const linkJson = (link: LinkView, stats: LinkStats): LinkJson => ({
  ifindex: link.ifindex,
  ifname: link.device,
  flags: flagsOf(link),
  mtu: link.mtu,
  operstate: link.state === "gone" ? "NOTPRESENT" : link.isUp ? "UNKNOWN" : "DOWN",
  ...(link.isEthernet ? { link_type: "ether", address: link.macAddress } : { link_type: "none" }),
  linkinfo: linkInfo(link),
  stats64: linkStats64(stats),
  vtepd: {
    ...(link.device === link.name ? {} : { tunnel: link.name }),
    state: link.state,
    queues: link.queues,
    offload: link.tier,
    receive: link.receiver,
    kernel_modules: link.kernelModules,
    netns: link.netns,
    netns_inode: link.netnsInode,
    underlay_netns: link.underlayNetns,
    underlay:
      link.underlayProblem === null
        ? { state: "up" }
        : { state: "degraded", code: link.underlayProblem.code, reason: link.underlayProblem.message },
    accept: link.accept,
    fwmark: link.mark,
    unknown_unicast: link.unknownUnicast,
    policers: policersJson(link.policers),
    oversize: link.oversize,
    mss_clamp: link.mssClamp,
    vlan: link.vlan,
    flood: link.flood,
    routes: link.routes.map(routeWordsJson),
    names: link.names,
    fdb: { learned: link.fdbLearned, static: link.fdbStatic },
    limit_per_remote: link.fdbLimitPerRemote === 0 ? null : link.fdbLimitPerRemote,
    eviction: link.eviction,
    move_damping: link.moveDamping,
  },
});
