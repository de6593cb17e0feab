/**
 * GRE keepalive, as Cisco's routers send it (no RFC): an IPv4 packet inside GRE that is itself GRE, with protocol type 0 and
 * no payload, addressed back to the sender. Whoever forwards what comes out of its tunnel answers without knowing.
 *
 *        [IPv4 A -> B] [GRE 0x0800] [IPv4 B -> A, protocol 47] [GRE, protocol type 0]
 */
import { NOT_DROPPED } from "../drop-reason.ts";
import { checkGre, readGreProtocol } from "./gre.ts";
import { PROTOCOL_GRE } from "./underlay-headers.ts";

const IPV4_HEADER_BYTES = 20;
const GRE_BASE_BYTES = 4;
// Byte offsets in the IPv4 header.
const TOTAL_LENGTH = 2;
const FRAGMENT = 6;
const PROTOCOL = 9;
const SOURCE = 12;
const DESTINATION = 16;
/** Whether more fragments follow, and the offset. */
const FRAGMENT_BITS = 0x3fff;

const readHalf = (bytes: Uint8Array, offset: number): number => (bytes[offset]! << 8) | bytes[offset + 1]!;
/** As the word of an address table: its bytes in memory order. */
const readAddress = (bytes: Uint8Array, offset: number): number =>
  bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24);

/**
 * Bytes of the inner IPv4 header when the packet of `length` bytes at `offset` is a keepalive from the VTEP `source` to `local`,
 * else 0. @param source, local last words of their addresses (dataplane/vtep-address.ts)
 */
export const keepaliveHeaderBytes = (
  bytes: Uint8Array,
  offset: number,
  length: number,
  source: number,
  local: number,
): number => {
  if (length < IPV4_HEADER_BYTES || bytes[offset + PROTOCOL] !== PROTOCOL_GRE || bytes[offset]! >> 4 !== 4) return 0;
  const header = (bytes[offset]! & 15) * 4;
  const total = readHalf(bytes, offset + TOTAL_LENGTH);
  if (header < IPV4_HEADER_BYTES || total > length || total < header + GRE_BASE_BYTES) return 0;
  if ((readHalf(bytes, offset + FRAGMENT) & FRAGMENT_BITS) !== 0) return 0;
  if (readAddress(bytes, offset + SOURCE) !== local || readAddress(bytes, offset + DESTINATION) !== source) return 0;
  if (checkGre(bytes, offset + header, total - header) !== NOT_DROPPED) return 0;
  return readGreProtocol(bytes, offset + header) === 0 ? header : 0;
};
