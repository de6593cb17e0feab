/**
 * A tunnel in the JSON of `ip -d -s -j link show`, recorded from iproute2 6.1. Keys stand in iproute2's order. What
 * iproute2 has and vtepd does not know (qdisc, group, queue lengths, ...) is left out; what vtepd knows and iproute2 has
 * no key for lies under `vtepd`.
 */
import { isIPv6 } from "node:net";
import type { LinkStats, LinkView } from "../dataplane/view.ts";

export interface VxlanData {
  readonly id: number;
  readonly remote?: string;
  readonly remote6?: string;
  readonly group?: string;
  readonly group6?: string;
  readonly local?: string;
  readonly local6?: string;
  /** Underlay interface. */
  readonly link?: string;
  /** 0..0 = chosen by the flow hash over the whole range, as in iproute2. */
  readonly port_range: { readonly low: number; readonly high: number };
  readonly port: number;
  readonly learning: boolean;
  /** Present when on. */
  readonly proxy?: true;
  readonly l2miss?: true;
  readonly l3miss?: true;
  /** "inherit", or absent. */
  readonly tos?: number | "inherit";
  /** 0 = the host's default. */
  readonly ttl: number | "inherit";
  readonly df: "unset" | "set" | "inherit";
  /** iproute2 has it as text, e.g. `0xabcde`. */
  readonly label?: string;
  /** Seconds. */
  readonly ageing: number;
  /** Most learned entries; absent = no limit. */
  readonly limit?: number;
  readonly udp_csum: boolean;
  readonly udp_zero_csum6_tx: boolean;
  readonly udp_zero_csum6_rx: boolean;
}

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
  readonly operstate: "UNKNOWN" | "NOTPRESENT";
  readonly link_type: "ether";
  readonly address: string;
  readonly linkinfo: { readonly info_kind: "vxlan"; readonly info_data: VxlanData };
  readonly stats64: LinkStats64;
  readonly vtepd: {
    readonly state: "up" | "gone";
    readonly queues: number;
    /** How its frames go through the kernel; GET /v1/status says why. */
    readonly offload: string;
    /** Tier `tunnel`: whether packet sockets or UDP sockets receive. */
    readonly receive: "socket" | "packet";
    readonly netns: string | null;
    readonly underlay_netns: string | null;
    /** `degraded`: something is missing that the tunnel waits for. */
    readonly underlay: { readonly state: "up" | "degraded"; readonly code?: string; readonly reason?: string };
    readonly accept: "known" | "any";
    readonly fwmark: number | null;
    readonly unknown_unicast: "flood" | "drop";
    readonly oversize: "icmp" | "fragment" | "drop";
    /** Bytes where it is a number. */
    readonly mss_clamp: number | "off" | "auto";
    readonly vlan: "pass" | "strip" | "drop";
    readonly flood: readonly string[];
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

/** Drop reasons the kernel's drivers count as errors rather than as drops: the frame itself was bad. */
const MALFORMED = new Set(["pkt_too_small", "hdr_trunc", "vxlan_invalid_hdr"]);

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

const addressKey = (key: "local" | "remote" | "group", address: string | null): Partial<VxlanData> =>
  address === null ? {} : { [isIPv6(address) ? `${key}6` : key]: address };

const vxlanData = (link: LinkView): VxlanData => ({
  id: link.vni,
  ...addressKey("remote", link.remote),
  ...addressKey("group", link.group),
  ...Object.assign({}, ...link.locals.map((local) => addressKey("local", local))),
  ...(link.link === null ? {} : { link: link.link }),
  port_range: { low: link.sourcePorts?.first ?? 0, high: link.sourcePorts?.last ?? 0 },
  port: link.port,
  learning: link.learning,
  ...(link.arpProxy ? { proxy: true } : {}),
  ...(link.notifications.includes("l2-miss") ? { l2miss: true } : {}),
  ...(link.notifications.includes("l3-miss") ? { l3miss: true } : {}),
  ...(link.tos === 0 ? {} : { tos: link.tos }),
  ttl: link.ttl ?? 0,
  df: link.df,
  ...(link.flowLabel === 0 ? {} : { label: `0x${link.flowLabel.toString(16)}` }),
  ageing: link.ageingS,
  ...(link.fdbLimit === 0 ? {} : { limit: link.fdbLimit }),
  udp_csum: link.checksum,
  udp_zero_csum6_tx: link.zeroChecksum6Tx,
  udp_zero_csum6_rx: link.zeroChecksum6Rx,
});

export const linkJson = (link: LinkView, stats: LinkStats): LinkJson => ({
  ifindex: link.ifindex,
  ifname: link.name,
  flags: link.state === "up" ? ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"] : [],
  mtu: link.mtu,
  operstate: link.state === "up" ? "UNKNOWN" : "NOTPRESENT",
  link_type: "ether",
  address: link.macAddress,
  linkinfo: { info_kind: link.mode, info_data: vxlanData(link) },
  stats64: linkStats64(stats),
  vtepd: {
    state: link.state,
    queues: link.queues,
    offload: link.tier,
    receive: link.receiver,
    netns: link.netns,
    underlay_netns: link.underlayNetns,
    underlay:
      link.underlayProblem === null
        ? { state: "up" }
        : { state: "degraded", code: link.underlayProblem.code, reason: link.underlayProblem.message },
    accept: link.accept,
    fwmark: link.mark,
    unknown_unicast: link.unknownUnicast,
    oversize: link.oversize,
    mss_clamp: link.mssClamp,
    vlan: link.vlan,
    flood: link.flood,
    names: link.names,
    fdb: { learned: link.fdbLearned, static: link.fdbStatic },
    limit_per_remote: link.fdbLimitPerRemote === 0 ? null : link.fdbLimitPerRemote,
    eviction: link.eviction,
    move_damping: link.moveDamping,
  },
});
