/**
 * Claim: after a TAP was deleted, by name or with its namespace, its descriptor says EBADFD (77) to reads and writes.
 * Seen on Linux 6.18. (Node has no name for it and says "UNKNOWN".)
 */
import { readSync, writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { ethernet } from "../native/frame-bytes.ts";
import { Netns } from "../native/netns.ts";

const EBADFD = 77;

let netns: Netns;
let fd: number;
beforeEach(() => {
  netns = new Netns();
  const tap = addon.openTap({ name: "vx1", kind: "tap", queues: 1, vnetHeader: false, up: true, netns: netns.path });
  fd = tap.fds[0]!;
});
afterEach(() => {
  addon.closeFd(fd);
  netns.delete();
});

/** The errno of a call, 0 when it succeeds. */
const errnoOf = (call: () => unknown): number => {
  try {
    call();
    return 0;
  } catch (error) {
    return -((error as NodeJS.ErrnoException).errno ?? 0);
  }
};
const write = (): number => errnoOf(() => writeSync(fd, ethernet(0x88b5, [1])));
const read = (): number => errnoOf(() => readSync(fd, Buffer.alloc(2048)));

it("after `ip link delete`", () => {
  expect(write()).toBe(0);
  netns.ip("link delete vx1");
  expect([read(), write()]).toEqual([EBADFD, EBADFD]);
});

it("after the namespace that it had been moved to was deleted", async () => {
  expect(write()).toBe(0);
  netns.delete();
  const deadline = performance.now() + 5000;
  // The kernel takes a deleted namespace apart in the background.
  while (write() !== EBADFD && performance.now() < deadline) await setTimeout(20);
  expect([read(), write()]).toEqual([EBADFD, EBADFD]);
});
