/** Memory, threads, and the end of an Io. Workers and children run plain JavaScript, as they load the addon by themselves. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FRAME_LENGTH, FRAME_OFFSET, PORT_UDP_RX, PORT_UDP_TX, STATUS_NOW_S } from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { ADDON_FILE } from "./addon-file.ts";
import { IoRig, makeMemory } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const LOOPBACK = [127, 0, 0, 1];

/** Runs a script in a new Node; it has `addon` and `memory()`. */
const runChild = (
  script: string,
  flags: readonly string[] = [],
): { status: number | null; stdout: string; stderr: string } => {
  const preamble = `
    const addon = require(${JSON.stringify(ADDON_FILE)});
    const { ARENA_BYTES, FRAME_ROWS, FRAME_WORDS, MAX_ACTIONS, ACTION_WORDS, STATUS_WORDS } = addon.abi;
    const words = (n) => new Int32Array(new SharedArrayBuffer(n * 4));
    const bytes = (n) => new Uint8Array(new SharedArrayBuffer(n));
    const memory = () => ({ arena: bytes(ARENA_BYTES), frames: words(FRAME_ROWS * FRAME_WORDS),
      actions: words(MAX_ACTIONS * ACTION_WORDS), status: words(STATUS_WORDS), templates: bytes(64), vteps: bytes(64) });`;
  return spawnSync(process.execPath, [...flags, "-e", preamble + script], { encoding: "utf8", timeout: 20_000 });
};

describe("shared memory", () => {
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

  it("is the same on both sides: what JavaScript writes is sent, what the addon receives is read", () => {
    const fd = rig.openUdp(LOOPBACK, { netns: netns.path });
    rig.io.add(1, fd, PORT_UDP_RX, 0, 0);
    rig.putVtep(0, LOOPBACK, addon.udpPort(fd));
    const text = Buffer.from("written by JavaScript");
    rig.putFrame(3, text);
    rig.putAction(0, { port: 1, frame: 3 });
    expect(rig.io.send(1)).toBe(0);
    rig.memory.arena.fill(0);
    expect(rig.io.receive(1000)).toBe(1);
    const other = new Int32Array(rig.memory.frames.buffer);
    const [offset, length] = [other[FRAME_OFFSET]!, other[FRAME_LENGTH]!];
    expect(Buffer.from(new Uint8Array(rig.memory.arena.buffer, offset, length)).toString()).toBe(text.toString());
  });

  it("may start anywhere in its buffer", () => {
    const memory = makeMemory();
    const buffer = new SharedArrayBuffer(4096);
    const status = new Int32Array(buffer, 1024, memory.status.length);
    const io = new addon.Io({ ...memory, status }, rig.wakeFd);
    io.receive(0);
    io.close();
    expect(new Int32Array(buffer)[256 + STATUS_NOW_S]).toBeGreaterThan(0);
    expect(new Int32Array(buffer, 0, 256).every((word) => word === 0)).toBe(true);
  });
});

