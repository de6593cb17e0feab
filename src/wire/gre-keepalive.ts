/**
 * GRE keepalive, as Cisco's routers send it (no RFC): an IP packet inside GRE that is itself GRE, with protocol type 0 and
 * no payload, addressed back to the sender. Whoever forwards what comes out of its tunnel answers without knowing.
 *
 *        [IP A -> B] [GRE 0x0800 or 0x86dd] [IP B -> A, protocol 47] [GRE, protocol type 0]
 *
 * The inner packet is of the underlay's IP version, or its addresses could not be those of the VTEPs.
 */
import { NOT_DROPPED } from "../drop-reason.ts";
import { checkGre, readGreProtocol } from "./gre.ts";
import { PROTOCOL_GRE } from "./underlay-headers.ts";

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const GRE_BASE_BYTES = 4;
// Byte offsets in the IPv4 header.
const TOTAL_LENGTH = 2;
const FRAGMENT = 6;
const PROTOCOL = 9;
const SOURCE = 12;
const DESTINATION = 16;
/** What precedes an IPv4 address in its mapped form, as a word. */
const MAPPED: number = 0xffff0000 | 0;
/** Whether more fragments follow, and the offset. */
const FRAGMENT_BITS = 0x3fff;
// And in the IPv6 header.
const PAYLOAD_LENGTH = 4;
const NEXT_HEADER = 6;
const SOURCE6 = 8;
const DESTINATION6 = 24;

const readHalf = (bytes: Uint8Array, offset: number): number => (bytes[offset]! << 8) | bytes[offset + 1]!;
/** As the word of an address table: its bytes in memory order. */
const readWord = (bytes: Uint8Array, offset: number): number =>
  bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);

/** Whether an IPv6 address is the one in four words. */
const isAddress = (bytes: Uint8Array, offset: number, words: Int32Array, at: number): boolean =>
  readWord(bytes, offset + 12) === words[at + 3] &&
  readWord(bytes, offset + 8) === words[at + 2] &&
  readWord(bytes, offset + 4) === words[at + 1] &&
  readWord(bytes, offset) === words[at];

/** Bytes of the IPv4 header before GRE, when it goes from `local` to `source`; else 0. */
const ipv4HeaderBytes = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  words: Int32Array,
  source: number,
  local: number,
): number => {
  if (length < IPV4_HEADER_BYTES || bytes[offset + PROTOCOL] !== PROTOCOL_GRE) return 0;
  const header = (bytes[offset]! & 15) * 4;
  if (header < IPV4_HEADER_BYTES || (readHalf(bytes, offset + FRAGMENT) & FRAGMENT_BITS) !== 0) return 0;
  const isBack =
    words[local + 2] === MAPPED &&
    readWord(bytes, offset + SOURCE) === words[local + 3] &&
    readWord(bytes, offset + DESTINATION) === words[source + 3];
  return isBack ? header : 0;
};

/** The same of IPv6; extension headers are not expected. */
const ipv6HeaderBytes = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  words: Int32Array,
  source: number,
  local: number,
): number => {
  if (length < IPV6_HEADER_BYTES || bytes[offset + NEXT_HEADER] !== PROTOCOL_GRE) return 0;
  const isBack =
    isAddress(bytes, offset + SOURCE6, words, local) && isAddress(bytes, offset + DESTINATION6, words, source);
  return isBack ? IPV6_HEADER_BYTES : 0;
};

/**
 * Bytes of the inner IP header when the packet of `length` bytes at `offset` is a keepalive from one VTEP to another, else 0.
 * @param words where their addresses are (dataplane/vtep-address.ts), four words each @param source, local first words of them
 */
export const keepaliveHeaderBytes = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  words: Int32Array,
  source: number,
  local: number,
): number => {
  const version = length === 0 ? 0 : bytes[offset]! >> 4;
  let header = 0;
  let total = 0;
  if (version === 4) {
    header = ipv4HeaderBytes(bytes, offset, length, words, source, local);
    total = header === 0 ? 0 : readHalf(bytes, offset + TOTAL_LENGTH);
  } else if (version === 6) {
    header = ipv6HeaderBytes(bytes, offset, length, words, source, local);
    total = header === 0 ? 0 : header + readHalf(bytes, offset + PAYLOAD_LENGTH);
  }
  if (header === 0 || total > length || total < header + GRE_BASE_BYTES) return 0;
  if (checkGre(bytes, offset + header, total - header) !== NOT_DROPPED) return 0;
  return readGreProtocol(bytes, offset + header) === 0 ? header : 0;
};
