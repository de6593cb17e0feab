/**
 * A superframe's whole way, with real TAPs on both sides:
 *
 *   near:  TAP in -- [bridge] -- TAP out (takes superframes) -> UDP_TX --- 127.0.0.1 --- UDP_RX -> TAP in -- [bridge] -- TAP out  :far
 *
 * What the far kernel makes of it must be what the near kernel was given: bytes, and what the vnet header said.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_MERGE_TCP,
  FEATURE_MERGE_UDP,
  FEATURE_SEGMENT,
  FEATURE_VNET_HEADER,
  FLAG_PARTIAL_CSUM,
  FRAME_GSO,
  PORT_TAP,
} from "../../src/binding/abi.ts";
import type { FrameView, IoRig } from "./io-rig.ts";
import { mistakesOf, parseFrame } from "./parsed-frame.ts";
import { HEADER_BYTES, SENDER, SegmentLab, wordsOf } from "./segment-lab.ts";
import { GSO_UDP_L4, type SuperframeFields, superframe } from "./superframes.ts";

const RX = 2;
const RX_TOO = 3;
const IN = 10;
const OUT = 11;
const [IN_TOO, OUT_TOO] = [20, 21];
const MERGE_ALL = FEATURE_MERGE_TCP | FEATURE_MERGE_UDP;
const NO_OFFLOAD = "none";

let lab: SegmentLab;
beforeEach(() => {
  lab = new SegmentLab();
  lab.addReceiver(RX, { merge: true }, MERGE_ALL);
});
afterEach(() => lab.close());

/** Two TAPs of an Io with a bridge between them, the first port only written to in what follows. */
const addTaps = (
  rig: IoRig,
  name: string,
  ports: readonly [number, number],
  offload: "none" | "uso",
  features: readonly [number, number] = [FEATURE_VNET_HEADER, FEATURE_VNET_HEADER],
): void => {
  lab.netns.ip(`link add ${name} type bridge mcast_snooping 0`);
  lab.netns.upInSilence(name);
  for (const [i, port] of ports.entries()) {
    const vnetHeader = features[i] === FEATURE_VNET_HEADER;
    const tap = rig.openTap({ name: `${name}${port}`, netns: lab.netns.path, vnetHeader, offload, up: false });
    lab.netns.ip(`link set ${name}${port} master ${name}`);
    lab.netns.upInSilence(`${name}${port}`);
    rig.io.add(port, tap.fds[0]!, PORT_TAP, 0, features[i]!);
  }
};

/** Writes the frame at descriptor 0 of `near` to its first TAP, and sends what comes out of the second. */
const throughNear = (): FrameView[] => {
  lab.near.putAction(0, { port: IN, frame: 0 });
  expect(lab.near.io.send(1)).toBe(0);
  const count = lab.near.io.receive(500);
  const read = Array.from({ length: count }, (_, i) => lab.near.frame(i));
  expect(read.map(({ port }) => port)).toEqual(read.map(() => OUT));
  expect(lab.send(read.map((_, i) => [i, RX] as const))).toEqual(read.map(() => 0));
  return read;
};

/** Receives a batch and writes all of it to a TAP. Returns the segments of each frame. */
const throughFar = (tapOf: (port: number) => number = () => IN): number[] => {
  const frames = lab.receive(500).map(({ view }) => view);
  for (const [i, { port }] of frames.entries()) lab.far.putAction(i, { port: tapOf(port), frame: i });
  expect(lab.far.io.send(frames.length)).toBe(0);
  return frames.map(({ segments }) => segments);
};

/** What one port of `far` reads, with `receive`'s waits for the first frame only. */
const readFar = (): { view: FrameView; bytes: Uint8Array }[] => {
  const seen: { view: FrameView; bytes: Uint8Array }[] = [];
  for (let count = lab.far.io.receive(500); count > 0; count = lab.far.io.receive(0)) {
    for (let i = 0; i < count; i++) seen.push({ view: lab.far.frame(i), bytes: lab.far.frameBytes(i) });
  }
  return seen;
};

