import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ARENA_BYTES,
  FEATURE_VNET_HEADER,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_ROWS,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const [EINVAL, EAFNOSUPPORT, EMSGSIZE, ENETUNREACH] = [22, 97, 90, 101];
const RX = 1;
const TX = 2;
const LOOPBACK = [127, 0, 0, 1];
const SMALL = 0;
const LARGE = 1;
const TO_RX = 0;
const TO_NOWHERE = 1;

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
  netns.ip("link set lo mtu 1500");
  const receiver = rig.openUdp(LOOPBACK, { netns: netns.path });
  const sender = rig.openUdp([0, 0, 0, 0], { netns: netns.path, discardInput: true, mtuDiscover: 2 });
  rig.io.add(RX, receiver, PORT_UDP_RX, 0, 0);
  rig.io.add(TX, sender, PORT_UDP_TX, 0, 0);
  rig.putVtep(TO_RX, LOOPBACK, addon.udpPort(receiver));
  rig.putVtep(TO_NOWHERE, [198, 51, 100, 1], 4789);
  rig.putFrame(SMALL, new Uint8Array(100));
  rig.putFrame(LARGE, new Uint8Array(1473));
});
afterEach(() => {
  rig.close();
  netns.delete();
});

/** Sends the actions and returns what `send` returned, then each action's result. */
const send = (actions: readonly Parameters<IoRig["putAction"]>[1][]): number[] => {
  for (const [i, action] of actions.entries()) rig.putAction(i, action);
  const failed = rig.io.send(actions.length);
  return [failed, ...actions.map((_, i) => rig.result(i))];
};

const small = { port: TX, frame: SMALL, vtep: TO_RX };

describe("send", () => {
  it("sends all others when one datagram is too big, wherever it stands", () => {
    const large = { ...small, frame: LARGE };
    expect(send([large, small, small])).toEqual([1, EMSGSIZE, 0, 0]);
    expect(send([small, large, small])).toEqual([1, 0, EMSGSIZE, 0]);
    expect(send([small, small, large])).toEqual([1, 0, 0, EMSGSIZE]);
    expect(send([large, large])).toEqual([2, EMSGSIZE, EMSGSIZE]);
    expect(rig.io.receive(1000)).toBe(6);
    for (let i = 0; i < 6; i++) expect(rig.frame(i).length).toBe(100);
  });

  it("sends what just fits", () => {
    rig.putFrame(LARGE, new Uint8Array(1472));
    expect(send([{ ...small, frame: LARGE }])).toEqual([0, 0]);
    expect(rig.io.receive(1000)).toBe(1);
  });

  it("fragments what does not fit where that is allowed", () => {
    const sender = rig.openUdp([0, 0, 0, 0], { netns: netns.path, discardInput: true, mtuDiscover: 0 });
    rig.io.add(3, sender, PORT_UDP_TX, 0, 0);
    expect(send([{ ...small, port: 3, frame: LARGE }])).toEqual([0, 0]);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0).length).toBe(1473);
  });

  it("says which destination has no route", () => {
    expect(send([small, { ...small, vtep: TO_NOWHERE }, small])).toEqual([1, 0, ENETUNREACH, 0]);
    expect(rig.io.receive(1000)).toBe(2);
  });

  it("says that a destination is of another family than the socket", () => {
    rig.putVtep(2, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 4789);
    expect(send([{ ...small, vtep: 2 }, small])).toEqual([1, EAFNOSUPPORT, 0]);
    rig.memory.vteps.fill(0xff, 0, 32);
    expect(send([small])).toEqual([1, EAFNOSUPPORT]);
  });

  it("does nothing for a count of nothing", () => {
    rig.putAction(0, small);
    expect([rig.io.send(0), rig.io.send(-1)]).toEqual([0, 0]);
    expect(rig.result(0)).toBe(-1);
  });
});

describe("send from JavaScript's indices", () => {
  const wrong: [string, Partial<Parameters<IoRig["putAction"]>[1]>][] = [
    ["a port that is not there", { port: 99 }],
    ["a port out of range", { port: 32768 }],
    ["a negative port", { port: -1 }],
    ["a frame out of range", { frame: FRAME_ROWS }],
    ["a negative frame", { frame: -1 }],
    ["a template behind the end", { template: 4096, templateLength: 1 }],
    ["a template over the end", { template: 4090, templateLength: 7 }],
    ["a negative template", { template: -1, templateLength: 1 }],
    ["a negative template length", { templateLength: -1 }],
    ["a template whose end overflows", { template: 2 ** 31 - 1, templateLength: 2 ** 31 - 1 }],
    ["a VTEP slot out of range", { vtep: 64 }],
    ["a negative VTEP slot", { vtep: -1 }],
  ];
  it.each(wrong)("refuses %s with EINVAL and sends the others", (_, fields) => {
    expect(send([small, { ...small, ...fields }, small])).toEqual([1, 0, EINVAL, 0]);
    expect(rig.io.receive(1000)).toBe(2);
  });

  it.each([
    ["starts before the arena", -1, 10],
    ["ends behind the arena", ARENA_BYTES - 9, 10],
    ["starts behind the arena", ARENA_BYTES + 1, 0],
    ["has a negative length", 0, -8],
    ["ends beyond all numbers", 2 ** 31 - 1, 2 ** 31 - 1],
  ])("refuses a frame that %s", (_, offset, length) => {
    const tap = rig.openTap({ name: "vx1", netns: netns.path });
    rig.io.add(5, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    rig.putFrame(2, new Uint8Array(0), { [FRAME_OFFSET]: offset, [FRAME_LENGTH]: length });
    const wrong = { ...small, frame: 2 };
    expect(send([wrong, { ...wrong, port: 5 }, small])).toEqual([2, EINVAL, EINVAL, 0]);
  });

  it("forgets a removed port", () => {
    rig.io.remove(TX);
    expect(send([small])).toEqual([1, EINVAL]);
  });
});
