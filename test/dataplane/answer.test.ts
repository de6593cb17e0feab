import { expect, it } from "vitest";
import {
  FLAG_PARTIAL_CSUM,
  FRAME_BD,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_LENGTH,
  FRAME_SEGMENTS,
  FRAME_TARGET,
  FRAME_VERDICT,
  FRAME_WORDS,
} from "../../src/binding/abi.ts";
import { becomeAnswer } from "../../src/dataplane/answer.ts";
import { BD_ACCESS_PORT, BD_WORDS } from "../../src/dataplane/bridge-domain.ts";
import { LINK_COLUMNS, LINK_RX_BYTES, LINK_RX_FRAMES } from "../../src/dataplane/counters.ts";
import { DELIVER } from "../../src/dataplane/verdict.ts";

it("makes one plain frame of a superframe, for the access port of its bridge domain, and counts it as received", () => {
  const frames = new Int32Array(2 * FRAME_WORDS);
  const row = FRAME_WORDS;
  frames[row + FRAME_BD] = 2;
  frames[row + FRAME_LENGTH] = 9000;
  frames[row + FRAME_FLAGS] = FLAG_PARTIAL_CSUM;
  frames[row + FRAME_CSUM] = 34 | (16 << 16);
  frames[row + FRAME_GSO] = 1400;
  frames[row + FRAME_SEGMENTS] = 7;
  const domains = new Int32Array(3 * BD_WORDS);
  domains[2 * BD_WORDS + BD_ACCESS_PORT] = 5;
  const link = new Float64Array(3 * LINK_COLUMNS);

  becomeAnswer(frames, row, 86, domains, link);

  const words = [FRAME_LENGTH, FRAME_FLAGS, FRAME_CSUM, FRAME_GSO, FRAME_SEGMENTS, FRAME_VERDICT, FRAME_TARGET];
  expect(words.map((word) => frames[row + word])).toEqual([86, 0, 0, 0, 1, DELIVER, 5]);
  expect(link[2 * LINK_COLUMNS + LINK_RX_FRAMES]).toBe(1);
  expect(link[2 * LINK_COLUMNS + LINK_RX_BYTES]).toBe(86);
  expect(frames.subarray(0, FRAME_WORDS).every((word) => word === 0)).toBe(true);
});
