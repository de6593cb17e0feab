import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FRAME_LENGTH,
  FRAME_WORDS,
  MAX_ACTIONS,
  PORT_UDP_RX,
  PORT_UDP_TX,
  SLOT_BYTES,
  SLOT_HEADROOM,
  STATUS_RX_OVERFLOW,
  TAP_SLOTS,
  UDP_SLOTS,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { ethernet, mac } from "./frame-bytes.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const RX = 1;
const TX = 2;
const HEADER = 8;
/** Where the first datagram of a batch is received. */
const FIRST_DATAGRAM = TAP_SLOTS * SLOT_BYTES + SLOT_HEADROOM;
const LOOPBACK4 = [127, 0, 0, 1];
const LOOPBACK6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const frame = (last: number): Uint8Array => ethernet(0x88b5, [last, last], { src: mac(last) });

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
});
afterEach(() => {
  rig.close();
  netns.delete();
});

/** A receiving port and a sending one, and the VTEP slot 0 that leads from one to the other. Returns the TX UDP port. */
const connect = (address: number[], options: object = {}): number => {
  const receiver = rig.openUdp(address, { netns: netns.path, receiveInfo: true, ...options });
  const sender = rig.openUdp(address, { netns: netns.path, discardInput: true, tos: 0xb8 });
  rig.io.add(RX, receiver, PORT_UDP_RX, HEADER, 0);
  rig.io.add(TX, sender, PORT_UDP_TX, HEADER, 0);
  rig.putVtep(0, address, addon.udpPort(receiver));
  rig.memory.templates.set([8, 7, 6, 5, 4, 3, 2, 1], 16);
  return addon.udpPort(sender);
};

/** Sends frames 0..count-1 of the arena, each behind `templateLength` bytes of template. */
const send = (count: number, templateLength = HEADER): void => {
  for (let i = 0; i < count; i++) rig.putAction(i, { port: TX, frame: i, template: 16, templateLength });
  expect(rig.io.send(count)).toBe(0);
};

describe.each([
  ["IPv4", LOOPBACK4, "127.0.0.1"],
  ["IPv6", LOOPBACK6, "00000000000000000000000000000001"],
] as const)("UDP over %s", (_, address, text) => {
  it("carries template and frame, and reports both addresses, source port and TOS", () => {
    const sourcePort = connect([...address]);
    rig.putFrame(0, frame(0x17));
    send(1);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0)).toEqual({
      port: RX,
      offset: FIRST_DATAGRAM + HEADER,
      length: 16,
      flags: 0,
      dst: [0x0200, 2],
      src: [0x0200, 0x17],
      flowHash: 0,
      csum: 0,
      gso: 0,
      headers: 0,
      source: text,
      destination: text,
      sourcePort,
      headerOffset: FIRST_DATAGRAM,
      datagramLength: 24,
      tos: 0xb8,
      segments: 1,
    });
    expect(rig.frameBytes(0)).toEqual(frame(0x17));
    expect([...rig.memory.arena.subarray(FIRST_DATAGRAM, FIRST_DATAGRAM + HEADER)]).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  });

  it("leaves destination and TOS at zero when the socket does not ask for them", () => {
    connect([...address], { receiveInfo: false });
    rig.putFrame(0, frame(1));
    send(1);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0)).toMatchObject({ source: text, destination: "0".repeat(32), tos: 0 });
  });

  it("carries the largest datagram there is", () => {
    connect([...address]);
    const largest = (address.length === 16 ? 65527 : 65507) - HEADER;
    const bytes = ethernet(
      0x88b5,
      Uint8Array.from({ length: largest - 14 }, (_, i) => i),
    );
    rig.putFrame(0, bytes);
    send(1);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0)).toMatchObject({ length: largest, flags: 0 });
    expect(Buffer.compare(rig.frameBytes(0), bytes)).toBe(0);
  });
});

