/**
 * The maximum segment size that a TCP SYN announces (RFC 9293 section 3.7.1): an option of the TCP header.
 *
 *   byte 0 kind 2   1 length 4   2..3 MSS: payload bytes of a segment, without IP and TCP headers
 *
 * It may stand at an odd offset: what the checksum sums up as words then straddles it. Network byte order.
 */
const TCP_DATA_OFFSET = 12; // byte offsets in the TCP header
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
const TCP_HEADER = 20;
const SYN = 0x02;

const END_OF_OPTIONS = 0;
const NO_OPERATION = 1;
const MSS = 2;
const MSS_LENGTH = 4;

const read16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

const write16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value & 255;
};

const swap = (word: number): number => ((word & 255) << 8) | (word >>> 8);

/**
 * Makes a SYN announce at most `mss`; one without the option stays without. Returns whether it was changed.
 * @param tcp offset of a whole TCP header @param hasSum whether the checksum field is the checksum: an unfinished one covers
 * no options yet
 */
export const clampMss = (bytes: Uint8Array, tcp: number, mss: number, hasSum: boolean): boolean => {
  if ((bytes[tcp + TCP_FLAGS]! & SYN) === 0) return false;
  const at = findMss(bytes, tcp);
  if (at === 0) return false;
  const before = read16(bytes, at);
  if (before <= mss) return false;
  write16(bytes, at, mss);
  if (!hasSum) return true;
  const isOdd = ((at - tcp) & 1) !== 0;
  // RFC 1624 section 3, equation 3: ~(~HC + ~m + m').
  const sum = tcp + TCP_CHECKSUM;
  let total = (~read16(bytes, sum) & 0xffff) + (~(isOdd ? swap(before) : before) & 0xffff) + (isOdd ? swap(mss) : mss);
  total = (total & 0xffff) + (total >>> 16);
  total = (total & 0xffff) + (total >>> 16);
  write16(bytes, sum, ~total & 0xffff);
  return true;
};

/** Offset of the option's value, or 0. */
const findMss = (bytes: Uint8Array, tcp: number): number => {
  const end = tcp + (bytes[tcp + TCP_DATA_OFFSET]! >> 4) * 4;
  for (let at = tcp + TCP_HEADER; at < end; ) {
    const kind = bytes[at]!;
    if (kind === END_OF_OPTIONS) return 0;
    if (kind === NO_OPERATION) {
      at++;
      continue;
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0;
    if (length < 2 || at + length > end) return 0;
    if (kind === MSS) return length === MSS_LENGTH ? at + 2 : 0;
    at += length;
  }
  return 0;
};
