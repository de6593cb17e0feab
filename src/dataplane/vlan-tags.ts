/**
 * VLAN tags of overlay frames, 802.1Q and 802.1ad, in both directions. They pass unless a tunnel says otherwise: RFC 7348
 * section 6.1 would have them dropped on both sides unless configured, the kernel lets them pass.
 *
 * Stripping takes the outermost tag off: the two MACs move up by its four bytes, in the arena, and everything in the
 * descriptor that counts from the frame's start with them. It happens before anything else looks at the frame, so all
 * copies of a flooded one, and all segments of a superframe, are without it; so is the answer to one that is too big.
 */
import {
  FLAG_PARTIAL_CSUM,
  FLAG_VLAN,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_HEADERS,
  FRAME_INNER_IP,
  FRAME_LENGTH,
  FRAME_OFFSET,
} from "../binding/abi.ts";
import { NOT_DROPPED, PKT_TOO_SMALL, VLAN_TAGGED } from "../drop-reason.ts";
import { isTagType, TAG_BYTES, TAGGED_HEADER_BYTES } from "../wire/vlan.ts";
import type { Batch } from "./batch.ts";

// BD_VLAN of a bridge domain.
export const VLAN_PASS = 0;
export const VLAN_STRIP = 1;
export const VLAN_DROP = 2;

const TYPE_OFFSET = 12;

export class VlanTags {
  private readonly arena: Uint8Array;
  private readonly frames: Int32Array;

  constructor({ arena, frames }: Batch) {
    this.arena = arena;
    this.frames = frames;
  }

  /** Does what `mode`, which is not VLAN_PASS, says with the frame's outermost tag, if it has one. Returns a drop reason. */
  handle(row: number, mode: number): number {
    const { frames } = this;
    if ((frames[row + FRAME_FLAGS]! & FLAG_VLAN) === 0) return NOT_DROPPED;
    if (mode === VLAN_DROP) return VLAN_TAGGED;
    if (frames[row + FRAME_LENGTH]! < TAGGED_HEADER_BYTES) return PKT_TOO_SMALL;
    this.strip(row);
    return NOT_DROPPED;
  }

  private strip(row: number): void {
    const { arena, frames } = this;
    const offset = frames[row + FRAME_OFFSET]!;
    const start = offset + TAG_BYTES;
    for (let at = TYPE_OFFSET - 1; at >= 0; at--) arena[start + at] = arena[offset + at]!;
    frames[row + FRAME_OFFSET] = start;
    frames[row + FRAME_LENGTH]! -= TAG_BYTES;
    if (frames[row + FRAME_HEADERS] !== 0) frames[row + FRAME_HEADERS]! -= TAG_BYTES | (TAG_BYTES << 16);
    if (frames[row + FRAME_INNER_IP] !== 0) frames[row + FRAME_INNER_IP]! -= TAG_BYTES << 16;
    if ((frames[row + FRAME_FLAGS]! & FLAG_PARTIAL_CSUM) !== 0) frames[row + FRAME_CSUM]! -= TAG_BYTES;
    if (!isTagType(arena, start + TYPE_OFFSET)) frames[row + FRAME_FLAGS]! &= ~FLAG_VLAN;
  }
}
