/**
 * The outer IP header (RFC 791, RFC 8200) and UDP header (RFC 768) of a packet as a capture shows it: made again from what is
 * known, because sockets neither give nor tell them. IPv4's identification is 0; UDP's checksum is 0 over IPv4.
 */
import { addToSum, finishSum, ipv6UpperSum } from "./internet-checksum.ts";
import { PROTOCOL_UDP } from "./underlay-headers.ts";

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const UDP_BYTES = 8;
const DF = 0x40;
const MAX_LENGTH = 0xffff;

export interface OuterHeaders {
  /** 4 or 16 bytes, both alike. */
  readonly src: Uint8Array;
  readonly dst: Uint8Array;
  /** IP protocol. */
  readonly protocol: number;
  readonly tos: number;
  readonly ttl: number;
  readonly hasDf: boolean;
  /** UDP. */
  readonly srcPort: number;
  readonly dstPort: number;
}

/** Bytes in front of the tunnel header. */
export const outerHeaderBytes = ({ src, protocol }: OuterHeaders): number =>
  (src.length === 4 ? IPV4_BYTES : IPV6_BYTES) + (protocol === PROTOCOL_UDP ? UDP_BYTES : 0);

/**
 * Writes the headers in front of what begins at their end in `bytes`. A length that its field cannot have is 0, as a kernel
 * shows superframes. @param length bytes behind the headers that there were, of which `bytes` may have less
 */
export const writeOuterHeaders = (bytes: Uint8Array, headers: OuterHeaders, length: number): void => {
  const ipBytes = headers.src.length === 4 ? IPV4_BYTES : IPV6_BYTES;
  const isUdp = headers.protocol === PROTOCOL_UDP;
  const upper = length + (isUdp ? UDP_BYTES : 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isUdp) {
    view.setUint16(ipBytes, headers.srcPort);
    view.setUint16(ipBytes + 2, headers.dstPort);
    view.setUint16(ipBytes + 4, fieldOf(upper));
  }
  if (headers.src.length === 4) {
    bytes[0] = 0x45;
    bytes[1] = headers.tos;
    view.setUint16(2, fieldOf(IPV4_BYTES + upper));
    bytes[6] = headers.hasDf ? DF : 0;
    bytes[8] = headers.ttl;
    bytes[9] = headers.protocol;
    bytes.set(headers.src, 12);
    bytes.set(headers.dst, 16);
    view.setUint16(10, finishSum(addToSum(0, bytes, 0, IPV4_BYTES)));
    return;
  }
  bytes[0] = 0x60 | (headers.tos >> 4);
  bytes[1] = (headers.tos & 15) << 4;
  view.setUint16(4, fieldOf(upper));
  bytes[6] = headers.protocol;
  bytes[7] = headers.ttl;
  bytes.set(headers.src, 8);
  bytes.set(headers.dst, 24);
  const isWhole = bytes.length === IPV6_BYTES + upper && upper <= MAX_LENGTH;
  // Over IPv6 a checksum of 0 would be an error where there is none.
  if (isUdp && isWhole) {
    const sum = finishSum(ipv6UpperSum(bytes, 0, IPV6_BYTES, upper, PROTOCOL_UDP));
    view.setUint16(IPV6_BYTES + 6, sum === 0 ? 0xffff : sum);
  }
};

const fieldOf = (length: number): number => (length > MAX_LENGTH ? 0 : length);
