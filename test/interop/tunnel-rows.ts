/**
 * The rows of the second table: modes other than vxlan and their options, with the words by which each peer makes its end. `L` and
 * `R` in a Linux peer's words stand for its own underlay address and vtepd's.
 */
import { overlay4, overlay6 } from "./peer.ts";

export interface TunnelRow {
  readonly name: string;
  /** Of the configuration; keys beside `mode`, `local`, `remote` and `addresses`, YAML. */
  readonly mode: string;
  readonly keys?: string;
  /** Default: what the mode is named after. */
  readonly underlay?: "IPv4" | "IPv6";
  /** A second vtepd's keys, where they are not the same. */
  readonly mirrored?: string;
  /** A second vtepd's keys that must let nothing pass. */
  readonly wrongKeys?: string;
  /** Behind `ip link add ov0`. */
  readonly peer: string;
  /** The same with another key: nothing may pass. */
  readonly wrong?: string;
  /** Behind `ip fou add`: what the Linux peer receives in UDP. Only for tunnels in UDP. */
  readonly fou?: string;
  /** Open vSwitch's interface: type and options. */
  readonly ovs?: string;
  readonly ovsWrong?: string;
  readonly carries: readonly ("IPv4" | "IPv6")[];
  /** Of both devices, bytes. */
  readonly mtu: number;
}

const BOTH = ["IPv4", "IPv6"] as const;
const V4 = "local L remote R ttl 64";
/** Without the destination option that Linux sends by default, except where that is the row. */
const V6 = "local L remote R encaplimit none";

