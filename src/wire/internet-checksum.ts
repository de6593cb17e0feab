/** The Internet checksum, RFC 1071: the ones' complement of the ones' complement sum of 16-bit words in network order. */

/** Adds `length` bytes at `offset` to a sum; an odd last byte counts as the upper half of a word. */
export const addToSum = (sum: number, bytes: Uint8Array, offset: number, length: number): number => {
  const end = offset + length;
  let total = sum;
  for (let at = offset; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if ((length & 1) !== 0) total += bytes[end - 1]! << 8;
  return total;
};

/** What goes into the checksum field. A sum over data with a right checksum in it gives 0. */
export const finishSum = (sum: number): number => {
  let folded = (sum & 0xffff) + (sum >>> 16);
  folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
};

/**
 * The sum of an IPv6 pseudo-header (RFC 8200 section 8.1) and the upper-layer packet that follows the fixed header at
 * `ip`. @param length bytes of that packet @param protocol its number
 */
export const ipv6UpperSum = (bytes: Uint8Array, ip: number, upper: number, length: number, protocol: number): number =>
  addToSum(addToSum(length + protocol, bytes, ip + 8, 32), bytes, upper, length);
