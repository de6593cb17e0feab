import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  BATCH_FRAMES,
  FEATURE_SEGMENT,
  FEATURE_VNET_HEADER,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
  STATUS_WOKEN,
  UDP_SLOTS,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const SENDER = 100;
/** Sends many datagrams in one message, of which a slot holds all. */
const SEGMENT_SENDER = 101;
const LOOPBACK = [127, 0, 0, 1];

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
  const sender = rig.openUdp(LOOPBACK, { netns: netns.path, discardInput: true });
  rig.io.add(SENDER, sender, PORT_UDP_TX, 0, 0);
  rig.io.add(SEGMENT_SENDER, sender, PORT_UDP_TX, 0, FEATURE_SEGMENT);
  rig.putFrame(0, new Uint8Array(20));
});
afterEach(() => {
  rig.close();
  netns.delete();
});

/** Adds a port and returns its descriptor. */
const addReceiver = (port: number, { merge = false } = {}): number => {
  const fd = rig.openUdp(LOOPBACK, { netns: netns.path, receiveBuffer: 8 << 20, merge });
  rig.io.add(port, fd, PORT_UDP_RX, 0, 0);
  rig.putVtep(port, LOOPBACK, addon.udpPort(fd));
  return fd;
};

/** Puts `count` datagrams into the port's receive queue. */
const fill = (port: number, count: number, sender = SENDER): void => {
  rig.putFrame(0, new Uint8Array(20));
  for (let i = 0; i < count; i++) rig.putAction(i, { port: sender, frame: 0, vtep: port });
  expect(rig.io.send(count)).toBe(0);
};

/** How many frames of each port one receive brings. */
const receiveByPort = (timeoutMs = 1000): Record<number, number> => {
  const frames = rig.io.receive(timeoutMs);
  const counts: Record<number, number> = {};
  for (let i = 0; i < frames; i++) counts[rig.frame(i).port] = (counts[rig.frame(i).port] ?? 0) + 1;
  return counts;
};

describe("turns", () => {
  it("gives no port a second batch while another waits", () => {
    for (const port of [1, 2, 3]) {
      addReceiver(port);
      fill(port, 3 * UDP_SLOTS);
    }
    const rounds = Array.from({ length: 3 }, () => [1, 2, 3].map(() => receiveByPort()));
    for (const round of rounds) {
      const ports = round.flatMap((counts) => Object.keys(counts)).sort();
      expect(ports).toEqual(["1", "2", "3"]);
      for (const counts of round) expect(Object.values(counts)).toEqual([UDP_SLOTS]);
    }
    expect(receiveByPort(0)).toEqual({});
  });

  it("lets a port with one datagram in between at once", () => {
    addReceiver(1);
    addReceiver(2);
    fill(1, 10 * UDP_SLOTS);
    receiveByPort();
    fill(2, 1);
    const next = [receiveByPort(), receiveByPort()];
    expect(next.some((counts) => counts[2] === 1)).toBe(true);
  });

  it("fills one batch from several ports", () => {
    for (const port of [1, 2, 3]) {
      addReceiver(port);
      fill(port, 10);
    }
    expect(receiveByPort()).toEqual({ 1: 10, 2: 10, 3: 10 });
  });

  it("serves more ports than one epoll_wait reports", () => {
    const ports = Array.from({ length: 63 }, (_, i) => i + 1);
    for (const port of ports) addReceiver(port);
    for (const port of ports) fill(port, 2);
    const seen: Record<number, number> = {};
    for (let round = 0; round < 4; round++) {
      for (const [port, count] of Object.entries(receiveByPort(50))) {
        seen[Number(port)] = (seen[Number(port)] ?? 0) + count;
      }
    }
    expect(Object.keys(seen)).toHaveLength(63);
    expect(Object.values(seen).every((count) => count === 2)).toBe(true);
  });

  it("does not serve a port that was removed while its turn was to come", () => {
    for (const port of [1, 2]) {
      addReceiver(port);
      fill(port, UDP_SLOTS);
    }
    const [served] = Object.keys(receiveByPort()).map(Number);
    rig.io.remove(served === 1 ? 2 : 1);
    expect(receiveByPort(0)).toEqual({});
  });

  it("does not take a port for its predecessor of the same id, whose device was gone", () => {
    const addTap = (name: string): void => {
      const tap = rig.openTap({ name, netns: netns.path, up: false });
      rig.io.add(2, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    };
    addReceiver(1);
    addTap("vx1");
    fill(1, UDP_SLOTS);
    netns.ip("link delete vx1");
    expect(receiveByPort()).toEqual({ 1: UDP_SLOTS });
    rig.io.remove(2);
    addTap("vx2");
    expect(receiveByPort(0)).toEqual({});
    expect(rig.io.takeGone()).toEqual([]);
  });

  it("reports a wake-up beside the frames that came with it", () => {
    addReceiver(1);
    fill(1, 5);
    addon.signalEvent(rig.wakeFd);
    expect(receiveByPort()).toEqual({ 1: 5 });
    expect(rig.status(STATUS_WOKEN)).toBe(1);
  });

  it("does not wait once it took a wake-up that came behind a full batch", () => {
    addReceiver(1, { merge: true });
    fill(1, BATCH_FRAMES, SEGMENT_SENDER);
    addon.signalEvent(rig.wakeFd);
    expect(receiveByPort()).toEqual({ 1: BATCH_FRAMES });
    expect(rig.status(STATUS_WOKEN)).toBe(0);
    const start = performance.now();
    expect(receiveByPort(2000)).toEqual({});
    expect(rig.status(STATUS_WOKEN)).toBe(1);
    expect(performance.now() - start).toBeLessThan(1900);
  });
});
