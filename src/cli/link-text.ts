/** A tunnel in the shape of `ip -d -s link show`, without the words whose values vtepd does not know. */
import type { LinkJson, LinkStats64, PolicersJson } from "../control/link-json.ts";
import { linkInfoText } from "./link-info-text.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const MARGIN = "    ";

/** iproute2's columns: as wide as the widest of its headings in that place, or as the widest number. Characters. */
const COLUMNS = [10, 7, 6, 7, 7, 7] as const;
const HEADINGS = {
  RX: ["bytes", "packets", "errors", "dropped", "missed", "mcast"],
  TX: ["bytes", "packets", "errors", "dropped", "carrier", "collsns"],
} as const;

const statsLines = ({ rx, tx }: LinkStats64): string[] => {
  const rows = {
    RX: [rx.bytes, rx.packets, rx.errors, rx.dropped, rx.over_errors, rx.multicast],
    TX: [tx.bytes, tx.packets, tx.errors, tx.dropped, tx.carrier_errors, tx.collisions],
  };
  const widths = COLUMNS.map((width, index) =>
    Math.max(width, String(rows.RX[index]).length, String(rows.TX[index]).length),
  );
  const pad = (cells: readonly (string | number)[]): string =>
    cells.map((cell, index) => String(cell).padStart(widths[index]!)).join(" ");
  return (["RX", "TX"] as const).flatMap((direction) => [
    // The direction stands in the first column's left end.
    `${MARGIN}${direction}:${pad(HEADINGS[direction]).slice(3)}`,
    MARGIN + pad(rows[direction]),
  ]);
};

const rateWords = ({ "per-source": perSource, ...rates }: PolicersJson): (string | number)[] => [
  ...Object.entries(rates).flat(),
  ...(perSource === undefined ? [] : ["per-source", ...rateWords(perSource)]),
];

/** What iproute2 has no words for, in ours. */
const ownWords = ({
  tunnel,
  state,
  queues,
  offload,
  receive,
  kernel_modules,
  netns,
  underlay_netns,
  underlay,
  accept,
  fwmark,
  unknown_unicast,
  policers,
  oversize,
  mss_clamp,
  vlan,
  fdb,
  limit_per_remote,
  eviction,
  move_damping,
  flood,
  routes,
  names,
}: LinkJson["vtepd"]): (string | number)[] => {
  const words: (string | number)[] = ["vtepd", "state", state, "queues", queues, "offload", offload];
  if (tunnel !== undefined) words.push("tunnel", tunnel);
  if (receive !== "socket") words.push("receive", receive);
  if (kernel_modules.length > 0) words.push("kernel-modules", kernel_modules.join(","));
  if (netns !== null) words.push("netns", netns);
  if (underlay_netns !== null) words.push("underlay-netns", underlay_netns);
  if (underlay.code !== undefined) words.push("underlay", underlay.state, underlay.code);
  if (accept === "any") words.push("accept", accept);
  if (unknown_unicast === "drop") words.push("unknown-unicast", unknown_unicast);
  if (Object.keys(policers).length > 0) words.push("policers", ...rateWords(policers));
  if (oversize !== "icmp") words.push("oversize", oversize);
  if (mss_clamp !== "off") words.push("mss-clamp", mss_clamp);
  if (vlan !== "pass") words.push("vlan", vlan);
  if (fwmark !== null) words.push("fwmark", `0x${fwmark.toString(16)}`);
  if (limit_per_remote !== null) words.push("limit-per-remote", limit_per_remote);
  if (eviction === "none") words.push("eviction", eviction);
  if (!move_damping) words.push("nomove-damping");
  words.push("learned", fdb.learned, "static", fdb.static);
  if (flood.length > 0) words.push("flood", ...flood);
  for (const { to, via, gateway, "direct-routing": isDirect } of routes) {
    words.push("route", to, "via", via);
    if (gateway !== undefined) words.push("gateway", gateway);
    if (isDirect === true) words.push("direct-routing");
  }
  for (const { name, addresses } of names) {
    words.push("name", name, ...(addresses.length > 0 ? addresses : ["unresolved"]));
  }
  return words;
};

/** Several lines, each with its newline. */
export const linkText = (link: LinkJson, withStats: boolean): string => {
  const { fwmark, ...rest } = link.vtepd;
  const isMarkSaid = "fwmark" in link.linkinfo.info_data;
  const lines = [
    `${link.ifindex}: ${link.ifname}: <${link.flags.join(",")}> mtu ${link.mtu} state ${link.operstate}`,
    `${MARGIN}link/${link.link_type}${link.address === undefined ? "" : ` ${link.address} brd ${BROADCAST}`}`,
    MARGIN + linkInfoText(link.linkinfo),
    MARGIN + ownWords({ ...rest, fwmark: isMarkSaid ? null : fwmark }).join(" "),
  ];
  if (withStats) lines.push(...statsLines(link.stats64));
  return `${lines.join("\n")}\n`;
};

/** As `ip -br link show`; with the newline. */
export const briefText = ({ ifname, operstate, address, flags }: LinkJson): string =>
  `${ifname.padEnd(16)} ${operstate.padEnd(14)} ${address === undefined ? "" : `${address} `}<${flags.join(",")}> \n`;

/** Several lines as one, as `ip -o` has them. */
export const oneLine = (text: string): string => `${text.trimEnd().replaceAll("\n", "\\")}\n`;
