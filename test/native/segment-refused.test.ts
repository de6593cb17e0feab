/** Kernels that do not take UDP_SEGMENT here: nothing is lost, and it is not tried for ever. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { STATUS_GSO_LOST, STATUS_GSO_REFUSED } from "../../src/binding/abi.ts";
import { ethernet } from "./frame-bytes.ts";
import { parseFrame } from "./parsed-frame.ts";
import { SegmentLab } from "./segment-lab.ts";
import { superframe } from "./superframes.ts";

const EMSGSIZE = 90;
const RX = 1;
/** Refusals in a row after which a socket does without. */
const MAX_REFUSALS = 16;

let lab: SegmentLab;
beforeEach(() => {
  lab = new SegmentLab();
  lab.addReceiver(RX);
});
afterEach(() => lab.close());

const refused = (): [refused: number, lost: number] => [
  lab.near.status(STATUS_GSO_REFUSED),
  lab.near.status(STATUS_GSO_LOST),
];
const sendSuperframe = (gsoSize: number, times = 1): number[] => {
  lab.putSuperframe(0, superframe({ payloadLength: 3 * gsoSize }), gsoSize);
  return lab.send(Array.from({ length: times }, () => [0, RX] as const));
};
const sendSmall = (): number[] => lab.sendAll([ethernet(0x88b5, [1]), ethernet(0x88b5, [2])], RX);
const payloads = (): number[] => lab.receiveAll().map(({ bytes }) => parseFrame(bytes).payload.length);

describe("a socket without UDP checksums, which cannot segment", () => {
  beforeEach(() => lab.addSender({ checksum: false }));

  it("sends every datagram by itself, and gives up after some refusals", () => {
    for (let i = 1; i <= MAX_REFUSALS; i++) {
      expect(sendSuperframe(1000)).toEqual([0]);
      expect(payloads()).toEqual([1000, 1000, 1000]);
      expect(refused()).toEqual([i, i === MAX_REFUSALS ? 1 : 0]);
    }
    expect([...sendSuperframe(1000), ...sendSmall()]).toEqual([0, 0, 0]);
    expect(lab.receiveAll()).toHaveLength(5);
    expect(refused()).toEqual([MAX_REFUSALS, 1]);
  });

  it("sends runs of small frames by themselves too, in order", () => {
    expect(sendSmall()).toEqual([0, 0]);
    expect(lab.receiveAll().map(({ bytes }) => bytes.at(-1))).toEqual([1, 2]);
    expect(refused()).toEqual([1, 0]);
  });

  it("is counted once as given up, however much was under way", () => {
    expect(sendSuperframe(1000, 40)).toEqual(new Array(40).fill(0));
    expect(lab.receiveAll()).toHaveLength(120);
    expect(refused()[1]).toBe(1);
  });

  it("does not count single datagrams, which it can send", () => {
    for (let i = 0; i < 2 * MAX_REFUSALS; i++) expect(lab.sendAll([ethernet(0x88b5, [1])], RX)).toEqual([0]);
    expect(refused()).toEqual([0, 0]);
  });
});

describe("segments larger than the path's MTU", () => {
  beforeEach(() => lab.netns.ip("link set lo mtu 1500"));

  it("are too big for a socket that must not fragment, others are not", () => {
    lab.addSender({ mtuDiscover: 2 });
    lab.putSuperframe(0, superframe({ payloadLength: 6000 }), 2000);
    lab.putSuperframe(1, superframe({ payloadLength: 3000 }), 1000);
    expect(lab.send([0, 1, 0, 1].map((frame) => [frame, RX] as const))).toEqual([EMSGSIZE, 0, EMSGSIZE, 0]);
    expect(payloads()).toEqual(new Array(6).fill(1000));
  });

  it("are too big in a run of frames as well, each counted", () => {
    lab.addSender({ mtuDiscover: 2 });
    const large = ethernet(0x88b5, new Uint8Array(2000));
    expect(lab.sendAll([large, large, ethernet(0x88b5, [1]), large], RX)).toEqual([EMSGSIZE, EMSGSIZE, 0, EMSGSIZE]);
    expect(lab.receiveAll()).toHaveLength(1);
  });

  it("are fragmented where that is allowed", () => {
    lab.addSender({ mtuDiscover: 0 });
    expect(sendSuperframe(2000)).toEqual([0]);
    expect(payloads()).toEqual([2000, 2000, 2000]);
  });

  it.each([0, 2])("are no reason to do without segmentation (IP_MTU_DISCOVER %i)", (mtuDiscover) => {
    lab.addSender({ mtuDiscover });
    for (let i = 0; i < 3 * MAX_REFUSALS; i++) sendSuperframe(2000);
    expect(refused()).toEqual([3 * MAX_REFUSALS, 0]);
  });
});
