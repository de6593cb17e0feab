/**
 * "Packet too big", told to the sender of an IP packet with the beginning of the packet quoted: ICMP destination unreachable,
 * fragmentation needed (RFC 792, the next hop's MTU by RFC 1191 section 4), and ICMPv6 packet too big (RFC 4443 section 3.2).
 *
 *  ICMP    byte 0 type 3   1 code 4   2..3 checksum   4..5 zero   6..7 MTU   8.. the packet
 *  ICMPv6  byte 0 type 2   1 code 0   2..3 checksum   4..7 MTU               8.. the packet
 *
 * The message and its IP header are written in front of the packet where it lies, so that nothing is copied. The message
 * comes from the address that the packet was for, as Linux's tunnels have it (net/ipv4/ip_tunnel_core.c): a VTEP has no
 * address in the overlay. Numbers are bytes; network byte order.
 */
import { addToSum, finishSum, ipv6UpperSum } from "./internet-checksum.ts";

/** What goes before the quoted packet: an IP header and 8 bytes of message. */
export const TOO_BIG_BYTES_IPV4 = 28;
export const TOO_BIG_BYTES_IPV6 = 48;

/** Longest packets that carry a message: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4 (c). */
const MAX_ICMP_PACKET = 576;
const MAX_ICMPV6_PACKET = 1280;
/** Smallest MTUs there are: RFC 791 section 3.2, RFC 8200 section 5. No sender goes below. */
const MIN_MTU_IPV4 = 68;
const MIN_MTU_IPV6 = 1280;

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;

const IPV4_TOTAL_LENGTH = 2; // byte offsets in the IPv4 header
const IPV4_FRAGMENT = 6;
const IPV4_PROTOCOL = 9;
const IPV4_CHECKSUM = 10;
const IPV4_SOURCE = 12;
const IPV4_DESTINATION = 16;
const IPV6_PAYLOAD_LENGTH = 4; // byte offsets in the IPv6 header
const IPV6_NEXT_HEADER = 6;
const IPV6_SOURCE = 8;
const IPV6_DESTINATION = 24;

const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;
/** Of RFC 1812 section 4.3.2.5: internetwork control. */
const TOS_CONTROL = 0xc0;
const TTL = 64;

const HOP_BY_HOP = 0; // IPv6 extension headers
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
const MAX_EXTENSION_HEADERS = 8;

const ICMPV6_FIRST_INFORMATION = 128;
const ICMPV6_REDIRECT = 137;

const isIpv6 = (bytes: Uint8Array, ip: number): boolean => bytes[ip]! >> 4 === 6;

const read16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const write16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 255;
};

/**
 * Whether the sender of the packet may and would be told (RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e)): no answer to
 * errors, to groups, to senders without an address of their own, to what may be fragmented, nor with an MTU that no sender
 * goes down to.
 * @param ip offset of a whole IP header @param end behind the packet
 */
export const mayTellTooBig = (bytes: Uint8Array, ip: number, end: number, mtu: number): boolean =>
  isIpv6(bytes, ip) ? mayTellIpv6(bytes, ip, end, mtu) : mayTellIpv4(bytes, ip, end, mtu);

const mayTellIpv4 = (bytes: Uint8Array, ip: number, end: number, mtu: number): boolean => {
  const fragment = read16(bytes, ip + IPV4_FRAGMENT);
  if (mtu < MIN_MTU_IPV4 || (fragment & 0x4000) === 0 || (fragment & 0x1fff) !== 0) return false;
  if (!isHost(bytes[ip + IPV4_SOURCE]!) || !isHost(bytes[ip + IPV4_DESTINATION]!)) return false;
  if (bytes[ip + IPV4_PROTOCOL] !== PROTOCOL_ICMP) return true;
  const message = ip + (bytes[ip]! & 15) * 4;
  return message < end && !isIcmpError(bytes[message]!);
};

/** By an IPv4 address's first byte: not this network, loopback, multicast, reserved, broadcast. */
const isHost = (first: number): boolean => first !== 0 && first !== 127 && first < 224;

const isIcmpError = (type: number): boolean => (type >= 3 && type <= 5) || type === 11 || type === 12;

const mayTellIpv6 = (bytes: Uint8Array, ip: number, end: number, mtu: number): boolean => {
  if (mtu < MIN_MTU_IPV6 || !isUnicast(bytes, ip + IPV6_SOURCE) || !isUnicast(bytes, ip + IPV6_DESTINATION))
    return false;
  let header = bytes[ip + IPV6_NEXT_HEADER]!;
  let at = ip + IPV6_HEADER;
  for (let i = 0; i < MAX_EXTENSION_HEADERS && isExtension(header); i++) {
    if (at + 8 > end) return false;
    if (header === FRAGMENT && (read16(bytes, at + 2) & 0xfff8) !== 0) return true; // Not the first: no message in it.
    const length = header === FRAGMENT ? 8 : (bytes[at + 1]! + 1) * 8;
    header = bytes[at]!;
    at += length;
  }
  if (isExtension(header)) return false;
  if (header !== PROTOCOL_ICMPV6) return true;
  return at < end && bytes[at]! >= ICMPV6_FIRST_INFORMATION && bytes[at] !== ICMPV6_REDIRECT;
};

