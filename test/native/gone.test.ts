import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_VNET_HEADER,
  PORT_TAP,
  PORT_UDP_TX,
  STATUS_GONE,
  STATUS_NOW_S,
  STATUS_WOKEN,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { ethernet } from "./frame-bytes.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const EBADFD = 77;

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

/** Milliseconds that `receive(timeoutMs)` took; it must return no frame. */
const timeReceive = (timeoutMs: number): number => {
  const start = performance.now();
  expect(rig.io.receive(timeoutMs)).toBe(0);
  return performance.now() - start;
};

/** Quiet from the start: what a device sends by itself would end a wait. */
const addTap = (port: number, name: string): void => {
  const tap = rig.openTap({ name, netns: netns.path, up: false });
  netns.ip(`link set ${name} addrgenmode none`);
  rig.io.add(port, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
};

describe("receive with nothing there", () => {
  it("waits as long as it was told, and tells the time", () => {
    addTap(5, "vx5");
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
    expect(timeReceive(0)).toBeLessThan(150);
    const uptimeS = Number(process.hrtime.bigint() / 1_000_000_000n);
    expect(Math.abs(rig.status(STATUS_NOW_S) - uptimeS)).toBeLessThanOrEqual(2);
  });

  it("ends at once for a signal that came before, and does so once", () => {
    addon.signalEvent(rig.wakeFd);
    addon.signalEvent(rig.wakeFd);
    expect(timeReceive(2000)).toBeLessThan(1900);
    expect(rig.status(STATUS_WOKEN)).toBe(1);
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
  });
});

describe("a deleted device", () => {
  it("is reported once, and receive sleeps again", () => {
    addTap(5, "vx5");
    addTap(6, "vx6");
    netns.ip("link delete vx5");
    expect(timeReceive(2000)).toBeLessThan(1900);
    expect(rig.status(STATUS_GONE)).toBe(1);
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
    expect(rig.io.takeGone()).toEqual([5]);
    expect(rig.status(STATUS_GONE)).toBe(0);
    expect(rig.io.takeGone()).toEqual([]);
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
  });

  it("ends a wait that is under way", async () => {
    addTap(5, "vx5");
    const deletion = spawn("sh", ["-c", `sleep 0.4; exec ip -n ${netns.name} link delete vx5`]);
    const exited = once(deletion, "exit");
    const waited = timeReceive(10_000);
    expect(rig.io.takeGone()).toEqual([5]);
    expect(waited).toBeGreaterThan(100);
    expect(waited).toBeLessThan(5000);
    expect((await exited)[0]).toBe(0);
  });

  it("is found by a write as well, after which nothing is written to it", () => {
    addTap(5, "vx5");
    netns.ip("link delete vx5");
    rig.putFrame(0, ethernet(0x88b5, [1]));
    for (let i = 0; i < 2; i++) rig.putAction(i, { port: 5, frame: 0 });
    expect(rig.io.send(2)).toBe(2);
    expect([rig.result(0), rig.result(1)]).toEqual([EBADFD, EBADFD]);
    expect(rig.status(STATUS_GONE)).toBe(1);
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
    expect(rig.io.takeGone()).toEqual([5]);
  });

  it("is gone with its namespace", () => {
    const other = new Netns();
    try {
      const tap = rig.openTap({ name: "vx5", netns: other.path, up: false });
      rig.io.add(5, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    } finally {
      other.delete();
    }
    const deadline = performance.now() + 5000;
    // The kernel cleans up a namespace some time after its last reference went.
    while (rig.status(STATUS_GONE) === 0 && performance.now() < deadline) rig.io.receive(100);
    expect(rig.io.takeGone()).toEqual([5]);
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
  });

  it("is forgotten by remove, and the id can be used again", () => {
    addTap(5, "vx5");
    addTap(6, "vx6");
    netns.ip("link delete vx5");
    rig.io.receive(2000);
    rig.io.remove(5);
    expect(rig.status(STATUS_GONE)).toBe(0);
    expect(rig.io.takeGone()).toEqual([]);
    addTap(5, "vx5");
    expect(timeReceive(200)).toBeGreaterThanOrEqual(199);
  });

  it("does not disturb the others", () => {
    for (const [i, name] of ["vx1", "vx2", "vx3"].entries()) addTap(i + 1, name);
    netns.ip("link delete vx1");
    netns.ip("link delete vx3");
    rig.io.receive(2000);
    rig.io.receive(0);
    expect(rig.io.takeGone().sort()).toEqual([1, 3]);
    netns.ip("link set vx2 up");
    netns.ip("address add 192.0.2.1/24 dev vx2");
    netns.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev vx2 nud permanent");
    while (rig.io.receive(50) > 0);
    const socket = rig.openUdp([192, 0, 2, 1], { netns: netns.path });
    rig.io.add(9, socket, PORT_UDP_TX, 0, 0);
    rig.putVtep(0, [192, 0, 2, 2], 9);
    rig.putFrame(0, Uint8Array.of(1));
    rig.putAction(0, { port: 9, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
    expect(rig.io.receive(1000)).toBe(1);
    expect(rig.frame(0).port).toBe(2);
  });
});

describe("a device moved to another namespace", () => {
  it("goes on working through the same descriptor", () => {
    const other = new Netns();
    try {
      addTap(5, "vx5");
      netns.ip(`link set vx5 netns ${other.name}`);
      other.ip("link set vx5 addrgenmode none");
      other.ip("link set vx5 up");
      other.ip("address add 192.0.2.1/24 dev vx5");
      other.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev vx5 nud permanent");
      while (rig.io.receive(50) > 0);
      const socket = rig.openUdp([192, 0, 2, 1], { netns: other.path });
      rig.io.add(9, socket, PORT_UDP_TX, 0, 0);
      rig.putVtep(0, [192, 0, 2, 2], 9);
      rig.putFrame(0, Uint8Array.of(1));
      rig.putAction(0, { port: 9, frame: 0 });
      expect(rig.io.send(1)).toBe(0);
      expect(rig.io.receive(1000)).toBe(1);
      expect(rig.frame(0).port).toBe(5);
      expect(rig.status(STATUS_GONE)).toBe(0);
    } finally {
      other.delete();
    }
  });
});
