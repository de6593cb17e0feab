/** Claim: a TAP that is moved to another network namespace goes on through its old descriptor. Seen on Linux 6.18. */
import { readSync, writeSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { ethernet } from "../native/frame-bytes.ts";
import { Netns } from "../native/netns.ts";

let first: Netns;
let second: Netns;
let fd: number;
beforeEach(() => {
  first = new Netns();
  second = new Netns();
  const tap = addon.openTap({ name: "vx1", kind: "tap", queues: 1, vnetHeader: false, up: true, netns: first.path });
  fd = tap.fds[0]!;
});
afterEach(() => {
  addon.closeFd(fd);
  first.delete();
  second.delete();
});

const receivedFrames = (netns: Netns): number =>
  (JSON.parse(netns.ip("-j -s link show vx1")) as { stats64: { rx: { packets: number } } }[])[0]!.stats64.rx.packets;

it("a frame written to the descriptor arrives in the namespace where the device now is", () => {
  const frame = ethernet(0x88b5, [1]);
  first.ip(`link set vx1 netns ${second.name}`);
  second.ip("link set vx1 up");
  const before = receivedFrames(second);
  expect(writeSync(fd, frame)).toBe(frame.length);
  expect(receivedFrames(second)).toBe(before + 1);
});

it("a device that was moved, and so is down, is not gone: it refuses frames with EIO and has none to read", () => {
  first.ip(`link set vx1 netns ${second.name}`);
  const buffer = Buffer.alloc(2048);
  expect(() => {
    for (;;) readSync(fd, buffer);
  }).toThrow(expect.objectContaining({ code: "EAGAIN" }));
  expect(() => writeSync(fd, ethernet(0x88b5, [1]))).toThrow(expect.objectContaining({ code: "EIO" }));
});
