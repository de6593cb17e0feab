/** A tunnel of IP packets in the shape of `ip tunnel show` and `ip -6 tunnel show` (iproute2's iptunnel.c, ip6tunnel.c, tunnel.c). */
import type { LinkJson, LinkStats64 } from "../control/link-json.ts";
import type { TunnelData } from "../control/tunnel-info.ts";

/** What is inside and outside, in iproute2's words, by kind; an ip6tnl's is by what it carries. */
const MODES: Readonly<Record<string, string>> = {
  gre: "gre/ip",
  ipip: "ip/ip",
  sit: "ipv6/ip",
  vti: "ip/ip",
  ip6gre: "gre/ipv6",
  vti6: "ipv6/ipv6",
};
const IP6TNL_MODES: Readonly<Record<string, string>> = { ipip6: "ip/ipv6", ip6ip6: "ipv6/ipv6", any: "any/ipv6" };
/** The host's, where nobody has said one. Linux's default. */
const HOST_TTL = 64;

const modeOf = ({ linkinfo: { info_kind, info_data } }: LinkJson): string | undefined =>
  info_kind === "ip6tnl" && "proto" in info_data ? IP6TNL_MODES[info_data.proto ?? "any"] : MODES[info_kind];

/** A tunnel in the JSON of `ip -j tunnel show`; keys stand in iproute2's order. */
export interface TunnelJson {
  readonly ifname: string;
  readonly mode: string;
  readonly remote: string;
  readonly local: string;
  /** ISATAP's routers: the default one, and the others. */
  readonly pdr?: string;
  /** iproute2 repeats the key. */
  readonly pr?: string | readonly string[];
  readonly dev?: string;
  /** The same, over IPv6. */
  readonly link?: string;
  readonly ttl?: number;
  readonly tos?: string;
  readonly nopmtudisc?: null;
  readonly "6rd-prefix"?: string;
  readonly "6rd-prefixlen"?: number;
  readonly "6rd-relay_prefix"?: string;
  readonly "6rd-relay_prefixlen"?: number;
  /** Over IPv6, from here to `flowinfo`. */
  readonly ip6_tnl_f_ign_encap_limit?: null;
  readonly encap_limit?: number;
  readonly hoplimit?: number;
  readonly ip6_tnl_f_use_orig_tclass?: null;
  readonly tclass?: string;
  readonly ip6_tnl_f_use_orig_flowlabel?: null;
  readonly flowlabel?: string;
  readonly flowinfo?: string;
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

const routers = ({ vtepd: { flood } }: LinkJson): Pick<TunnelJson, "pdr" | "pr"> => {
  const [first, ...others] = flood;
  if (first === undefined) return {};
  return { pdr: first, ...(others.length === 0 ? {} : { pr: others.length === 1 ? others[0]! : others }) };
};

const rapidPart = (data: TunnelData): Partial<TunnelJson> => ({
  ...(data.prefix === undefined ? {} : { "6rd-prefix": data.prefix, "6rd-prefixlen": data.prefixlen! }),
  ...(data.relay_prefix === undefined
    ? {}
    : { "6rd-relay_prefix": data.relay_prefix, "6rd-relay_prefixlen": data.relay_prefixlen! }),
});

/** iproute2's JSON is silent of the inner packet's TOS. */
const tosOf = (tos: string | undefined): Pick<TunnelJson, "tos"> =>
  tos === undefined ? {} : { tos: tos === "0x1" ? "inherit" : tos };

const ipv4Part = (data: TunnelData): Partial<TunnelJson> => {
  const { ttl = HOST_TTL, tos } = data;
  return {
    ...(ttl === 0 ? {} : { ttl }),
    ...tosOf(tos),
    ...(data.pmtudisc === true ? {} : { nopmtudisc: null }),
    ...rapidPart(data),
  };
};

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

const TCLASS_SHIFT = 1 << 20;

const ipv6Part = (data: TunnelData): Partial<TunnelJson> => {
  const { ttl = HOST_TTL, tclass = hex(0, 2), flowlabel = hex(0, 5) } = data;
  const isTclassInherited = data.ip6_tnl_f_use_orig_tclass === true;
  const isLabelInherited = data.ip6_tnl_f_use_orig_flowlabel === true;
  const info = (isTclassInherited ? 0 : Number(tclass) * TCLASS_SHIFT) + (isLabelInherited ? 0 : Number(flowlabel));
  return {
    ip6_tnl_f_ign_encap_limit: null,
    ...(ttl === 0 ? {} : { hoplimit: ttl }),
    ...(isTclassInherited ? { ip6_tnl_f_use_orig_tclass: null } : { tclass }),
    ...(isLabelInherited ? { ip6_tnl_f_use_orig_flowlabel: null } : { flowlabel }),
    flowinfo: hex(info, 8),
  };
};

/** A VTI has no outer header of its own to tell of; the kernel shows what nobody can set. */
const vtiPart = (mode: string): Partial<TunnelJson> =>
  mode.endsWith("/ipv6")
    ? { encap_limit: 0, tclass: hex(0, 2), flowlabel: hex(0, 5), flowinfo: hex(0, 8) }
    : { nopmtudisc: null, key: 0 };

const outerPart = (
  { linkinfo: { info_kind: kind } }: LinkJson,
  mode: string,
  data: TunnelData,
): Partial<TunnelJson> => {
  if (kind.startsWith("vti")) return vtiPart(mode);
  return { ...(mode.endsWith("/ipv6") ? ipv6Part(data) : ipv4Part(data)), ...keys(data) };
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

/** As JSON has nobody, of each family. */
const nobody = (mode: string, address: string): string => {
  if (address !== "any" && address !== "") return address;
  return mode.endsWith("/ipv6") ? "::" : "0.0.0.0";
};

/** Undefined for what `ip tunnel` does not know. */
export const tunnelJson = (link: LinkJson): TunnelJson | undefined => {
  const mode = modeOf(link);
  const { info_data: data } = link.linkinfo;
  if (mode === undefined || "id" in data) return undefined;
  return {
    ifname: link.ifname,
    mode,
    remote: nobody(mode, data.remote),
    local: nobody(mode, data.local),
    ...(data.isatap === true ? routers(link) : {}),
    ...(data.link === undefined ? {} : { [mode.endsWith("/ipv6") ? "link" : "dev"]: data.link }),
    ...outerPart(link, mode, data),
    ...(link.linkinfo.info_kind.includes("gre") ? { flags: flagsOf(data) } : {}),
  };
};

type Words = (string | number)[];

const pair = (word: string, value: string | number | undefined): Words => (value === undefined ? [] : [word, value]);

const ipv6Words = ({ encap_limit, hoplimit, tclass, flowlabel, flowinfo }: TunnelJson): Words => [
  ...["encaplimit", encap_limit ?? "none", "hoplimit", hoplimit ?? "inherit", "tclass", tclass ?? "inherit"],
  ...["flowlabel", flowlabel ?? "inherit", `(flowinfo ${flowinfo})`],
];

const network = (word: string, address: string | undefined, length: number | undefined): Words =>
  address === undefined ? [] : [word, `${address}/${length}`];

const ipv4Words = (tunnel: TunnelJson): Words => [
  ...["ttl", tunnel.ttl ?? "inherit", ...pair("tos", tunnel.tos)],
  ...(tunnel.nopmtudisc === undefined ? [] : ["nopmtudisc"]),
  ...network("6rd-prefix", tunnel["6rd-prefix"], tunnel["6rd-prefixlen"]),
  ...network("6rd-relay_prefix", tunnel["6rd-relay_prefix"], tunnel["6rd-relay_prefixlen"]),
];

const addressText = (address: string): string => (address === "0.0.0.0" ? "any" : address);

/** Columns of `ip -s tunnel show`, as wide as iproute2 has them. */
const statsLines = ({ rx, tx }: LinkStats64): string[] => {
  const row = (cells: readonly number[], widths: readonly number[]): string =>
    `    ${cells.map((cell, index) => String(cell).padEnd(widths[index]!)).join(" ")}`;
  return [
    "RX: Packets    Bytes        Errors CsumErrs OutOfSeq Mcasts",
    row([rx.packets, rx.bytes, rx.errors, 0, 0, rx.multicast], [10, 12, 6, 8, 8, 8]),
    "TX: Packets    Bytes        Errors DeadLoop NoRoute  NoBufs",
    row([tx.packets, tx.bytes, tx.errors, tx.collisions, tx.carrier_errors, tx.dropped], [10, 12, 6, 8, 8, 6]),
  ];
};

/** A line, or several where GRE has flags or counters are wanted; with the newline. */
export const tunnelText = (tunnel: TunnelJson, stats?: LinkStats64): string => {
  const { ifname, mode, remote, local, pdr, pr, dev, link, key, ikey, okey, flags = [] } = tunnel;
  const words: Words = [`${ifname}:`, mode, "remote", addressText(remote), "local", addressText(local)];
  words.push(
    ...pair("pdr", pdr),
    ...[pr ?? []].flat().flatMap((router) => ["pr", router]),
    ...pair("dev", dev ?? link),
  );
  words.push(...(isOverIpv6(tunnel) ? ipv6Words(tunnel) : ipv4Words(tunnel)));
  words.push(...pair("key", key), ...pair("ikey", ikey), ...pair("okey", okey));
  const sentences = flags.map((flag) => `  ${FLAGS[flag as keyof typeof FLAGS]}`);
  return [words.join(" "), ...sentences, ...(stats === undefined ? [] : statsLines(stats))]
    .map((line) => `${line}\n`)
    .join("");
};
