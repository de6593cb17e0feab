/**
 * ARP for IPv4 on Ethernet, RFC 826, as it stands in an untagged frame. Byte offsets from the frame's first byte:
 *
 *    0  destination MAC (6)   source MAC (6)   type 0x0806 (2)
 *   14  hardware type 1 (2)   protocol type 0x0800 (2)   6 (1)   4 (1)   operation (2): 1 request, 2 reply
 *   22  sender MAC (6)        sender IPv4 address (4)
 *   32  target MAC (6)        target IPv4 address (4)
 *
 * A request whose sender address is 0.0.0.0 is a probe for a duplicate address, one that asks for its own sender an
 * announcement ("gratuitous"; both RFC 5227): neither is a question that a third party may answer.
 */
import { writeMac } from "./mac.ts";

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;
export const ARP_BYTES = 42;

// From the frame's first byte.
const TYPE = 12;
const HARDWARE = 14;
const OPERATION = 20;
export const ARP_SENDER_MAC = 22;
export const ARP_SENDER_ADDRESS = 28;
const TARGET_MAC = 32;
export const ARP_TARGET_ADDRESS = 38;

/** ARP_REQUEST, ARP_REPLY, or 0 for what is neither. @param at first byte of the frame @param length of the frame */
export const readArp = (bytes: Uint8Array, at: number, length: number): number => {
  if (length < ARP_BYTES || bytes[at + TYPE] !== 0x08 || bytes[at + TYPE + 1] !== 0x06) return 0;
  for (let i = 0; i < KIND.length; i++) if (bytes[at + HARDWARE + i] !== KIND[i]) return 0;
  const operation = (bytes[at + OPERATION]! << 8) | bytes[at + OPERATION + 1]!;
  return operation === ARP_REQUEST || operation === ARP_REPLY ? operation : 0;
};

/** Ethernet addresses of 6 bytes for IPv4 addresses of 4. */
const KIND = Uint8Array.of(0, 1, 8, 0, 6, 4);

/** Whether a request is a probe or an announcement. */
export const isAboutItself = (bytes: Uint8Array, at: number): boolean => {
  let isProbe = true;
  let isAnnouncement = true;
  for (let i = 0; i < 4; i++) {
    const sender = bytes[at + ARP_SENDER_ADDRESS + i]!;
    if (sender !== 0) isProbe = false;
    if (sender !== bytes[at + ARP_TARGET_ADDRESS + i]) isAnnouncement = false;
  }
  return isProbe || isAnnouncement;
};

/** Makes the request at `at` the target's reply, from its MAC. The frame is ARP_BYTES long then. */
export const makeArpReply = (bytes: Uint8Array, at: number, macHi: number, macLo: number): void => {
  bytes.copyWithin(at, at + 6, at + 12);
  writeMac(bytes, at + 6, macHi, macLo);
  bytes[at + OPERATION + 1] = ARP_REPLY;
  // The asked address moves from target to sender, the asker from sender to target.
  for (let i = 0; i < 4; i++) {
    const asked = bytes[at + ARP_TARGET_ADDRESS + i]!;
    bytes[at + ARP_TARGET_ADDRESS + i] = bytes[at + ARP_SENDER_ADDRESS + i]!;
    bytes[at + ARP_SENDER_ADDRESS + i] = asked;
  }
  bytes.copyWithin(at + TARGET_MAC, at + ARP_SENDER_MAC, at + ARP_SENDER_MAC + 6);
  writeMac(bytes, at + ARP_SENDER_MAC, macHi, macLo);
};