describe("UDP batches", () => {
  it("returns datagrams in the order they were sent, and no more than there are slots at a time", () => {
    connect(LOOPBACK4);
    const count = 100;
    for (let i = 0; i < UDP_SLOTS; i++) rig.putFrame(i, frame(i));
    send(UDP_SLOTS);
    for (let i = 0; i < count - UDP_SLOTS; i++) rig.putFrame(i, frame(UDP_SLOTS + i));
    send(count - UDP_SLOTS);
    const seen: number[] = [];
    for (const expected of [UDP_SLOTS, count - UDP_SLOTS]) {
      expect(rig.io.receive(1000)).toBe(expected);
      for (let i = 0; i < expected; i++) {
        expect(rig.frame(i).offset).toBe(FIRST_DATAGRAM + i * SLOT_BYTES + HEADER);
        seen.push(rig.frame(i).src[1]);
      }
    }
    expect(seen).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(rig.io.receive(0)).toBe(0);
  });

  it("sends one frame to several VTEPs and from several ports, each port in its order", () => {
    connect(LOOPBACK4);
    const other = rig.openUdp(LOOPBACK4, { netns: netns.path });
    const otherSender = rig.openUdp(LOOPBACK4, { netns: netns.path, discardInput: true });
    rig.io.add(3, other, PORT_UDP_RX, HEADER, 0);
    rig.io.add(4, otherSender, PORT_UDP_TX, HEADER, 0);
    rig.putVtep(1, LOOPBACK4, addon.udpPort(other));
    for (let i = 0; i < 4; i++) rig.putFrame(i, frame(i));
    const copies = [
      { port: TX, frame: 0, vtep: 0 },
      { port: 4, frame: 3, vtep: 1 },
      { port: TX, frame: 0, vtep: 1 },
      { port: 4, frame: 2, vtep: 0 },
      { port: TX, frame: 1, vtep: 0 },
    ];
    for (const [i, copy] of copies.entries()) rig.putAction(i, { ...copy, template: 16, templateLength: HEADER });
    expect(rig.io.send(copies.length)).toBe(0);
    const seen: [port: number, sourcePort: number, last: number][] = [];
    while (seen.length < copies.length) {
      const frames = rig.io.receive(1000);
      if (frames === 0) break;
      for (let i = 0; i < frames; i++) seen.push([rig.frame(i).port, rig.frame(i).sourcePort, rig.frame(i).src[1]]);
    }
    const first = addon.udpPort(otherSender);
    const from = (rx: number, sourcePort: number): number[] =>
      seen.filter(([port, source]) => port === rx && source === sourcePort).map(([, , last]) => last);
    const second = seen.find(([, source]) => source !== first)?.[1] ?? 0;
    expect(seen).toHaveLength(copies.length);
    expect([from(RX, second), from(RX, first), from(3, second), from(3, first)]).toEqual([[0, 1], [2], [0], [3]]);
  });

  it("sends as many actions as there can be", () => {
    connect(LOOPBACK4, { receiveBuffer: 8 << 20 });
    rig.putFrame(0, frame(1));
    for (let i = 0; i < MAX_ACTIONS; i++) {
      rig.putAction(i, { port: TX, frame: 0, template: 16, templateLength: HEADER });
    }
    // More than there are is the same as all.
    expect(rig.io.send(MAX_ACTIONS + 1)).toBe(0);
    let frames = 0;
    for (let n = rig.io.receive(1000); n > 0; n = rig.io.receive(0)) frames += n;
    expect(frames).toBe(MAX_ACTIONS);
  });

  it("counts what the kernel drops because the receive buffer is full", () => {
    connect(LOOPBACK4, { receiveBuffer: 4096 });
    rig.putFrame(0, ethernet(0x88b5, new Uint8Array(1000)));
    for (let i = 0; i < 100; i++) rig.putAction(i, { port: TX, frame: 0, template: 16, templateLength: HEADER });
    rig.io.send(100);
    let frames = 0;
    for (let n = rig.io.receive(1000); n > 0; n = rig.io.receive(0)) frames += n;
    // The count comes with the next datagram that is let in.
    rig.io.send(1);
    frames += rig.io.receive(1000);
    expect(frames).toBeLessThan(101);
    const dropped = 101 - frames;
    expect(rig.status(STATUS_RX_OVERFLOW)).toBe(dropped);
    // From then on each datagram carries it, and it must be counted once.
    rig.io.send(1);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.status(STATUS_RX_OVERFLOW)).toBe(dropped);
  });
});

describe("short datagrams", () => {
  it.each([0, 1, 7])("of %d bytes have a negative frame length and no addresses", (bytes) => {
    connect(LOOPBACK4);
    rig.putFrame(0, new Uint8Array(0));
    send(1, bytes);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.memory.frames[FRAME_LENGTH]).toBe(bytes - HEADER);
    expect(rig.frame(0)).toMatchObject({ datagramLength: bytes, flags: 0, dst: [0, 0], src: [0, 0] });
  });

  it("with less than an Ethernet header keep their length and have no addresses", () => {
    connect(LOOPBACK4);
    rig.memory.frames.fill(-1, 0, FRAME_WORDS);
    rig.putFrame(0, new Uint8Array(13).fill(0xff));
    send(1);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0)).toMatchObject({ length: 13, flags: 0, dst: [0, 0], src: [0, 0], flowHash: 0 });
  });
});

describe("discardInput", () => {
  it("keeps the receive queue of a socket that only sends empty", () => {
    const sender = rig.openUdp(LOOPBACK4, { netns: netns.path, discardInput: true });
    const deaf = rig.openUdp(LOOPBACK4, { netns: netns.path, discardInput: true });
    rig.io.add(TX, sender, PORT_UDP_TX, HEADER, 0);
    rig.io.add(RX, deaf, PORT_UDP_RX, HEADER, 0);
    rig.putVtep(0, LOOPBACK4, addon.udpPort(deaf));
    rig.putFrame(0, frame(1));
    send(1);
    expect(rig.io.receive(100)).toBe(0);
  });
});
