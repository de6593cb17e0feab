/**
 * The rows of the second table: modes other than vxlan, with the words by which a Linux peer makes its end. `L` and `R` in them
 * stand for the peer's own underlay address and vtepd's.
 */
export interface TunnelRow {
  readonly name: string;
  /** Of the configuration; keys beside `mode`, `local`, `remote` and `addresses`, YAML. */
  readonly mode: string;
  readonly keys?: string;
  /** Default: what the mode is named after. */
  readonly underlay?: "IPv4" | "IPv6";
  /** Behind `ip link add ov0`. */
  readonly peer: string;
  /** The same with another key: nothing may pass. */
  readonly wrong?: string;
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
    peer: "type geneve id 42 remote R",
    wrong: "type geneve id 43 remote R",
    carries: BOTH,
    mtu: 1450,
  },
  {
    name: "geneve, over IPv6",
    mode: "geneve",
    keys: "id: 42, port: 6082",
    underlay: "IPv6",
    peer: "type geneve id 42 remote R dstport 6082",
    wrong: "type geneve id 41 remote R dstport 6082",
    carries: BOTH,
    mtu: 1430,
  },
  { name: "gre", mode: "gre", peer: `type gre ${V4}`, carries: BOTH, mtu: 1476 },
  {
    name: "gre, key",
    mode: "gre",
    keys: "key: 42",
    peer: `type gre ${V4} key 42`,
    wrong: `type gre ${V4} key 43`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, keys apart, one a dotted quad",
    mode: "gre",
    keys: "key: { input: 1.2.3.4, output: 7 }",
    peer: `type gre ${V4} ikey 7 okey 1.2.3.4`,
    wrong: `type gre ${V4} ikey 7 okey 1.2.3.5`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, checksum",
    mode: "gre",
    keys: "checksum: true",
    peer: `type gre ${V4} csum`,
    wrong: `type gre ${V4}`,
    carries: BOTH,
    mtu: 1472,
  },
  {
    name: "gre, sequence numbers",
    mode: "gre",
    keys: "sequence: true",
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
  { name: "gretap", mode: "gretap", peer: `type gretap ${V4}`, carries: BOTH, mtu: 1462 },
  {
    name: "gretap, key and checksum",
    mode: "gretap",
    keys: "key: 42, checksum: true",
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
    peer: "type ip6gre local L remote R key 42",
    wrong: "type ip6gre local L remote R key 43",
    carries: BOTH,
    mtu: 1400,
  },
  { name: "ip6gretap", mode: "ip6gretap", peer: `type ip6gretap ${V6}`, carries: BOTH, mtu: 1442 },
  { name: "ipip", mode: "ipip", peer: `type ipip ${V4}`, carries: ["IPv4"], mtu: 1480 },
  { name: "sit", mode: "sit", peer: `type sit ${V4}`, carries: ["IPv6"], mtu: 1480 },
  { name: "ipip6", mode: "ipip6", peer: `type ip6tnl mode ipip6 ${V6}`, carries: ["IPv4"], mtu: 1460 },
  { name: "ip6ip6", mode: "ip6ip6", peer: `type ip6tnl mode ip6ip6 ${V6}`, carries: ["IPv6"], mtu: 1460 },
  { name: "ip6tnl, mode any", mode: "ip6tnl", peer: `type ip6tnl mode any ${V6}`, carries: BOTH, mtu: 1460 },
];
