/** What is particular to a tunnel's mode, as `ip -d -j link show` has it under `linkinfo`. */
import type { LinkView } from "../dataplane/view.ts";
import { gre6Data, greData, ip6tnlData, iptnlData, type TunnelData, vtiData } from "./tunnel-info.ts";
import { geneveData, type VniData, vxlanData } from "./vni-info.ts";

export type LinkInfo =
  | { readonly info_kind: string; readonly info_data: VniData }
  | { readonly info_kind: string; readonly info_data: TunnelData };

type Data = (link: LinkView) => VniData | TunnelData;

/** netplan tells some modes apart that are one kind for iproute2. */
const KINDS: Readonly<Record<string, readonly [kind: string, data: Data]>> = {
  vxlan: ["vxlan", vxlanData],
  geneve: ["geneve", geneveData],
  gre: ["gre", greData],
  gretap: ["gretap", greData],
  erspan: ["erspan", greData],
  ip6gre: ["ip6gre", gre6Data],
  ip6gretap: ["ip6gretap", gre6Data],
  ip6erspan: ["ip6erspan", gre6Data],
  ipip: ["ipip", (link) => iptnlData(link, "ipip")],
  sit: ["sit", (link) => iptnlData(link, "ip6ip")],
  "6to4": ["sit", (link) => iptnlData(link, "ip6ip")],
  "6rd": ["sit", (link) => iptnlData(link, "ip6ip")],
  isatap: ["sit", (link) => iptnlData(link, "ip6ip")],
  ipip6: ["ip6tnl", (link) => ip6tnlData(link, "ipip6")],
  ip6ip6: ["ip6tnl", (link) => ip6tnlData(link, "ip6ip6")],
  ip6tnl: ["ip6tnl", (link) => ip6tnlData(link, "any")],
  vti: ["vti", vtiData],
  vti6: ["vti6", vtiData],
};

export const linkInfo = (link: LinkView): LinkInfo => {
  const [kind, data] = KINDS[link.mode] ?? [link.mode, greData];
  return { info_kind: kind, info_data: data(link) } as LinkInfo;
};
