/** Names of configuration keys that many modes have (config/tunnel-schema.ts says what they mean). */

/** Of every tunnel. */
export const COMMON_KEYS: readonly string[] = [
  "local",
  "group",
  "remote",
  "accept",
  "mtu",
  "addresses",
  "netns",
  "underlay-netns",
  "link",
  "queues",
  "ttl",
  "type-of-service",
  "do-not-fragment",
  "oversize",
  "mss-clamp",
  "flow-label",
  "fwmark",
];

/** Of tunnels that carry Ethernet frames. */
export const ETHERNET_KEYS: readonly string[] = [
  "flood",
  "fdb",
  "routes",
  "mac-learning",
  "unknown-unicast",
  "policers",
  "arp-proxy",
  "neighbours",
  "neighbors",
  "notifications",
  "ageing",
  "aging",
  "limit",
  "limit-per-remote",
  "eviction",
  "move-damping",
  "vlan",
  "macaddress",
];

/** Of tunnels in UDP. */
export const UDP_KEYS: readonly string[] = ["port", "port-range", "checksums"];

/** Of tunnels that may be put into UDP. */
export const ENCAP_KEYS: readonly string[] = ["encap"];

/** Of tunnels that carry IP packets, beside the common ones. */
export const PACKET_KEYS: readonly string[] = ["routes"];

/** Of tunnels whose remote VTEPs are in the addresses behind them; anybody is heard, and checked. */
export const AUTOMATIC_KEYS: readonly string[] = COMMON_KEYS.filter(
  (name) => !["group", "remote", "accept"].includes(name),
);

/** Of GRE. */
export const GRE_KEYS: readonly string[] = ["key", "checksum", "sequence"];

/** Of ESP. */
export const ESP_KEYS: readonly string[] = ["key-file", "extended-sequence", "replay-window"];