const isExtension = (header: number): boolean =>
  header === HOP_BY_HOP || header === ROUTING || header === FRAGMENT || header === DESTINATION_OPTIONS;

/** Neither a group nor `::` nor `::1`. */
const isUnicast = (bytes: Uint8Array, at: number): boolean => {
  if (bytes[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) if (bytes[at + i] !== 0) return true;
  return bytes[at + 15]! > 1;
};

/** Makes a packet's header say another length, so that a superframe is quoted as the first of its segments. */
export const writePacketLength = (bytes: Uint8Array, ip: number, length: number): void => {
  if (isIpv6(bytes, ip)) {
    write16(bytes, ip + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
    return;
  }
  write16(bytes, ip + IPV4_TOTAL_LENGTH, length);
  write16(bytes, ip + IPV4_CHECKSUM, 0);
  write16(bytes, ip + IPV4_CHECKSUM, finishSum(addToSum(0, bytes, ip, (bytes[ip]! & 15) * 4)));
};

/** Bytes that `writeTooBig` needs before the packet at `ip`. */
export const tooBigBytes = (bytes: Uint8Array, ip: number): number =>
  isIpv6(bytes, ip) ? TOO_BIG_BYTES_IPV6 : TOO_BIG_BYTES_IPV4;

/**
 * Writes IP header and message before the packet at `ip`, which `mayTellTooBig` has taken. Returns the length of the packet
 * that they make with as much of the quoted one as may go along. @param end behind the quoted packet
 */
export const writeTooBig = (bytes: Uint8Array, ip: number, end: number, mtu: number): number =>
  isIpv6(bytes, ip) ? writeTooBigIpv6(bytes, ip, end, mtu) : writeTooBigIpv4(bytes, ip, end, mtu);

const writeTooBigIpv4 = (bytes: Uint8Array, ip: number, end: number, mtu: number): number => {
  const header = ip - TOO_BIG_BYTES_IPV4;
  const message = header + IPV4_HEADER;
  const length = Math.min(TOO_BIG_BYTES_IPV4 + end - ip, MAX_ICMP_PACKET);
  bytes[header] = 0x45;
  bytes[header + 1] = TOS_CONTROL;
  write16(bytes, header + IPV4_TOTAL_LENGTH, length);
  write16(bytes, header + 4, 0);
  write16(bytes, header + IPV4_FRAGMENT, 0x4000);
  bytes[header + 8] = TTL;
  bytes[header + IPV4_PROTOCOL] = PROTOCOL_ICMP;
  write16(bytes, header + IPV4_CHECKSUM, 0);
  for (let i = 0; i < 4; i++) {
    bytes[header + IPV4_SOURCE + i] = bytes[ip + IPV4_DESTINATION + i]!;
    bytes[header + IPV4_DESTINATION + i] = bytes[ip + IPV4_SOURCE + i]!;
  }
  write16(bytes, header + IPV4_CHECKSUM, finishSum(addToSum(0, bytes, header, IPV4_HEADER)));
  bytes[message] = 3;
  bytes[message + 1] = 4;
  write16(bytes, message + 2, 0);
  write16(bytes, message + 4, 0);
  write16(bytes, message + 6, mtu);
  write16(bytes, message + 2, finishSum(addToSum(0, bytes, message, length - IPV4_HEADER)));
  return length;
};

const writeTooBigIpv6 = (bytes: Uint8Array, ip: number, end: number, mtu: number): number => {
  const header = ip - TOO_BIG_BYTES_IPV6;
  const message = header + IPV6_HEADER;
  const length = Math.min(TOO_BIG_BYTES_IPV6 + end - ip, MAX_ICMPV6_PACKET);
  bytes.fill(0, header, header + IPV6_PAYLOAD_LENGTH);
  bytes[header] = 0x60;
  write16(bytes, header + IPV6_PAYLOAD_LENGTH, length - IPV6_HEADER);
  bytes[header + IPV6_NEXT_HEADER] = PROTOCOL_ICMPV6;
  bytes[header + 7] = TTL;
  for (let i = 0; i < 16; i++) {
    bytes[header + IPV6_SOURCE + i] = bytes[ip + IPV6_DESTINATION + i]!;
    bytes[header + IPV6_DESTINATION + i] = bytes[ip + IPV6_SOURCE + i]!;
  }
  bytes[message] = 2;
  bytes[message + 1] = 0;
  write16(bytes, message + 2, 0);
  write16(bytes, message + 4, 0);
  write16(bytes, message + 6, mtu);
  const sum = ipv6UpperSum(bytes, header, message, length - IPV6_HEADER, PROTOCOL_ICMPV6);
  write16(bytes, message + 2, finishSum(sum));
  return length;
};