export const TUNNEL_ROWS: readonly TunnelRow[] = [
  {
    name: "geneve",
    mode: "geneve",
    keys: "id: 42",
    wrongKeys: "id: 43",
    peer: "type geneve id 42 remote R",
    wrong: "type geneve id 43 remote R",
    ovs: "type=geneve options:key=42",
    ovsWrong: "type=geneve options:key=43",
    carries: BOTH,
    mtu: 1450,
  },
  {
    name: "geneve, over IPv6",
    mode: "geneve",
    keys: "id: 42, port: 6082",
    underlay: "IPv6",
    wrongKeys: "id: 41, port: 6082",
    peer: "type geneve id 42 remote R dstport 6082",
    wrong: "type geneve id 41 remote R dstport 6082",
    ovs: "type=geneve options:key=42 options:dst_port=6082",
    ovsWrong: "type=geneve options:key=41 options:dst_port=6082",
    carries: BOTH,
    mtu: 1430,
  },
  { name: "gre", mode: "gre", peer: `type gre ${V4}`, carries: BOTH, mtu: 1476 },
  {
    name: "gre, key",
    mode: "gre",
    keys: "key: 42",
    wrongKeys: "key: 43",
    peer: `type gre ${V4} key 42`,
    wrong: `type gre ${V4} key 43`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, keys apart, one a dotted quad",
    mode: "gre",
    keys: "key: { input: 1.2.3.4, output: 7 }",
    mirrored: "key: { input: 7, output: 1.2.3.4 }",
    wrongKeys: "key: { input: 7, output: 1.2.3.5 }",
    peer: `type gre ${V4} ikey 7 okey 1.2.3.4`,
    wrong: `type gre ${V4} ikey 7 okey 1.2.3.5`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, checksum",
    mode: "gre",
    keys: "checksum: true",
    wrongKeys: "checksum: false",
    peer: `type gre ${V4} csum`,
    wrong: `type gre ${V4}`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, sequence numbers",
    mode: "gre",
    keys: "sequence: true",
    wrongKeys: "sequence: false",
    peer: `type gre ${V4} seq`,
    wrong: `type gre ${V4}`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, key, checksum and sequence numbers",
    mode: "gre",
    keys: "key: 42, checksum: true, sequence: true",
    peer: `type gre ${V4} key 42 csum seq`,
    carries: BOTH,
    mtu: 1464,
  },
  { name: "gretap", mode: "gretap", peer: `type gretap ${V4}`, ovs: "type=gre", carries: BOTH, mtu: 1462 },
  {
    name: "gretap, key",
    mode: "gretap",
    keys: "key: 42",
    wrongKeys: "key: 41",
    peer: `type gretap ${V4} key 42`,
    wrong: `type gretap ${V4} key 41`,
    ovs: "type=gre options:key=42",
    ovsWrong: "type=gre options:key=41",
    carries: BOTH,
    mtu: 1458,
  },
  {
    name: "gretap, sequence numbers",
    mode: "gretap",
    keys: "sequence: true",
    wrongKeys: "sequence: false",
    peer: `type gretap ${V4} seq`,
    wrong: `type gretap ${V4}`,
    ovs: "type=gre options:seq=true",
    ovsWrong: "type=gre",
    carries: BOTH,
    mtu: 1458,
  },
  {
    name: "gretap, key and checksum",
    mode: "gretap",
    keys: "key: 42, checksum: true",
    wrongKeys: "key: 41, checksum: true",
    ovs: "type=gre options:key=42 options:csum=true",
    ovsWrong: "type=gre options:key=41 options:csum=true",
    peer: `type gretap ${V4} key 42 csum`,
    wrong: `type gretap ${V4} key 41 csum`,
    carries: BOTH,
    mtu: 1454,
  },
  { name: "ip6gre", mode: "ip6gre", peer: `type ip6gre ${V6}`, carries: BOTH, mtu: 1456 },
  {
    name: "ip6gre, key, and a tunnel encapsulation limit",
    mode: "ip6gre",
    keys: "key: 42, mtu: 1400",
    wrongKeys: "key: 43, mtu: 1400",
    peer: "type ip6gre local L remote R key 42",
    wrong: "type ip6gre local L remote R key 43",
    carries: BOTH,
    mtu: 1400,
  },
  { name: "ip6gretap", mode: "ip6gretap", peer: `type ip6gretap ${V6}`, ovs: "type=ip6gre", carries: BOTH, mtu: 1442 },
  {
    name: "ip6gretap, key",
    mode: "ip6gretap",
    keys: "key: 42",
    wrongKeys: "key: 41",
    peer: `type ip6gretap ${V6} key 42`,
    wrong: `type ip6gretap ${V6} key 41`,
    ovs: "type=ip6gre options:key=42",
    ovsWrong: "type=ip6gre options:key=41",
    carries: BOTH,
    mtu: 1438,
  },
  { name: "ipip", mode: "ipip", peer: `type ipip ${V4}`, carries: ["IPv4"], mtu: 1480 },
  { name: "sit", mode: "sit", peer: `type sit ${V4}`, carries: ["IPv6"], mtu: 1480 },
  { name: "ipip6", mode: "ipip6", peer: `type ip6tnl mode ipip6 ${V6}`, carries: ["IPv4"], mtu: 1460 },
  { name: "ip6ip6", mode: "ip6ip6", peer: `type ip6tnl mode ip6ip6 ${V6}`, carries: ["IPv6"], mtu: 1460 },
  { name: "ip6tnl, mode any", mode: "ip6tnl", peer: `type ip6tnl mode any ${V6}`, carries: BOTH, mtu: 1460 },
  {
    name: "gre in fou",
    mode: "gre",
    keys: "key: 42, encap: { type: fou }",
    wrongKeys: "key: 43, encap: { type: fou }",
    peer: `type gre ${V4} key 42 encap fou encap-sport auto encap-dport 5555`,
    wrong: `type gre ${V4} key 43 encap fou encap-sport auto encap-dport 5555`,
    fou: "port 5555 ipproto 47",
    carries: BOTH,
    mtu: 1464,
  },
  {
    name: "gre in UDP (RFC 8086)",
    mode: "gre",
    keys: "encap: { type: gre-in-udp }",
    peer: `type gre ${V4} encap fou encap-sport auto encap-dport 4754`,
    fou: "port 4754 ipproto 47",
    carries: BOTH,
    mtu: 1468,
  },
  {
    name: "gretap in GUE",
    mode: "gretap",
    keys: "encap: { type: gue }",
    wrongKeys: "encap: { type: gue, port: 6081 }",
    peer: `type gretap ${V4} encap gue encap-sport auto encap-dport 6080`,
    wrong: `type gretap ${V4} encap gue encap-sport auto encap-dport 6081`,
    fou: "port 6080 gue",
    carries: BOTH,
    mtu: 1450,
  },
  {
    name: "ipip in fou",
    mode: "ipip",
    keys: "encap: { type: fou }",
    peer: `type ipip ${V4} encap fou encap-sport auto encap-dport 5555`,
    fou: "port 5555 ipproto 4",
    carries: ["IPv4"],
    mtu: 1472,
  },
  {
    name: "sit in GUE",
    mode: "sit",
    keys: "encap: { type: gue }",
    peer: `type sit ${V4} encap gue encap-sport auto encap-dport 6080`,
    fou: "port 6080 gue",
    carries: ["IPv6"],
    mtu: 1468,
  },
  {
    name: "ip6gre in GUE",
    mode: "ip6gre",
    keys: "encap: { type: gue }",
    peer: `type ip6gre ${V6} encap gue encap-sport auto encap-dport 6080`,
    fou: "port 6080 gue -6",
    carries: BOTH,
    mtu: 1444,
  },
];

/** What a tunnel of the row carries: addresses of station n, with prefix lengths. */
export const addressesOf = (row: TunnelRow, n: number): string[] =>
  row.carries.map((family) => (family === "IPv4" ? `${overlay4(n)}/24` : `${overlay6(n)}/64`));
