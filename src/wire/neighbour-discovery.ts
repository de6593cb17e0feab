/**
 * Neighbour discovery, RFC 4861 sections 4.3 and 4.4, as it stands in an untagged frame without extension headers (they
 * are not allowed to be needed: RFC 6980). Byte offsets from the frame's first byte:
 *
 *   14  IPv6 header (40): payload length at 18, next header 58 at 20, hop limit 255 at 21, source at 22, destination at 38
 *   54  type (1): 135 solicitation, 136 advertisement   code 0 (1)   checksum (2)
 *   58  advertisement: flags (1): 0x80 router, 0x40 solicited, 0x20 override; reserved (3)   solicitation: reserved (4)
 *   62  target address (16)
 *   78  options: type (1), length in units of 8 bytes (1), value; type 1 = sender's MAC, 2 = target's MAC
 *
 * A solicitation from the unspecified address looks for a duplicate address (RFC 4862 section 5.4): only the owner may
 * answer it.
 */
import { finishSum, ipv6UpperSum } from "./internet-checksum.ts";
import { writeMac } from "./mac.ts";

export const ND_SOLICITATION = 135;
export const ND_ADVERTISEMENT = 136;
export const ND_SOURCE_LINK_ADDRESS = 1;
export const ND_TARGET_LINK_ADDRESS = 2;

// From the frame's first byte.
const TYPE = 12;
const IP = 14;
const PAYLOAD_LENGTH = 18;
const NEXT_HEADER = 20;
const HOP_LIMIT = 21;
export const ND_SOURCE = 22;
const DESTINATION = 38;
const ICMP = 54;
const CHECKSUM = 56;
const FLAGS = 58;
export const ND_TARGET = 62;
const OPTIONS = 78;

const ICMPV6 = 58;
const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;
/** A message without options, and the one option with a MAC. */
const MESSAGE_BYTES = OPTIONS - ICMP;
const LINK_ADDRESS_BYTES = 8;
/** What `makeAdvertisement` leaves. */
export const ND_ADVERTISEMENT_BYTES: number = OPTIONS + LINK_ADDRESS_BYTES;

/**
 * ND_SOLICITATION or ND_ADVERTISEMENT when the frame passes the checks of sections 7.1.1 and 7.1.2, else 0.
 * @param at first byte of the frame @param length of the frame
 */
export const readNeighbourDiscovery = (bytes: Uint8Array, at: number, length: number): number => {
  if (length < OPTIONS || bytes[at + TYPE] !== 0x86 || bytes[at + TYPE + 1] !== 0xdd) return 0;
  if (bytes[at + IP]! >> 4 !== 6 || bytes[at + NEXT_HEADER] !== ICMPV6 || bytes[at + HOP_LIMIT] !== 255) return 0;
  const type = bytes[at + ICMP]!;
  if ((type !== ND_SOLICITATION && type !== ND_ADVERTISEMENT) || bytes[at + ICMP + 1] !== 0) return 0;
  const size = (bytes[at + PAYLOAD_LENGTH]! << 8) | bytes[at + PAYLOAD_LENGTH + 1]!;
  if (size < MESSAGE_BYTES || ICMP + size > length || bytes[at + ND_TARGET] === 0xff) return 0;
  if (finishSum(ipv6UpperSum(bytes, at + IP, at + ICMP, size, ICMPV6)) !== 0) return 0;
  return hasGoodOptions(bytes, at, size) ? type : 0;
};

/** Whether the options fill the message: a length of 0 would never end. */
const hasGoodOptions = (bytes: Uint8Array, at: number, size: number): boolean => {
  let option = at + OPTIONS;
  const end = at + ICMP + size;
  while (option + 2 <= end && bytes[option + 1] !== 0) option += bytes[option + 1]! * LINK_ADDRESS_BYTES;
  return option === end;
};

/** Offset of the MAC in the option of this type, or 0. Only for a frame that was read. */
export const linkAddressOf = (bytes: Uint8Array, at: number, type: number): number => {
  const size = (bytes[at + PAYLOAD_LENGTH]! << 8) | bytes[at + PAYLOAD_LENGTH + 1]!;
  const end = at + ICMP + size;
  for (let option = at + OPTIONS; option < end; option += bytes[option + 1]! * LINK_ADDRESS_BYTES) {
    if (bytes[option] === type && bytes[option + 1] === 1) return option + 2;
  }
  return 0;
};

/** Whether the source is the unspecified address. */
export const isDuplicateDetection = (bytes: Uint8Array, at: number): boolean => {
  for (let i = 0; i < 16; i++) if (bytes[at + ND_SOURCE + i] !== 0) return false;
  return true;
};

/** Whether an advertisement says that its target is a router. */
export const isFromRouter = (bytes: Uint8Array, at: number): boolean => (bytes[at + FLAGS]! & ROUTER) !== 0;

/** Makes the solicitation at `at` the target's advertisement, from its MAC. The frame is ND_ADVERTISEMENT_BYTES long then. */
export const makeAdvertisement = (
  bytes: Uint8Array,
  at: number,
  macHi: number,
  macLo: number,
  isRouter: boolean,
): void => {
  const size = MESSAGE_BYTES + LINK_ADDRESS_BYTES;
  bytes.copyWithin(at, at + 6, at + 12);
  writeMac(bytes, at + 6, macHi, macLo);
  bytes[at + PAYLOAD_LENGTH] = 0;
  bytes[at + PAYLOAD_LENGTH + 1] = size;
  bytes.copyWithin(at + DESTINATION, at + ND_SOURCE, at + ND_SOURCE + 16);
  bytes.copyWithin(at + ND_SOURCE, at + ND_TARGET, at + ND_TARGET + 16);
  bytes[at + ICMP] = ND_ADVERTISEMENT;
  bytes[at + FLAGS] = SOLICITED | OVERRIDE | (isRouter ? ROUTER : 0);
  bytes.fill(0, at + FLAGS + 1, at + ND_TARGET);
  bytes[at + OPTIONS] = ND_TARGET_LINK_ADDRESS;
  bytes[at + OPTIONS + 1] = 1;
  writeMac(bytes, at + OPTIONS + 2, macHi, macLo);
  bytes.fill(0, at + CHECKSUM, at + CHECKSUM + 2);
  const checksum = finishSum(ipv6UpperSum(bytes, at + IP, at + ICMP, size, ICMPV6));
  bytes[at + CHECKSUM] = checksum >> 8;
  bytes[at + CHECKSUM + 1] = checksum & 255;
};
