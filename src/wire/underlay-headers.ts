/**
 * The headers between the underlay's wire and a tunnel header, for a path that writes them itself: Ethernet (IEEE 802.3),
 * IPv4 without options (RFC 791) and, where it is its protocol, UDP (RFC 768). 34 or 42 bytes, network byte order.
 *
 *  byte  0..5 destination   6..11 source   12..13 ethertype
 *        14 version, IHL   15 TOS   16..17 total length   18..19 identification   20..21 flags, fragment offset
 *        22 TTL   23 protocol   24..25 header checksum   26..29 source   30..33 destination
 *        34..35 source port   36..37 destination port   38..39 length   40..41 checksum
 *
 * What differs from packet to packet (lengths, identification, source port, checksums) is left zero: the addon fills it in
 * (native/uplink.cc).
 */

const IP_HEADER_END = 34;
const UDP_HEADER_BYTES = 8;

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
  readonly protocol: number;
  /** Of UDP. */
  readonly dstPort: number;
  /** 1..255. */
  readonly ttl: number;
}

export const underlayHeaderBytes = (protocol: number): number =>
  protocol === PROTOCOL_UDP ? IP_HEADER_END + UDP_HEADER_BYTES : IP_HEADER_END;

/** DF is clear, TOS is 0. */
export const underlayHeaders = (headers: UnderlayHeaders): Uint8Array => {
  const bytes = new Uint8Array(underlayHeaderBytes(headers.protocol));
  bytes.set(headers.dstMac);
  bytes.set(headers.srcMac, 6);
  bytes[12] = ETHERTYPE_IPV4 >>> 8;
  bytes[13] = ETHERTYPE_IPV4 & 255;
  bytes[14] = VERSION_AND_IHL;
  bytes[22] = headers.ttl;
  bytes[23] = headers.protocol;
  bytes.set(headers.src, 26);
  bytes.set(headers.dst, 30);
  if (headers.protocol === PROTOCOL_UDP) {
    bytes[36] = headers.dstPort >>> 8;
    bytes[37] = headers.dstPort & 255;
  }
  return bytes;
};