const kinds: [string, SuperframeFields, gsoSize: number][] = [
  ["TCP over IPv4", { payloadLength: 14_480 }, 1448],
  ["TCP with a short tail", { payloadLength: 3001, dontFragment: false, id: 0xfffe }, 1000],
  ["TCP over IPv6 with FIN and PSH", { payloadLength: 3001, family: 6, flags: 0x19 }, 1000],
  ["UDP over IPv4", { payloadLength: 6300, protocol: "udp", id: 7, dontFragment: false }, 1000],
  ["UDP over IPv6", { payloadLength: 6300, protocol: "udp", family: 6 }, 100],
  ["TCP behind a VLAN tag", { payloadLength: 5000, vlans: [42] }, 1000],
];

describe("a superframe from TAP to TAP", () => {
  it.each(kinds)("is the same at the other end: %s", (_, fields, gsoSize) => {
    lab.addSender();
    addTaps(lab.near, "near", [IN, OUT], "uso");
    addTaps(lab.far, "far", [IN, OUT], "uso");
    const frame = superframe(fields);
    const segments = Math.ceil(fields.payloadLength! / gsoSize);
    lab.putSuperframe(0, frame, gsoSize);
    const [read] = throughNear();
    expect(read).toMatchObject({ segments, gso: gsoSize | (frame.gsoType << 16), length: frame.bytes.length });
    expect(throughFar()).toEqual([segments]);
    const [out, ...more] = readFar();
    expect(more).toEqual([]);
    expect(out?.view).toMatchObject({
      port: OUT,
      segments,
      gso: gsoSize | (frame.gsoType << 16),
      csum: frame.transportOffset | ((frame.gsoType === GSO_UDP_L4 ? 6 : 16) << 16),
      headers: frame.headerLength | (frame.ipOffset << 16),
    });
    expect(out!.view.flags & FLAG_PARTIAL_CSUM).toBe(FLAG_PARTIAL_CSUM);
    expect(Buffer.compare(out!.bytes, frame.bytes)).toBe(0);
  });

  it.each([kinds[1]!, kinds[3]!])("is cut by the kernel for a TAP that takes none: %s", (_, fields, gsoSize) => {
    lab.addSender();
    addTaps(lab.near, "near", [IN, OUT], "uso");
    addTaps(lab.far, "far", [IN, OUT], NO_OFFLOAD);
    const frame = superframe(fields);
    lab.putSuperframe(0, frame, gsoSize);
    throughNear();
    throughFar();
    const out = readFar().map(({ bytes }) => bytes);
    expect(out).toHaveLength(Math.ceil(fields.payloadLength! / gsoSize));
    for (const bytes of out) expect(mistakesOf(bytes)).toEqual([]);
    expect(Buffer.concat(out.map((bytes) => parseFrame(bytes).payload))).toEqual(
      Buffer.from(frame.bytes.subarray(frame.headerLength)),
    );
  });

  it("that the near kernel cuts by itself is one again at the other end", () => {
    lab.addSender();
    // Single frames out of the device, which go into one message all the same.
    addTaps(lab.near, "near", [IN, OUT], NO_OFFLOAD);
    addTaps(lab.far, "far", [IN, OUT], "uso");
    lab.putSuperframe(0, superframe({ payloadLength: 6400, protocol: "udp", family: 6 }), 100);
    expect(throughNear().map(({ segments }) => segments)).toEqual(new Array(64).fill(1));
    expect(throughFar()).toEqual([64]);
    expect(readFar().map(({ view }) => view.segments)).toEqual([64]);
  });

  it("goes to its own TAP when two ports and two TAPs have their turns in one batch", () => {
    lab.addReceiver(RX_TOO, { merge: true }, MERGE_ALL);
    lab.addSender();
    addTaps(lab.far, "far", [IN, OUT], "uso");
    addTaps(lab.far, "too", [IN_TOO, OUT_TOO], "uso");
    const [first, second] = [superframe({ payloadLength: 3000 }), superframe({ payloadLength: 2500, seq: 77 })];
    lab.putSuperframe(0, first, 1000);
    lab.putSuperframe(1, second, 500);
    // One flow to each port, in turns, so that each message ends the frame of the one before.
    const copies = [0, 1, 1, 0, 0, 1].map((frame) => [frame, frame === 0 ? RX : RX_TOO] as const);
    expect(lab.send(copies)).toEqual(copies.map(() => 0));
    expect(throughFar((port) => (port === RX ? IN : IN_TOO)).toSorted()).toEqual([3, 3, 3, 5, 5, 5]);
    const out = readFar();
    expect(out).toHaveLength(6);
    for (const { view, bytes } of out) {
      expect([OUT, OUT_TOO]).toContain(view.port);
      expect(Buffer.compare(bytes, (view.port === OUT ? first : second).bytes)).toBe(0);
    }
  });

  it("is not sent on to the underlay, as merged frames never are", () => {
    lab.addSender();
    lab.far.io.add(SENDER, lab.far.openUdp([127, 0, 0, 1], { netns: lab.netns.path }), 3, 0, FEATURE_SEGMENT);
    lab.putSuperframe(0, superframe({ payloadLength: 3000 }), 1000);
    lab.send([[0, RX]]);
    expect(lab.receive(500).map(({ view }) => view.segments)).toEqual([3]);
    lab.far.putVtep(0, [127, 0, 0, 1], 9);
    lab.far.putAction(0, { port: SENDER, frame: 0, templateLength: HEADER_BYTES });
    expect([lab.far.io.send(1), lab.far.result(0)]).toEqual([1, 22]);
  });
});

