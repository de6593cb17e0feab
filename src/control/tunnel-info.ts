/**
 * What is particular to a tunnel without a VNI, in the keys of `ip -d -j link show` (iproute2 6.1, ip/link_gre.c, link_gre6.c,
 * link_iptnl.c, link_ip6tnl.c, link_vti.c, link_vti6.c, tunnel.c).
 */
import { isIPv6 } from "node:net";
import type { LinkView } from "../dataplane/view.ts";

/** A tunnel in UDP. */
export interface EncapData {
  /** fou, which GRE-in-UDP is, too; gue; and for ESP, as `ip xfrm` calls it, espinudp. */
  readonly type: string;
  /** 0 = by the flow hash. */
  readonly sport: number;
  readonly dport: number;
  readonly csum: boolean;
  readonly csum6: boolean;
  readonly remcsum: false;
}

export interface TunnelData {
  /** iproute2's word for what is carried. */
  readonly proto?: string;
  readonly remote: string;
  readonly local: string;
  readonly link?: string;
  /** 0 = the inner packet's, as iproute2 has it here; absent = the host's default, which the kernel's tunnels do not know. */
  readonly ttl?: number;
  /** Over IPv4; `0x1` = the inner packet's, absent = 0. */
  readonly tos?: string;
  readonly pmtudisc?: boolean;
  /** GRE: no DF on outer packets, whatever the inner ones have. Without it and `pmtudisc`, the inner packets'. */
  readonly ignore_df?: true;
  readonly isatap?: true;
  /** 6rd, and 6to4. */
  readonly prefix?: string;
  readonly prefixlen?: number;
  readonly relay_prefix?: string;
  readonly relay_prefixlen?: number;
  /** Over IPv6. We put no limit into packets. */
  readonly ip6_tnl_f_ign_encap_limit?: true;
  readonly tclass?: string;
  /** In the place of `tclass`: the inner packet's. */
  readonly ip6_tnl_f_use_orig_tclass?: true;
  readonly flowlabel?: string;
  /** In the place of `flowlabel`: the inner packet's. */
  readonly ip6_tnl_f_use_orig_flowlabel?: true;
  /** Dotted quads. */
  readonly ikey?: string;
  readonly okey?: string;
  /** Present when on. */
  readonly iseq?: true;
  readonly oseq?: true;
  readonly icsum?: true;
  readonly ocsum?: true;
  readonly fwmark?: string;
  readonly encap?: EncapData;
}

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

/** As the kernel keeps it: the lowest bit means the inner packet's. */
export const tosText = (tos: number | "inherit"): string => (tos === "inherit" ? "0x1" : hex(tos, 1));

const dottedQuad = (key: number): string => [24, 16, 8, 0].map((shift) => (key >>> shift) & 255).join(".");

const ends = (link: LinkView): Pick<TunnelData, "remote" | "local" | "link"> => ({
  remote: link.remote ?? link.group ?? "any",
  local: link.locals.join(" "),
  ...(link.link === null ? {} : { link: link.link }),
});

const ttl = (link: LinkView): Partial<TunnelData> =>
  link.ttl === null ? {} : { ttl: link.ttl === "inherit" ? 0 : link.ttl };

const greWords = ({ gre }: LinkView): Partial<TunnelData> => {
  const { inputKey, outputKey, checksum, sequence } = gre;
  return {
    ...(inputKey === null ? {} : { ikey: dottedQuad(inputKey) }),
    ...(outputKey === null ? {} : { okey: dottedQuad(outputKey) }),
    ...(sequence.input ? { iseq: true } : {}),
    ...(sequence.output ? { oseq: true } : {}),
    ...(checksum.input ? { icsum: true } : {}),
    ...(checksum.output ? { ocsum: true } : {}),
  };
};

const tail = (link: LinkView): Partial<TunnelData> => {
  const { encap, mark, port, checksum, zeroChecksum6Tx } = link;
  const isOverIpv6 = isIPv6(link.locals[0] ?? "");
  const encapData = (type: string): EncapData => ({
    type: type === "gre-in-udp" ? "fou" : type,
    sport: 0,
    dport: port,
    csum: !isOverIpv6 && checksum,
    csum6: isOverIpv6 && !zeroChecksum6Tx,
    remcsum: false,
  });
  return {
    ...(mark === null ? {} : { fwmark: hex(mark, 1) }),
    ...(encap === null ? {} : { encap: encapData(encap) }),
  };
};

const outer4 = (link: LinkView): Partial<TunnelData> => ({
  ...ttl(link),
  ...(link.tos === 0 ? {} : { tos: tosText(link.tos) }),
  pmtudisc: link.df === "set",
});

const outer6 = (link: LinkView): Partial<TunnelData> => ({
  ...ttl(link),
  ip6_tnl_f_ign_encap_limit: true,
  ...(link.tos === "inherit" ? { ip6_tnl_f_use_orig_tclass: true } : { tclass: hex(link.tos, 2) }),
  ...(link.flowLabel === "inherit" ? { ip6_tnl_f_use_orig_flowlabel: true } : { flowlabel: hex(link.flowLabel, 5) }),
});

const embeddingWords = ({ mode, embedding }: LinkView): Partial<TunnelData> => {
  if (mode === "isatap") return { isatap: true };
  if (embedding === null) return {};
  const [prefix = "", length] = embedding.prefix.split("/");
  const [relay = "", relayLength] = embedding.base.split("/");
  return {
    prefix,
    prefixlen: Number(length),
    ...(relayLength === "0" ? {} : { relay_prefix: relay, relay_prefixlen: Number(relayLength) }),
  };
};

export const greData = (link: LinkView): TunnelData => ({
  ...ends(link),
  ...outer4(link),
  ...(link.df === "unset" ? { ignore_df: true } : {}),
  ...greWords(link),
  ...tail(link),
});

export const gre6Data = (link: LinkView): TunnelData => ({
  ...ends(link),
  ...outer6(link),
  ...greWords(link),
  ...tail(link),
});

/** @param proto iproute2's word for what is carried */
export const iptnlData = (link: LinkView, proto: string): TunnelData => ({
  proto,
  ...ends(link),
  ...outer4(link),
  ...embeddingWords(link),
  ...tail(link),
});

export const ip6tnlData = (link: LinkView, proto: string): TunnelData => ({
  proto,
  ...ends(link),
  ...outer6(link),
  ...tail(link),
});

/** What the kernel keeps with the associations is not shown of the tunnel. */
export const vtiData = (link: LinkView): TunnelData => ({ ...ends(link), ...tail(link) });
