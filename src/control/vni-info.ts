/**
 * What is particular to a tunnel with a VNI, in the keys of `ip -d -j link show` (iproute2 6.1, ip/iplink_vxlan.c, iplink_geneve.c).
 * Geneve's have VXLAN's words behind iproute2's own for what the kernel's geneve does not have.
 */
import { isIPv6 } from "node:net";
import type { LinkView } from "../dataplane/view.ts";
import { tosText } from "./tunnel-info.ts";

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
  /** `0x1` = the inner packet's; absent = 0. */
  readonly tos?: string;
  /** 0 = the host's default; absent = the inner packet's. */
  readonly ttl?: number;
  readonly df: "unset" | "set" | "inherit";
  /** iproute2 has it as text, e.g. `0xabcde`. */
  readonly label?: string;
  /** Seconds. */
  readonly ageing: number;
  /** Most learned entries; absent = no limit. */
  readonly limit?: number;
  /** Geneve has it only over IPv4, and the next only over IPv6. */
  readonly udp_csum?: boolean;
  readonly udp_zero_csum6_tx?: boolean;
  readonly udp_zero_csum6_rx: boolean;
}

const addressKey = (key: "local" | "remote" | "group", address: string | null): Partial<VniData> =>
  address === null ? {} : { [isIPv6(address) ? `${key}6` : key]: address };

const places = (link: LinkView): Partial<VniData> => ({
  ...Object.assign({}, ...link.locals.map((local) => addressKey("local", local))),
  ...(link.link === null ? {} : { link: link.link }),
});

const sourcePorts = ({ sourcePorts: ports }: LinkView): VniData["port_range"] => ({
  low: ports?.first ?? 0,
  high: ports?.last ?? 0,
});

const learning = (link: LinkView): Pick<VniData, "learning" | "proxy" | "l2miss" | "l3miss"> => ({
  learning: link.learning,
  ...(link.arpProxy ? { proxy: true } : {}),
  ...(link.notifications.includes("l2-miss") ? { l2miss: true } : {}),
  ...(link.notifications.includes("l3-miss") ? { l3miss: true } : {}),
});

const tos = (link: LinkView): Partial<VniData> => (link.tos === 0 ? {} : { tos: tosText(link.tos) });
const ttl = (link: LinkView): Partial<VniData> => (link.ttl === "inherit" ? {} : { ttl: link.ttl ?? 0 });
const label = ({ flowLabel }: LinkView): Partial<VniData> =>
  flowLabel === 0 ? {} : { label: flowLabel === "inherit" ? flowLabel : `0x${flowLabel.toString(16)}` };
const table = (link: LinkView): Pick<VniData, "ageing" | "limit"> => ({
  ageing: link.ageingS,
  ...(link.fdbLimit === 0 ? {} : { limit: link.fdbLimit }),
});

export const vxlanData = (link: LinkView): VniData => ({
  id: link.vni,
  ...addressKey("remote", link.remote),
  ...addressKey("group", link.group),
  ...places(link),
  port_range: sourcePorts(link),
  port: link.port,
  ...learning(link),
  ...tos(link),
  ...ttl(link),
  df: link.df,
  ...label(link),
  ...table(link),
  udp_csum: link.checksum,
  udp_zero_csum6_tx: link.zeroChecksum6Tx,
  udp_zero_csum6_rx: link.zeroChecksum6Rx,
});

export const geneveData = (link: LinkView): VniData => ({
  id: link.vni,
  ...addressKey("remote", link.remote),
  ...ttl(link),
  ...tos(link),
  df: link.df,
  ...label(link),
  port: link.port,
  ...(link.locals.every(isIPv6) ? {} : { udp_csum: link.checksum }),
  ...(link.locals.some(isIPv6) ? { udp_zero_csum6_tx: link.zeroChecksum6Tx } : {}),
  udp_zero_csum6_rx: link.zeroChecksum6Rx,
  ...addressKey("group", link.group),
  ...places(link),
  port_range: sourcePorts(link),
  ...learning(link),
  ...table(link),
});
