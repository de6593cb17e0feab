/**
 * MAC address, IEEE 802. 6 bytes, transmission order.
 *
 *  byte  0                     1..5
 *        [7..2 | U/L | I/G]    ...
 *
 * I/G (lowest bit of byte 0): group address. U/L (next bit): locally administered.
 * In the data plane an address is two integers, because they compare without touching memory: `hi` = bytes 0..1 as
 * 0..65535, `lo` = bytes 2..5 as an int32.
 */

/** The I/G bit of byte 0 as it lies in `hi`. */
const GROUP_BIT = 0x0100;
const LOCAL_BIT = 0x02;
const MAC_TEXT = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** Broadcast and multicast addresses: never a source, never learned. */
export const isGroupMac = (hi: number): boolean => (hi & GROUP_BIT) !== 0;

/** An address no station may send from: a group address or all zeros. */
export const isInvalidSourceMac = (hi: number, lo: number): boolean => (hi & GROUP_BIT) !== 0 || (hi | lo) === 0;

export const readMacHi = (bytes: Uint8Array, offset: number): number => (bytes[offset]! << 8) | bytes[offset + 1]!;

export const readMacLo = (bytes: Uint8Array, offset: number): number =>
  (bytes[offset + 2]! << 24) | (bytes[offset + 3]! << 16) | (bytes[offset + 4]! << 8) | bytes[offset + 5]!;

export const writeMac = (bytes: Uint8Array, offset: number, hi: number, lo: number): void => {
  bytes[offset] = hi >>> 8;
  bytes[offset + 1] = hi;
  bytes[offset + 2] = lo >>> 24;
  bytes[offset + 3] = lo >>> 16;
  bytes[offset + 4] = lo >>> 8;
  bytes[offset + 5] = lo;
};

/** Of a hexadecimal digit in any case: 0x30 to 0x39 are their low four bits, 0x41 and 0x61 begin with 1. */
const nibble = (code: number): number => (code & 15) + (code > 0x39 ? 9 : 0);

const octetAt = (text: string, at: number): number =>
  (nibble(text.charCodeAt(at)) << 4) | nibble(text.charCodeAt(at + 1));

/** Six bytes from `aa:bb:cc:dd:ee:ff` in any case; undefined when the text is anything else. */
export const parseMac = (text: string): Uint8Array | undefined => {
  if (!MAC_TEXT.test(text)) return undefined;
  const bytes = new Uint8Array(6);
  for (let n = 0; n < 6; n++) bytes[n] = octetAt(text, 3 * n);
  return bytes;
};

/** `hi` of the text of a MAC, without bytes in between; NaN when the text is anything else. */
export const textMacHi = (text: string): number =>
  MAC_TEXT.test(text) ? (octetAt(text, 0) << 8) | octetAt(text, 3) : Number.NaN;
/** `lo` of what textMacHi took. */
export const textMacLo = (text: string): number =>
  (octetAt(text, 6) << 24) | (octetAt(text, 9) << 16) | (octetAt(text, 12) << 8) | octetAt(text, 15);

/** What is expected of the MAC of an FDB entry, for people. */
export const FDB_MAC = "a unicast MAC such as 02:00:00:00:00:01, or 00:00:00:00:00:00 for a member of the flood list";

/** Why a MAC cannot be that of an FDB entry; undefined when it can, and for text that is no MAC at all. */
export const fdbMacHint = (text: string): string | undefined => {
  const bytes = parseMac(text);
  return bytes !== undefined && isGroupMac(readMacHi(bytes, 0)) ? "a group address" : undefined;
};

/** What is expected of the MAC of one interface, for people. */
export const STATION_MAC = "a unicast MAC such as 02:00:00:00:00:01";

/** Why a MAC cannot be that of one interface; undefined when it can, and for text that is no MAC at all. */
export const stationMacHint = (text: string): string | undefined =>
  parseMac(text)?.every((octet) => octet === 0) === true ? "the zero address" : fdbMacHint(text);

const OCTET_TEXT = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/** `aa:bb:cc:dd:ee:ff`, lower case, from the two integers of the data plane. */
export const formatMac = (hi: number, lo: number): string =>
  `${OCTET_TEXT[hi >>> 8]}:${OCTET_TEXT[hi & 255]}:${OCTET_TEXT[lo >>> 24]}:${OCTET_TEXT[(lo >>> 16) & 255]}:${
    OCTET_TEXT[(lo >>> 8) & 255]
  }:${OCTET_TEXT[lo & 255]}`;

/** Makes six random bytes an address for one local device: unicast, locally administered. Changes and returns `bytes`. */
export const toLocalMac = (bytes: Uint8Array): Uint8Array => {
  bytes[0] = (bytes[0]! & ~1) | LOCAL_BIT;
  return bytes;
};
