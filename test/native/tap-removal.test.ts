/** Many TAPs removed at once: what goes, what stays, and that the kernel is asked once. Needs root. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterEach, beforeEach, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { Child } from "../support/child.ts";
import { waitFor } from "../support/wait-for.ts";
import { Netns } from "./netns.ts";

/** From here on a group is asked for; fewer are closed. */
const MANY = 20;

const ip = (command: string): string => execFileSync("ip", command.split(" "), { encoding: "utf8" });
const names = (json: string): string[] => (JSON.parse(json) as { ifname: string }[]).map(({ ifname }) => ifname);
const here = (): string[] => names(ip("-j link show"));
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

let elsewhere: Netns;
let before: string[];
let descriptorsBefore: number;
beforeEach(() => {
  elsewhere = new Netns();
  before = here();
  descriptorsBefore = openDescriptors();
});
afterEach(() => {
  elsewhere.delete();
  for (const name of here()) if (!before.includes(name)) ip(`link del ${name}`);
});

const open = (name: string, netns?: string, queues = 1): number[] =>
  addon.openTap({
    name,
    kind: "tap",
    queues,
    vnetHeader: true,
    up: true,
    ...(netns === undefined ? {} : { netns }),
  }).fds;
const openMany = (count: number, netns?: string): number[] =>
  Array.from({ length: count }, (_, n) => open(`vx${n}`, netns)).flat();
const remove = (fds: readonly number[]): void => addon.removeTaps(Int32Array.from(fds));

it("removes a handful", () => {
  remove([...open("vx0"), ...open("vx1", undefined, 2)]);
  expect(here()).toEqual(before);
  expect(openDescriptors()).toBe(descriptorsBefore);
});

it("removes those of this namespace by one request, as a group that nobody else would choose", async () => {
  const fds = [...openMany(MANY), ...open("several", undefined, 4)];
  const monitor = new Child("ip", ["-o", "monitor", "link"]);
  try {
    // It does not say when it begins to listen.
    await waitFor(
      () => {
        ip("link add first type bridge");
        ip("link del first");
        return monitor.stdout.includes("first");
      },
      { timeoutMs: 20_000, what: "ip monitor" },
    );
    remove(fds);
    ip("link add last type bridge");
    await monitor.waitForOutput(/: last:/, 20_000);
  } finally {
    await monitor.stop();
  }
  const lines = monitor.stdout.split("\n").filter((line) => /: (vx\d+|several):/.test(line));
  const deleted = lines.filter((line) => line.includes("Deleted"));
  expect(deleted).toHaveLength(MANY + 1);
  const groups = new Set(deleted.map((line) => Number(/ group (\S+)/.exec(line)?.[1])));
  expect(groups.size).toBe(1);
  expect([...groups][0]).toBeLessThan(0); // what `ip` makes of 2^31 and more, and does not take
  expect(here()).toEqual([...before, "last"]);
  expect(openDescriptors()).toBe(descriptorsBefore);
});

it("leaves devices alone that are not on the list, also those that an operator put into one group with ours", () => {
  const fds = openMany(MANY);
  const other = open("other");
  ip("link add bridge type bridge");
  for (const name of ["vx1", "other", "bridge"]) ip(`link set ${name} group 7`);
  remove(fds);
  expect(here()).toEqual([...before, "other", "bridge"]);
  remove(other);
  expect(here()).toEqual([...before, "bridge"]);
});

it("removes devices wherever they are by now: here, made elsewhere, moved, renamed; and lets go of deleted ones", () => {
  const fds = [...openMany(MANY), ...open("far", elsewhere.path)];
  ip(`link set vx3 netns ${elsewhere.name} name vx4`);
  ip("link set vx5 down name renamed");
  ip("link del vx6");
  ip("link add far type bridge"); // has the name of one that is elsewhere
  remove(fds);
  expect(here()).toEqual([...before, "far"]);
  expect(names(elsewhere.ip("-j link show"))).toEqual(["lo"]);
  expect(openDescriptors()).toBe(descriptorsBefore);
});

it("closes what is no TAP at all", () => {
  remove(Array.from({ length: MANY }, () => addon.openEvent()));
  expect(openDescriptors()).toBe(descriptorsBefore);
});

it("removes a hundred in another namespace side by side", () => {
  const tookMs = (run: () => void): number => {
    const since = performance.now();
    run();
    return performance.now() - since;
  };
  // One after the other a hundred take 2 s and more.
  const few = openMany(10, elsewhere.path);
  const tenthMs = tookMs(() => {
    for (const fd of few) remove([fd]);
  });
  const fds = openMany(100, elsewhere.path);
  expect(names(elsewhere.ip("-j link show"))).toHaveLength(101);
  expect(tookMs(() => remove(fds))).toBeLessThan(10 * tenthMs * 0.75);
  expect(names(elsewhere.ip("-j link show"))).toEqual(["lo"]);
});
