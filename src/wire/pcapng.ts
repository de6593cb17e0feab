/**
 * pcapng (draft-ietf-opsawg-pcapng): the blocks of a file that tcpdump and Wireshark read. Little-endian.
 *
 *   type (4)   length (4)   body, padded to 4   length again (4)
 *
 * Options: code (2), length (2), value padded to 4; code 0 ends them. Timestamps are microseconds, the default.
 */

const SECTION_HEADER = 0x0a0d0d0a;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;

/** LINKTYPE_*, https://www.tcpdump.org/linktypes.html */
export const LINKTYPE_ETHERNET = 1;
/** Begins with an IPv4 or IPv6 header. */
export const LINKTYPE_RAW = 101;

const OPT_END = 0;
const OPT_COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const EPB_FLAGS = 2;
/** Where a packet's bytes begin in its block; bytes of its flags and of the end of options. */
const PACKET_BODY = 28;
const FLAGS_AND_END_BYTES = 12;
const ISB_IFDROP = 5;

/** EPB_FLAGS */
export const PACKET_INBOUND = 1;
export const PACKET_OUTBOUND = 2;

interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

const encoder = new TextEncoder();

const text = (code: number, value: string): Option => ({ code, value: encoder.encode(value) });

const padded = (length: number): number => (length + 3) & ~3;

const block = (type: number, body: Uint8Array, options: readonly Option[]): Uint8Array => {
  const present = options.length === 0 ? [] : [...options, { code: OPT_END, value: new Uint8Array(0) }];
  const optionBytes = present.reduce((sum, { value }) => sum + 4 + padded(value.length), 0);
  const length = 12 + padded(body.length) + optionBytes;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, length, true);
  bytes.set(body, 8);
  let at = 8 + padded(body.length);
  for (const { code, value } of present) {
    view.setUint16(at, code, true);
    view.setUint16(at + 2, value.length, true);
    bytes.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  view.setUint32(at, length, true);
  return bytes;
};

/** What a file begins with. @param application that wrote it */
export const sectionHeader = (application: string): Uint8Array => {
  const body = new Uint8Array(16);
  const view = new DataView(body.buffer);
  view.setUint32(0, BYTE_ORDER_MAGIC, true);
  view.setUint16(4, 1, true);
  body.fill(0xff, 8); // length unknown
  return block(SECTION_HEADER, body, [text(SHB_USERAPPL, application)]);
};

/** The first one of a file is interface 0. */
export const interfaceDescription = (
  linkType: number,
  snapLength: number,
  name: string,
  description: string,
): Uint8Array => {
  const body = new Uint8Array(8);
  const view = new DataView(body.buffer);
  view.setUint16(0, linkType, true);
  view.setUint32(4, snapLength, true);
  return block(INTERFACE_DESCRIPTION, body, [text(IF_NAME, name), text(IF_DESCRIPTION, description)]);
};

const setTime = (view: DataView, at: number, timeMs: number): void => {
  const microseconds = Math.round(timeMs * 1000);
  view.setUint32(at, Math.floor(microseconds / 2 ** 32), true);
  view.setUint32(at + 4, microseconds % 2 ** 32, true);
};

export interface Packet {
  /** Of the interface. */
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly bytes: Uint8Array;
  /** Bytes that it had. */
  readonly length: number;
  /** PACKET_* */
  readonly direction: number;
  /** Empty = none. */
  readonly comment: string;
}

/** Written in one go, as there may be 100,000 in a second. */
export const enhancedPacket = ({ id, timeMs, bytes, length, direction, comment }: Packet): Uint8Array => {
  const note = comment === "" ? undefined : encoder.encode(comment);
  const noteBytes = note === undefined ? 0 : 4 + padded(note.length);
  const optionsAt = PACKET_BODY + padded(bytes.length);
  const blockBytes = optionsAt + noteBytes + FLAGS_AND_END_BYTES + 4;
  const block = Buffer.allocUnsafe(blockBytes); // of a pool: to allocate each costs more than to fill it
  const view = new DataView(block.buffer, block.byteOffset, blockBytes);
  view.setUint32(0, ENHANCED_PACKET, true);
  view.setUint32(4, blockBytes, true);
  view.setUint32(8, id, true);
  setTime(view, 12, timeMs);
  view.setUint32(20, bytes.length, true);
  view.setUint32(24, length, true);
  block.set(bytes, PACKET_BODY);
  block.fill(0, PACKET_BODY + bytes.length);
  let at = optionsAt;
  if (note !== undefined) {
    view.setUint16(at, OPT_COMMENT, true);
    view.setUint16(at + 2, note.length, true);
    block.set(note, at + 4);
    at += noteBytes;
  }
  view.setUint16(at, EPB_FLAGS, true);
  view.setUint16(at + 2, 4, true);
  view.setUint32(at + 4, direction, true);
  view.setUint32(blockBytes - 4, blockBytes, true);
  return block;
};

/** @param dropped packets that were not captured for want of room */
export const interfaceStatistics = (id: number, timeMs: number, dropped: number): Uint8Array => {
  const body = new Uint8Array(12);
  const view = new DataView(body.buffer);
  view.setUint32(0, id, true);
  setTime(view, 4, timeMs);
  const count = new Uint8Array(BigUint64Array.of(BigInt(dropped)).buffer);
  return block(INTERFACE_STATISTICS, body, [{ code: ISB_IFDROP, value: count }]);
};
