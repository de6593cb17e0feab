/**
 * What is particular to a tunnel's mode, as `ip -d -j link show` has it under `linkinfo` (iproute2 6.1, ip/iplink_vxlan.c,
 * link_gre.c, link_iptnl.c, link_ip6tnl.c).
 */
import { isIPv6 } from "node:net";
import type { LinkView } from "../dataplane/view.ts";
import { hasVni } from "../tunnel/mode.ts";
import { MODES } from "../tunnel/modes.ts";

/** VXLAN's words, which other modes with a VNI have, too. */
export interface VniData {
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

/** Modes without a VNI. */
export interface TunnelData {
  /** iproute2's word for what an ip6tnl carries. */
  readonly proto?: string;
  readonly remote: string;
  readonly local: string;
  readonly link?: string;
  /** 0 = the host's default. */
  readonly ttl: number | "inherit";
  readonly tos?: number | "inherit";
  readonly pmtudisc: boolean;
  /** Dotted quads. */
  readonly ikey?: string;
  readonly okey?: string;
  /** Present when on. */
  readonly iseq?: true;
  readonly oseq?: true;
  readonly icsum?: true;
  readonly ocsum?: true;
}

export type LinkInfo =
  | { readonly info_kind: string; readonly info_data: VniData }
  | { readonly info_kind: string; readonly info_data: TunnelData };

const addressKey = (key: "local" | "remote" | "group", address: string | null): Partial<VniData> =>
  address === null ? {} : { [isIPv6(address) ? `${key}6` : key]: address };

const vniData = (link: LinkView): VniData => ({
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

const dottedQuad = (key: number): string => [24, 16, 8, 0].map((shift) => (key >>> shift) & 255).join(".");

/** netplan tells these apart, iproute2 has one kind for them. */
const IP6TNL_PROTOCOLS: Readonly<Record<string, string>> = { ipip6: "ipip6", ip6ip6: "ip6ip6", ip6tnl: "any" };

const SIT_MODES = ["6to4", "6rd", "isatap"];

const tunnelData = (link: LinkView): TunnelData => {
  const proto = IP6TNL_PROTOCOLS[link.mode];
  const { inputKey, outputKey, checksum, sequence } = link.gre;
  return {
    ...(proto === undefined ? {} : { proto }),
    remote: link.remote ?? link.group ?? "any",
    local: link.locals.join(" "),
    ...(link.link === null ? {} : { link: link.link }),
    ttl: link.ttl ?? 0,
    ...(link.tos === 0 ? {} : { tos: link.tos }),
    pmtudisc: link.df !== "unset",
    ...(inputKey === null ? {} : { ikey: dottedQuad(inputKey) }),
    ...(outputKey === null ? {} : { okey: dottedQuad(outputKey) }),
    ...(sequence.input ? { iseq: true } : {}),
    ...(sequence.output ? { oseq: true } : {}),
    ...(checksum.input ? { icsum: true } : {}),
    ...(checksum.output ? { ocsum: true } : {}),
  };
};

export const linkInfo = (link: LinkView): LinkInfo => {
  const mode = MODES.get(link.mode);
  if (mode !== undefined && hasVni(mode)) return { info_kind: link.mode, info_data: vniData(link) };
  const kind = SIT_MODES.includes(link.mode) ? "sit" : link.mode;
  return { info_kind: link.mode in IP6TNL_PROTOCOLS ? "ip6tnl" : kind, info_data: tunnelData(link) };
};