describe("worker threads", () => {
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    const addon = require(workerData.file);
    const io = new addon.Io(workerData.memory, workerData.wakeFd);
    io.add(1, workerData.fd, addon.abi.PORT_UDP_RX, 0, 0);
    parentPort.postMessage("ready");
    let frames = 0;
    while (workerData.memory.status[addon.abi.STATUS_WOKEN] === 0) frames += io.receive(-1);
    io.close();
    parentPort.postMessage(frames);`;

  it("have an Io each, receive side by side, and end when woken", async () => {
    const netns = new Netns();
    const rig = new IoRig();
    const count = 10;
    try {
      const sender = rig.openUdp(LOOPBACK, { netns: netns.path, discardInput: true });
      rig.io.add(9, sender, PORT_UDP_TX, 0, 0);
      const threads = await Promise.all(
        [0, 1, 2].map(async (vtep) => {
          const fd = rig.openUdp(LOOPBACK, { netns: netns.path });
          rig.putVtep(vtep, LOOPBACK, addon.udpPort(fd));
          const memory = makeMemory();
          const wakeFd = addon.openEvent();
          const worker = new Worker(program, { eval: true, workerData: { file: ADDON_FILE, memory, wakeFd, fd } });
          expect(await once(worker, "message")).toEqual(["ready"]);
          return { worker, memory, wakeFd };
        }),
      );
      rig.putFrame(0, new Uint8Array(20));
      for (let i = 0; i < 3 * count; i++) rig.putAction(i, { port: 9, frame: 0, vtep: i % 3 });
      expect(rig.io.send(3 * count)).toBe(0);
      for (const { worker, wakeFd } of threads) {
        const answer = once(worker, "message");
        const exit = once(worker, "exit");
        addon.signalEvent(wakeFd);
        expect(await answer).toEqual([count]);
        expect(await exit).toEqual([0]);
        addon.closeFd(wakeFd);
      }
    } finally {
      rig.close();
      netns.delete();
    }
  });

  it("may end without closing their Io", async () => {
    for (let i = 0; i < 5; i++) {
      const wakeFd = addon.openEvent();
      const worker = new Worker(
        `const { workerData } = require("node:worker_threads");
         const addon = require(workerData.file);
         globalThis.io = new addon.Io(workerData.memory, workerData.wakeFd);
         io.receive(0);`,
        { eval: true, workerData: { file: ADDON_FILE, memory: makeMemory(), wakeFd } },
      );
      expect(await once(worker, "exit")).toEqual([0]);
      addon.closeFd(wakeFd);
    }
  });
});

describe("a process", () => {
  it("exits cleanly with an Io that is open, and with one that is closed", () => {
    const script = `
      const fd = addon.openEvent();
      globalThis.open = new addon.Io(memory(), fd);
      globalThis.closed = new addon.Io(memory(), fd);
      open.receive(0);
      closed.receive(0);
      closed.close();
      console.log("end");`;
    expect(runChild(script)).toMatchObject({ status: 0, stdout: "end\n", stderr: "" });
  });

  it("is not kept alive by an Io", () => {
    expect(runChild("globalThis.io = new addon.Io(memory(), addon.openEvent());")).toMatchObject({ status: 0 });
  });

  it("gets the descriptor of an Io back that nobody holds any more, and keeps the memory of one that somebody holds", () => {
    const script = `
      const { readdirSync, readlinkSync } = require("node:fs");
      const epolls = () => readdirSync("/proc/self/fd").filter((fd) => {
        try { return readlinkSync("/proc/self/fd/" + fd) === "anon_inode:[eventpoll]"; } catch { return false; }
      }).length;
      const wakeFd = addon.openEvent();
      const before = epolls();
      globalThis.kept = new addon.Io(memory(), wakeFd);
      (() => { for (let i = 0; i < 10; i++) new addon.Io(memory(), wakeFd); })();
      const made = epolls() - before;
      let rounds = 0;
      const collect = () => {
        gc();
        if (epolls() - before > 1 && rounds++ < 50) return setImmediate(collect);
        addon.signalEvent(wakeFd);
        console.log(made, epolls() - before, kept.receive(1000));
      };
      setImmediate(collect);`;
    expect(runChild(script, ["--expose-gc"])).toMatchObject({ status: 0, stdout: "11 1 0\n", stderr: "" });
  });

  it("closes the epoll descriptor with close()", () => {
    const script = `
      const { readdirSync } = require("node:fs");
      const wakeFd = addon.openEvent();
      const count = () => readdirSync("/proc/self/fd").length;
      const before = count();
      const io = new addon.Io(memory(), wakeFd);
      const open = count();
      io.close();
      console.log(open - before, count() - before);`;
    expect(runChild(script)).toMatchObject({ status: 0, stdout: "1 0\n" });
  });

  it("closes what a failed constructor opened", () => {
    const script = `
      const { readdirSync } = require("node:fs");
      const count = () => readdirSync("/proc/self/fd").length;
      const before = count();
      try { new addon.Io(memory(), 9999); } catch (error) { console.log(error.code, count() - before); }
      try { addon.Io(memory(), 0); } catch (error) { console.log(error.constructor.name); }`;
    expect(runChild(script)).toMatchObject({ status: 0, stdout: "EBADF 0\nTypeError\n" });
  });
});
