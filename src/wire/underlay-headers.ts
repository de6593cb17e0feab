/**
 * The headers between the underlay's wire and a tunnel header, for a path that writes them itself: Ethernet (IEEE 802.3),
 * IPv4 without options (RFC 791) and UDP (RFC 768). 42 bytes, network byte order.
 *
 *  byte  0..5 destination   6..11 source   12..13 ethertype
 *        14 version, IHL   15 TOS   16..17 total length   18..19 identification   20..21 flags, fragment offset
 *        22 TTL   23 protocol   24..25 header checksum   26..29 source   30..33 destination
 *        34..35 source port   36..37 destination port   38..39 length   40..41 checksum
 *
 * What differs from packet to packet (lengths, identification, source port, checksums) is left zero: the addon fills it in
 * (native/uplink.cc).
 */

export const UNDERLAY_HEADER_BYTES = 42;

const ETHERTYPE_IPV4 = 0x0800;
const VERSION_AND_IHL = 0x45;
export const PROTOCOL_UDP = 17;
/** The others that carry tunnels: IPv4 and IPv6 packets without any header between, and GRE. */
export const PROTOCOL_IPIP = 4;
export const PROTOCOL_IPV6 = 41;
export const PROTOCOL_GRE = 47;
export const PROTOCOL_ESP = 50;

export interface UnderlayHeaders {
  /** MACs, 6 bytes each. */
  readonly dstMac: Uint8Array;
  readonly srcMac: Uint8Array;
  /** IPv4 addresses, 4 bytes each. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  readonly dstPort: number;
  /** 1..255. */
  readonly ttl: number;
}

/** Writes all UNDERLAY_HEADER_BYTES; DF is clear, TOS is 0. */
export const writeUnderlayHeaders = (bytes: Uint8Array, offset: number, headers: UnderlayHeaders): void => {
  bytes.fill(0, offset, offset + UNDERLAY_HEADER_BYTES);
  bytes.set(headers.dstMac, offset);
  bytes.set(headers.srcMac, offset + 6);
  bytes[offset + 12] = ETHERTYPE_IPV4 >>> 8;
  bytes[offset + 13] = ETHERTYPE_IPV4 & 255;
  bytes[offset + 14] = VERSION_AND_IHL;
  bytes[offset + 22] = headers.ttl;
  bytes[offset + 23] = PROTOCOL_UDP;
  bytes.set(headers.src, offset + 26);
  bytes.set(headers.dst, offset + 30);
  bytes[offset + 36] = headers.dstPort >>> 8;
  bytes[offset + 37] = headers.dstPort & 255;
};
