/**
 * Tunnel encapsulation limit, RFC 2473 section 4.1.1: an option of 3 bytes in a destination options header right behind the IPv6
 * header, which says through how many more tunnels the packet may go.
 *
 *  byte  0           1           2           3
 *        [next header] [length    ] [options ...            length: units of 8 bytes, the first not counted
 *        option: [type 4] [1] [limit]; type 0 is one byte of padding, all others have their length in the second byte
 */
const IPV6_HEADER_BYTES = 40;
const NEXT_HEADER = 6; // byte offset in the IPv6 header
const DESTINATION_OPTIONS = 60;
const OPTIONS_START = 2;
const UNIT_BYTES = 8;
const PAD1 = 0;
const LIMIT = 4;

/** Whether the IPv6 packet of `length` bytes at `offset` says that it may enter no further tunnel. */
export const mayNotEnterTunnel = (bytes: Uint8Array, offset: number, length: number): boolean => {
  if (bytes[offset + NEXT_HEADER] !== DESTINATION_OPTIONS || length < IPV6_HEADER_BYTES + UNIT_BYTES) return false;
  const header = offset + IPV6_HEADER_BYTES;
  const end = Math.min(header + (bytes[header + 1]! + 1) * UNIT_BYTES, offset + length);
  for (let at = header + OPTIONS_START; at + 2 < end; ) {
    const type = bytes[at]!;
    if (type === LIMIT) return bytes[at + 2] === 0;
    at += type === PAD1 ? 1 : 2 + bytes[at + 1]!;
  }
  return false;
};
