/**
 * VLAN tag, IEEE 802.1Q-2022 section 9, between the source MAC and the EtherType of an Ethernet frame:
 *
 *    0                   1                   2                   3
 *   +-------------------------------+-----+-+-----------------------+
 *   |   TPID, 0x8100 or 0x88a8      | PCP |D|          VID          |
 *   +-------------------------------+-----+-+-----------------------+
 */

export const TAG_BYTES = 4;
/** Ethernet header with one tag. */
export const TAGGED_HEADER_BYTES = 18;

/** Whether a tag begins at `offset`, where two bytes must be. */
export const isTagType = (bytes: Uint8Array, offset: number): boolean =>
  (bytes[offset] === 0x81 && bytes[offset + 1] === 0x00) || (bytes[offset] === 0x88 && bytes[offset + 1] === 0xa8);
