/**
 * Why a frame was dropped: a closed list of small integers, because the loop compares and counts them.
 * Names are those of the kernel's `enum skb_drop_reason` (include/net/dropreason-core.h) where it has one; those below
 * the second comment are ours. Numbers index counter columns and are never reused.
 */

export const NOT_DROPPED = 0;

// The kernel's names.
export const PKT_TOO_SMALL = 1;
export const PKT_TOO_BIG = 2;
export const HDR_TRUNC = 3;
export const VXLAN_INVALID_HDR = 4;
export const VXLAN_VNI_NOT_FOUND = 5;
export const MAC_INVALID_SOURCE = 6;
export const LOCAL_MAC = 7;
export const VXLAN_ENTRY_EXISTS = 8;
export const NO_TX_TARGET = 9;
export const IP_OUTNOROUTES = 10;
export const FULL_RING = 11;
export const DEV_READY = 12;

// Ours.
export const UNKNOWN_VTEP = 13;
export const TX_ERROR = 14;

// The kernel's names, which came later.
export const UDP_CSUM = 15;
export const IP_TUNNEL_ECN = 16;

// Ours.
export const LOOPED_BACK = 17;
export const UNKNOWN_UNICAST = 18;
export const POLICED = 19;
export const PKT_TOO_BIG_TOLD = 20;
export const POLICED_SOURCE = 21;
export const VLAN_TAGGED = 22;
export const ROUTE_RECURSION = 23;
export const INVALID_HDR = 24;
export const NO_TUNNEL = 25;
export const GRE_CSUM = 26;
export const GRE_SEQUENCE_ERROR = 27;

// The kernel's name.
export const UNHANDLED_PROTO = 28;

// Ours.
export const ENCAP_LIMIT = 29;
export const ESP_NO_ASSOCIATION = 30;
export const ESP_REPLAYED = 31;
export const ESP_FORGED = 32;

// The kernel's names.
export const IP_INVALID_SOURCE = 33;
export const NEIGH_QUEUEFULL = 34;
export const FRAG_REASM_TIMEOUT = 35;

interface DropReasonRow {
  /** Label in metrics and JSON: the constant in lower case. */
  readonly name: string;
  readonly meaning: string;
}

/** Indexed by the constants above. */
export const DROP_REASONS: readonly DropReasonRow[] = [
  { name: "not_dropped", meaning: "the frame goes on" },
  { name: "pkt_too_small", meaning: "inner frame shorter than an Ethernet header" },
  { name: "pkt_too_big", meaning: "encapsulated frame larger than the underlay carries" },
  { name: "hdr_trunc", meaning: "datagram shorter than the tunnel header" },
  { name: "vxlan_invalid_hdr", meaning: "VXLAN header without the I flag" },
  { name: "vxlan_vni_not_found", meaning: "no tunnel has this VNI on this socket" },
  { name: "mac_invalid_source", meaning: "inner source MAC is a group address or all zeros" },
  { name: "local_mac", meaning: "inner source MAC is the device's own: a frame of ours came back" },
  { name: "vxlan_entry_exists", meaning: "inner source MAC has a static FDB entry at another VTEP" },
  { name: "no_tx_target", meaning: "no FDB entry and an empty flood list" },
  { name: "ip_outnoroutes", meaning: "no underlay route to the remote VTEP" },
  { name: "full_ring", meaning: "the kernel's send queue is full" },
  { name: "dev_ready", meaning: "the TAP device is down" },
  { name: "unknown_vtep", meaning: "outer source address is no remote VTEP of this tunnel" },
  { name: "tx_error", meaning: "the kernel refused the frame for another reason" },
  { name: "udp_csum", meaning: "wrong outer UDP checksum, in tier tunnel; elsewhere the kernel drops and counts such" },
  {
    name: "ip_tunnel_ecn",
    meaning: "congestion was marked on the way, and the inner packet does not understand that (RFC 6040)",
  },
  { name: "looped_back", meaning: "outer source address is our own: multicast of ours came back" },
  { name: "unknown_unicast", meaning: "no FDB entry, and the tunnel does not flood unknown unicast" },
  { name: "policed", meaning: "more broadcast, multicast or unknown unicast than the tunnel's policer lets through" },
  { name: "pkt_too_big_told", meaning: "larger than the path carries, and its sender was told by ICMP" },
  { name: "policed_source", meaning: "more of them than the policer per source MAC lets through" },
  { name: "vlan_tagged", meaning: "the frame has a VLAN tag, and the tunnel takes none" },
  { name: "route_recursion", meaning: "the underlay's route to the remote VTEP leads back into the tunnel" },
  { name: "invalid_hdr", meaning: "tunnel header with a version or bits that its format forbids" },
  { name: "no_tunnel", meaning: "no tunnel has this key and this outer source address" },
  { name: "gre_csum", meaning: "GRE checksum wrong, or absent where the tunnel wants one" },
  {
    name: "gre_sequence_error",
    meaning: "GRE sequence number older than one before, or absent where the tunnel wants one",
  },
  { name: "unhandled_proto", meaning: "payload of a kind that the tunnel does not carry" },
  { name: "encap_limit", meaning: "IPv6 packet that may enter no further tunnel (RFC 2473)" },
  { name: "esp_no_association", meaning: "no tunnel has an association with this SPI" },
  { name: "esp_replayed", meaning: "ESP sequence number that came before, or older than the replay window" },
  { name: "esp_forged", meaning: "ESP packet that was not sealed with the association's key, or was changed since" },
  {
    name: "ip_invalid_source",
    meaning: "inner addresses that cannot come from this outer source, in 6to4, 6rd and ISATAP",
  },
  { name: "neigh_queuefull", meaning: "more packets to a VTEP that has only just been heard of than wait for it" },
  {
    name: "frag_reasm_timeout",
    meaning: "underlay packet over IPv6 whose fragments did not all come in a minute, or contradict each other",
  },
];

/** Number of counter columns a drop table needs; room for reasons to come without a new layout. */
export const DROP_REASON_COLUMNS = 40;
