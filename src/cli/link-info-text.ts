/** What is particular to a tunnel's mode, in the words of `ip -d link show`. */
import type { LinkInfo } from "../control/link-info.ts";
import type { EncapData, TunnelData } from "../control/tunnel-info.ts";
import type { VniData } from "../control/vni-info.ts";

type Words = (string | number)[];

const switchWord = (isOn: boolean, word: string): string => (isOn ? word : `no${word}`);
/** iproute2's sign for the inner packet's. */
const INHERITED = "0x1";
const tosWords = (tos: string | undefined): Words =>
  tos === undefined ? [] : ["tos", tos === INHERITED ? "inherit" : tos];
const pair = (word: string, value: string | number | undefined): Words => (value === undefined ? [] : [word, value]);
const present = <Key extends string>(data: { readonly [key in Key]?: unknown }, words: readonly Key[]): Words =>
  words.filter((word) => data[word] === true);

const ttlWords = ({ ttl }: VniData): Words => ["ttl", ttl === 0 ? "auto" : (ttl ?? "inherit")];
const dfWords = ({ df }: VniData): Words => (df === "unset" ? [] : ["df", df]);
const placeWords = (data: VniData): Words => [
  ...pair("local", data.local),
  ...pair("local", data.local6),
  ...pair("dev", data.link),
];
const sourcePortWords = ({ port_range: { low, high } }: VniData): Words => ["srcport", low, high];
const learningWords = (data: VniData): Words => [
  ...(data.learning ? [] : ["nolearning"]),
  ...present(data, ["proxy", "l2miss", "l3miss"]),
];
const tableWords = ({ ageing, limit }: VniData): Words => [
  "ageing",
  ageing === 0 ? "none" : ageing,
  ...pair("maxaddr", limit),
];
const remoteWords = (data: VniData): Words => [
  ...pair("group", data.group ?? data.group6),
  ...pair("remote", data.remote ?? data.remote6),
];

const vxlanWords = (data: VniData): Words => [
  ...["id", data.id, ...remoteWords(data), ...placeWords(data), ...sourcePortWords(data), "dstport", data.port],
  ...[...learningWords(data), ...tosWords(data.tos), ...ttlWords(data)],
  ...[...dfWords(data), ...pair("flowlabel", data.label), ...tableWords(data)],
  switchWord(data.udp_csum === true, "udpcsum"),
  switchWord(data.udp_zero_csum6_tx === true, "udp6zerocsumtx"),
  switchWord(data.udp_zero_csum6_rx, "udp6zerocsumrx"),
];

/** iproute2's words come first, then those that its geneve does not have. */
const geneveWords = (data: VniData): Words => [
  ...["id", data.id, ...pair("remote", data.remote ?? data.remote6), ...ttlWords(data), ...tosWords(data.tos)],
  ...[...dfWords(data), ...pair("flowlabel", data.label), "dstport", data.port],
  ...(data.udp_csum === undefined ? [] : [switchWord(data.udp_csum, "udpcsum")]),
  ...(data.udp_zero_csum6_tx === undefined ? [] : [switchWord(data.udp_zero_csum6_tx, "udp6zerocsumtx")]),
  switchWord(data.udp_zero_csum6_rx, "udp6zerocsumrx"),
  ...[...pair("group", data.group ?? data.group6), ...placeWords(data), ...sourcePortWords(data)],
  ...[...learningWords(data), ...tableWords(data)],
];

const encapWords = ({ type, sport, dport, csum, csum6, remcsum }: EncapData): Words => [
  ...["encap", type, "encap-sport", sport === 0 ? "auto" : sport, "encap-dport", dport],
  switchWord(csum, "encap-csum"),
  switchWord(csum6, "encap-csum6"),
  switchWord(remcsum, "encap-remcsum"),
];

/** A tunnel without a default of the host's has 0 for the inner packet's. */
const ttlOf = ({ ttl }: TunnelData): string | number => (ttl === undefined ? "auto" : ttl === 0 ? "inherit" : ttl);

const outerWords = (data: TunnelData): Words => {
  if (data.pmtudisc !== undefined) {
    // Of iproute2's kinds over IPv4, those with a protocol say it in either case.
    const isSaid = data.proto !== undefined || !data.pmtudisc;
    return ["ttl", ttlOf(data), ...tosWords(data.tos), ...(isSaid ? [switchWord(data.pmtudisc, "pmtudisc")] : [])];
  }
  const flowLabel = data.ip6_tnl_f_use_orig_flowlabel === true ? "inherit" : data.flowlabel;
  if (flowLabel === undefined) return [];
  const tclass = data.ip6_tnl_f_use_orig_tclass === true ? "inherit" : data.tclass;
  return ["hoplimit", ttlOf(data), "encaplimit", "none", ...pair("tclass", tclass), "flowlabel", flowLabel];
};

const prefixWords = ({ prefix, prefixlen, relay_prefix: relay, relay_prefixlen: length }: TunnelData): Words => [
  ...pair("6rd-prefix", prefix === undefined ? undefined : `${prefix}/${prefixlen}`),
  ...pair("6rd-relay_prefix", relay === undefined ? undefined : `${relay}/${length}`),
];

const tunnelWords = (data: TunnelData): Words => [
  ...(data.proto === undefined ? [] : [data.proto]),
  ...["remote", data.remote, "local", data.local, ...pair("dev", data.link), ...outerWords(data)],
  ...(data.ignore_df === true ? ["ignore-df"] : []),
  ...[...present(data, ["isatap"]), ...prefixWords(data)],
  ...[...pair("ikey", data.ikey), ...pair("okey", data.okey)],
  ...[...present(data, ["iseq", "oseq", "icsum", "ocsum"]), ...pair("fwmark", data.fwmark)],
  ...(data.encap === undefined ? [] : encapWords(data.encap)),
];

export const linkInfoText = ({ info_kind: kind, info_data: data }: LinkInfo): string => {
  if (!("id" in data)) return [kind, ...tunnelWords(data)].join(" ");
  return [kind, ...(kind === "geneve" ? geneveWords(data) : vxlanWords(data))].join(" ");
};
