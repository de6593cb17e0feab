/**
 * Claim: napi_get_typedarray_info() of a view over a SharedArrayBuffer gives the address of the memory that JavaScript and
 * other threads see, with the view's offset in it. Seen on Node 20.20. Everything the addon shares depends on it.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, expect, it } from "vitest";
import { STATUS_WOKEN, STATUS_WORDS } from "../../src/binding/abi.ts";
import { addon, type Io } from "../../src/binding/addon.ts";
import { makeMemory } from "../native/io-rig.ts";

const BEFORE = 3; // Words of the buffer in front of the view.

let wakeFd: number;
let io: Io;
let buffer: SharedArrayBuffer;
beforeEach(() => {
  wakeFd = addon.openEvent();
  buffer = new SharedArrayBuffer((BEFORE + STATUS_WORDS) * 4);
  const status = new Int32Array(buffer, BEFORE * 4, STATUS_WORDS);
  io = new addon.Io({ ...makeMemory(), status }, wakeFd);
});
afterEach(() => {
  io.close();
  addon.closeFd(wakeFd);
});

it("a native write is seen through another view of the same buffer", () => {
  const words = new Int32Array(buffer);
  expect(words[BEFORE + STATUS_WOKEN]).toBe(0);
  addon.signalEvent(wakeFd);
  io.receive(0);
  expect([...words.subarray(0, BEFORE)]).toEqual([0, 0, 0]);
  expect(words[BEFORE + STATUS_WOKEN]).toBe(1);
});

it("a native write is seen by another thread", async () => {
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     const words = new Int32Array(workerData.buffer);
     parentPort.postMessage("ready");
     parentPort.once("message", () => parentPort.postMessage(words[workerData.word]));`,
    { eval: true, workerData: { buffer, word: BEFORE + STATUS_WOKEN } },
  );
  const ended = once(worker, "exit"); // it may end before its answer is looked at
  await once(worker, "message");
  addon.signalEvent(wakeFd);
  io.receive(0);
  const answer = once(worker, "message");
  worker.postMessage("look");
  expect(await answer).toEqual([1]);
  await ended;
});
