/**
 * A frame from the overlay that vtepd answers itself (a neighbour's address, a packet too big) becomes its own answer: the
 * bytes are rewritten where they lie and go back through the tunnel's device. The question is then gone, so nothing else
 * may come of it. Answers count as received by the device, as everything that it hands to the host.
 */
import {
  FRAME_BD,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_LENGTH,
  FRAME_SEGMENTS,
  FRAME_TARGET,
  FRAME_VERDICT,
} from "../binding/abi.ts";
import { BD_ACCESS_PORT, BD_WORDS } from "./bridge-domain.ts";
import { LINK_COLUMNS, LINK_RX_BYTES, LINK_RX_FRAMES } from "./counters.ts";
import { DELIVER } from "./verdict.ts";

/**
 * Gives the frame its verdict and describes its new bytes: `length` of them at FRAME_OFFSET, one frame with all its
 * checksums. FRAME_BD must be set.
 * @param row first word of the descriptor @param domains the bridge domains' words @param link the worker's link counters
 */
export const becomeAnswer = (
  frames: Int32Array,
  row: number,
  length: number,
  domains: Int32Array,
  link: Float64Array,
): void => {
  const bd = frames[row + FRAME_BD]!;
  frames[row + FRAME_LENGTH] = length;
  frames[row + FRAME_FLAGS] = 0;
  frames[row + FRAME_CSUM] = 0;
  frames[row + FRAME_GSO] = 0;
  frames[row + FRAME_HEADERS] = 0;
  frames[row + FRAME_SEGMENTS] = 1;
  frames[row + FRAME_VERDICT] = DELIVER;
  frames[row + FRAME_TARGET] = domains[bd * BD_WORDS + BD_ACCESS_PORT]!;
  link[bd * LINK_COLUMNS + LINK_RX_FRAMES]!++;
  link[bd * LINK_COLUMNS + LINK_RX_BYTES]! += length;
};
