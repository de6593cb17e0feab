/** What a frame counts for: the bytes of all the frames on the wire that it stands for. */
import { FRAME_HEADERS, FRAME_LENGTH } from "../binding/abi.ts";

/** A superframe has its headers once, each of its segments has them again. @param segments FRAME_SEGMENTS of the frame */
export const wireBytes = (frames: Int32Array, row: number, segments: number): number =>
  frames[row + FRAME_LENGTH]! + (segments - 1) * (frames[row + FRAME_HEADERS]! & 0xffff);