describe("a TAP without vnet headers", () => {
  beforeEach(() => addTaps(lab.far, "far", [IN, OUT], NO_OFFLOAD, [0, FEATURE_VNET_HEADER]));

  /** Writes what was put at descriptor 0 of `far`, and returns what the kernel got. */
  const written = (copies = 1): Uint8Array[] => {
    for (let i = 0; i < copies; i++) lab.far.putAction(i, { port: IN, frame: 0 });
    expect(lab.far.io.send(copies)).toBe(0);
    return readFar().map(({ bytes }) => bytes);
  };

  it.each(kinds)("gets a superframe as its segments, none left undone: %s", (_, fields, gsoSize) => {
    const frame = superframe(fields);
    lab.far.putFrame(0, frame.bytes, wordsOf(frame, gsoSize));
    const out = written();
    expect(out).toHaveLength(Math.ceil(fields.payloadLength! / gsoSize));
    for (const bytes of out) expect(mistakesOf(bytes)).toEqual([]);
    expect(Buffer.concat(out.map((bytes) => parseFrame(bytes).payload))).toEqual(
      Buffer.from(frame.bytes.subarray(frame.headerLength)),
    );
  });

  it("gets a frame whose checksum was left undone with the whole one, in every copy", () => {
    const frame = superframe({ payloadLength: 100 });
    lab.far.putFrame(0, frame.bytes, { ...wordsOf(frame, 100), [FRAME_GSO]: 0 });
    const out = written(2);
    expect(out).toHaveLength(2);
    for (const bytes of out) expect(mistakesOf(bytes)).toEqual([]);
  });

  it("gets no merged frame, which nobody could cut for it", () => {
    lab.addSender();
    lab.putSuperframe(0, superframe({ payloadLength: 3000 }), 1000);
    lab.send([[0, RX]]);
    expect(lab.receive(500)).toHaveLength(1);
    lab.far.putAction(0, { port: IN, frame: 0 });
    expect([lab.far.io.send(1), lab.far.result(0)]).toEqual([1, 22]);
    expect(readFar()).toEqual([]);
  });
});
