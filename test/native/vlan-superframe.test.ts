/** VLAN tags taken off superframes (src/dataplane/vlan-tags.ts): what was one frame with a tag arrives as one without. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_MERGE_TCP,
  FEATURE_MERGE_UDP,
  FEATURE_VNET_HEADER,
  FLAG_VLAN,
  FRAME_FLAGS,
  FRAME_LENGTH,
  PORT_TAP,
} from "../../src/binding/abi.ts";
import { VLAN_STRIP, VlanTags } from "../../src/dataplane/vlan-tags.ts";
import { NOT_DROPPED } from "../../src/drop-reason.ts";
import type { IoRig } from "./io-rig.ts";
import { mistakesOf, parseFrame } from "./parsed-frame.ts";
import { SegmentLab } from "./segment-lab.ts";
import { type SuperframeFields, superframe } from "./superframes.ts";

const RX = 2;
const [IN, OUT] = [10, 11];

let lab: SegmentLab;
beforeEach(() => {
  lab = new SegmentLab();
  lab.addReceiver(RX, { merge: true }, FEATURE_MERGE_TCP | FEATURE_MERGE_UDP);
  lab.addSender();
});
afterEach(() => lab.close());

/** Takes a tag off the frame at descriptor 0, as a worker does between `receive` and `send`. */
const strip = ({ memory }: IoRig): void => {
  expect(new VlanTags(memory).handle(0, VLAN_STRIP)).toBe(NOT_DROPPED);
};

/** Two TAPs of `far` with a bridge between them; what is written to IN is read from OUT. */
const addTaps = (offload: "none" | "uso"): void => {
  lab.netns.ip("link add bridge type bridge mcast_snooping 0");
  lab.netns.upInSilence("bridge");
  for (const port of [IN, OUT]) {
    const tap = lab.far.openTap({ name: `tap${port}`, netns: lab.netns.path, vnetHeader: true, offload, up: false });
    lab.netns.ip(`link set tap${port} master bridge`);
    lab.netns.upInSilence(`tap${port}`);
    lab.far.io.add(port, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
  }
};

const kinds: [string, SuperframeFields, gsoSize: number][] = [
  ["TCP over IPv4", { payloadLength: 14_480 }, 1448],
  ["TCP over IPv6", { payloadLength: 3001, family: 6 }, 1000],
  ["UDP over IPv4", { payloadLength: 6300, protocol: "udp", id: 7, dontFragment: false }, 1000],
];

describe("a VLAN tag taken off a superframe", () => {
  it.each(kinds)("before it is cut and sent: %s", (_, fields, gsoSize) => {
    lab.putSuperframe(0, superframe({ ...fields, vlans: [10] }), gsoSize);
    lab.near.memory.frames[FRAME_FLAGS]! |= FLAG_VLAN; // as a TAP read would have it
    strip(lab.near);
    expect(lab.send([[0, RX]])).toEqual([0]);
    const [merged, ...more] = lab.receive(500);
    expect(more).toEqual([]);
    const plain = superframe(fields);
    expect(merged!.view.segments).toBe(Math.ceil(fields.payloadLength! / gsoSize));
    expect(merged!.view.headers).toBe(plain.headerLength | (plain.ipOffset << 16));
    expect(merged!.view.length).toBe(plain.bytes.length);
  });

  it.each(kinds)("after it was merged from received frames: %s", (_, fields, gsoSize) => {
    addTaps("uso");
    lab.putSuperframe(0, superframe({ ...fields, vlans: [10] }), gsoSize);
    lab.send([[0, RX]]);
    expect(lab.receive(500)).toHaveLength(1);
    strip(lab.far);
    lab.far.putAction(0, { port: IN, frame: 0 });
    expect(lab.far.io.send(1)).toBe(0);
    expect(lab.far.io.receive(500)).toBe(1);
    expect(Buffer.compare(lab.far.frameBytes(0), superframe(fields).bytes)).toBe(0);
    expect(lab.far.frame(0).segments).toBe(Math.ceil(fields.payloadLength! / gsoSize));
  });

  it("leaves segments that the kernel cuts rightly, for a TAP that takes no superframes", () => {
    addTaps("none");
    const fields = { payloadLength: 3001 };
    lab.putSuperframe(0, superframe({ ...fields, vlans: [20, 10] }), 1000);
    lab.send([[0, RX]]);
    expect(lab.receive(500)).toHaveLength(1);
    strip(lab.far);
    strip(lab.far);
    lab.far.putAction(0, { port: IN, frame: 0 });
    expect(lab.far.io.send(1)).toBe(0);
    const frames: Uint8Array[] = [];
    for (let count = lab.far.io.receive(500); count > 0; count = lab.far.io.receive(0)) {
      for (let i = 0; i < count; i++) frames.push(lab.far.frameBytes(i));
    }
    expect(frames).toHaveLength(4);
    for (const bytes of frames) expect(mistakesOf(bytes)).toEqual([]);
    const plain = superframe(fields);
    expect(Buffer.concat(frames.map((bytes) => parseFrame(bytes).payload))).toEqual(
      Buffer.from(plain.bytes.subarray(plain.headerLength)),
    );
  });

  it("does not make a merged frame sendable whose length leaves nothing for its first part", () => {
    addTaps("uso");
    lab.putSuperframe(0, superframe({ payloadLength: 3001, vlans: [10] }), 1000);
    lab.send([[0, RX]]);
    expect(lab.receive(500)).toHaveLength(1);
    for (const length of [1000, 0, -1, -2_147_483_648]) {
      lab.far.memory.frames[FRAME_LENGTH] = length;
      lab.far.putAction(0, { port: IN, frame: 0 });
      expect(lab.far.io.send(1)).toBe(1);
    }
  });
});
