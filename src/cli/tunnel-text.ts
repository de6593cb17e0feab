/** A tunnel of IP packets in the shape of `ip tunnel show` and `ip -6 tunnel show` (iproute2's iptunnel.c, ip6tunnel.c, tunnel.c). */
import type { LinkJson } from "../control/link-json.ts";
import type { TunnelData } from "../control/tunnel-info.ts";

/** What is inside and outside, in iproute2's words, by kind; an ip6tnl's is by what it carries. */
const MODES: Readonly<Record<string, string>> = {
  gre: "gre/ip",
  ipip: "ip/ip",
  sit: "ipv6/ip",
  vti: "ip/ip",
  ip6gre: "gre/ipv6",
  vti6: "ip/ipv6",
};
const IP6TNL_MODES: Readonly<Record<string, string>> = { ipip6: "ip/ipv6", ip6ip6: "ipv6/ipv6", any: "any/ipv6" };

const modeOf = ({ linkinfo: { info_kind, info_data } }: LinkJson): string | undefined =>
  info_kind === "ip6tnl" && "proto" in info_data ? IP6TNL_MODES[info_data.proto ?? "any"] : MODES[info_kind];

/** A tunnel in the JSON of `ip -j tunnel show`. */
export interface TunnelJson {
  readonly ifname: string;
  readonly mode: string;
  readonly remote: string;
  readonly local: string;
  readonly dev?: string;
  readonly ttl?: number;
  readonly tos?: string;
  readonly flowlabel?: string;
  readonly nopmtudisc?: null;
  readonly key?: number;
  readonly ikey?: number;
  readonly okey?: number;
  readonly flags?: readonly string[];
}

const keyNumber = (quad: string): number => quad.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);

const keys = ({ ikey, okey }: TunnelData): Pick<TunnelJson, "key" | "ikey" | "okey"> => {
  if (ikey !== undefined && ikey === okey) return { key: keyNumber(ikey) };
  return {
    ...(ikey === undefined ? {} : { ikey: keyNumber(ikey) }),
    ...(okey === undefined ? {} : { okey: keyNumber(okey) }),
  };
};

/** `0x1` stands for the inner packet's. */
const tosOf = ({ tos, tclass, ip6_tnl_f_use_orig_tclass: isInherited }: TunnelData): Pick<TunnelJson, "tos"> => {
  if (isInherited === true || tos === "0x1") return { tos: "inherit" };
  const given = tos ?? tclass;
  return given === undefined || Number(given) === 0 ? {} : { tos: given };
};

/** Over IPv6. */
const flowLabelOf = ({
  flowlabel,
  ip6_tnl_f_use_orig_flowlabel: isInherited,
}: TunnelData): Pick<TunnelJson, "flowlabel"> => {
  if (isInherited === true) return { flowlabel: "inherit" };
  return flowlabel === undefined ? {} : { flowlabel };
};

/** iproute2's names in JSON, and its sentences in text. */
const FLAGS = {
  rx_drop_ooseq: "Drop packets out of sequence.",
  rx_csum: "Checksum in received packet is required.",
  tx_seq: "Sequence packets on output.",
  tx_csum: "Checksum output packets.",
} as const;

const flagsOf = ({ iseq, icsum, oseq, ocsum }: TunnelData): (keyof typeof FLAGS)[] => [
  ...(iseq ? (["rx_drop_ooseq"] as const) : []),
  ...(icsum ? (["rx_csum"] as const) : []),
  ...(oseq ? (["tx_seq"] as const) : []),
  ...(ocsum ? (["tx_csum"] as const) : []),
];

export const isOverIpv6 = ({ mode }: TunnelJson): boolean => mode.endsWith("/ipv6");

/** Undefined for what `ip tunnel` does not know. */
export const tunnelJson = (link: LinkJson): TunnelJson | undefined => {
  const mode = modeOf(link);
  const { info_data: data } = link.linkinfo;
  if (mode === undefined || "id" in data) return undefined;
  return {
    ifname: link.ifname,
    mode,
    remote: data.remote,
    local: data.local === "" ? "any" : data.local,
    ...(data.link === undefined ? {} : { dev: data.link }),
    ...(typeof data.ttl === "number" && data.ttl > 0 ? { ttl: data.ttl } : {}),
    ...tosOf(data),
    ...flowLabelOf(data),
    ...(data.pmtudisc === false ? { nopmtudisc: null } : {}),
    ...keys(data),
    ...(link.linkinfo.info_kind.includes("gre") ? { flags: flagsOf(data) } : {}),
  };
};

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;
/** What is inherited is 0 in the flow information, which has the traffic class above the flow label. */
const numberOf = (text: string): number => (text === "inherit" ? 0 : Number(text));

const ipv6Words = ({ ttl = 0, tos = "0", flowlabel = "0" }: TunnelJson): (string | number)[] => {
  const tclass = tos === "inherit" ? tos : hex(numberOf(tos), 2);
  const label = flowlabel === "inherit" ? flowlabel : hex(numberOf(flowlabel), 5);
  const flowInfo = hex(numberOf(tos) * 2 ** 20 + numberOf(flowlabel), 8);
  return ["encaplimit none", "hoplimit", ttl, "tclass", tclass, "flowlabel", label, `(flowinfo ${flowInfo})`];
};

const ipv4Words = ({ ttl, tos, nopmtudisc }: TunnelJson): (string | number)[] => [
  "ttl",
  ttl ?? "inherit",
  ...(tos === undefined ? [] : ["tos", tos]),
  ...(nopmtudisc === undefined ? [] : ["nopmtudisc"]),
];

/** A line, or several where GRE has flags; with the newline. */
export const tunnelText = (tunnel: TunnelJson): string => {
  const { ifname, mode, remote, local, dev, key, ikey, okey, flags = [] } = tunnel;
  const words: (string | number)[] = [`${ifname}:`, mode, "remote", remote, "local", local];
  if (dev !== undefined) words.push("dev", dev);
  words.push(...(isOverIpv6(tunnel) ? ipv6Words(tunnel) : ipv4Words(tunnel)));
  for (const [name, value] of Object.entries({ key, ikey, okey })) if (value !== undefined) words.push(name, value);
  return [words.join(" "), ...flags.map((flag) => `  ${FLAGS[flag as keyof typeof FLAGS]}`)]
    .map((line) => `${line}\n`)
    .join("");
};
