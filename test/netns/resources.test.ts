/** What the daemon costs: memory, idle time, start-up, garbage. Limits are the ones promised in the README. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sleep } from "../support/wait-for.ts";

const LOAD = fileURLToPath(new URL("../../bench/build/load", import.meta.url));

let lab: Lab;
let left: Host;
let right: Host;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
});
afterEach(() => lab.close());

/** User and system time of a process in clock ticks (100 a second). */
const ticksOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return Number(fields[11]) + Number(fields[12]);
};
const residentMiB = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

/** How long an idle daemon is looked at; 1 % of it is as many clock ticks. */
const IDLE_S = 4;

describe("ten idle tunnels", () => {
  it("cost under 1 % of a core and under 150 MiB", async () => {
    const tunnels = Array.from(
      { length: 10 },
      (_, n) => `ov${n}: { mode: vxlan, id: ${n}, local: 192.0.2.1, remote: 192.0.2.2 }`,
    );
    left.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
    const { child } = await RunningDaemon.start(left, `{ ${tunnels.join(", ")} }`);
    // The least of several: the JIT's and the collector's last work comes some time after the start.
    let ticks = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 10 && ticks >= IDLE_S; round++) {
      const before = ticksOf(child.pid);
      await sleep(IDLE_S * 1000);
      ticks = ticksOf(child.pid) - before;
    }
    expect(ticks).toBeLessThan(IDLE_S);
    expect(residentMiB(child.pid)).toBeLessThan(150);
  });
});

const DEVICE_MAC = "02:00:00:00:ff:01";

/** Sends ready VXLAN datagrams with 64-byte frames from the right host at 300 000 a second. */
const flood = async (seconds: number): Promise<void> => {
  const outer = {
    to: "192.0.2.1",
    port: 4789,
    vni: 42,
    "inner-src-mac": "02:00:00:00:00:05",
    "inner-dst-mac": DEVICE_MAC,
  };
  const inner = {
    "inner-src": "10.42.0.5",
    "inner-dst": "10.42.0.1",
    "inner-port": 9999,
    size: 64,
    rate: 300_000,
    seconds,
  };
  const args = Object.entries({ ...outer, ...inner }).flatMap(([key, value]) => [`--${key}`, String(value)]);
  await right.spawn(LOAD, ["vxlan-send", ...args, "--gso"]).wait();
};

describe("a worker", () => {
  it("collects no garbage while a million frames come in", async () => {
    const tunnel = `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, macaddress: "${DEVICE_MAC}", addresses: [10.42.0.1/24] } }`;
    const daemon = await RunningDaemon.start(left, tunnel, { nodeFlags: ["--trace-gc"] });
    const { child } = daemon;
    const frames = (): number => daemon.stats().links[0]!.rx.packets;
    await flood(1); // the JIT compiles the loop
    // The main thread's heap is the first to be collected, while modules load.
    const [, main] = /(0x[0-9a-f]+)\]\s+\d+ ms: /.exec(child.stdout)!;
    const collections = async (): Promise<number> => {
      const seen = child.stdout.length;
      const before = frames();
      do await flood(2);
      while (frames() - before < 1_000_000);
      const heaps = [...child.stdout.slice(seen).matchAll(/(0x[0-9a-f]+)\]\s+\d+ ms: /g)].map(([, heap]) => heap);
      return heaps.filter((heap) => heap !== main).length;
    };
    // On a busy machine the JIT may still be at it in the first round.
    let least = await collections();
    for (let round = 0; round < 3 && least > 0; round++) least = Math.min(least, await collections());
    expect(least).toBe(0);
  });
});

/** Milliseconds from the command to the first answered ping; the daemon is stopped again. */
const firstFrameMs = async (): Promise<number> => {
  const since = performance.now();
  const daemon = RunningDaemon.launch(
    left,
    "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }",
  );
  while (left.exec("ping", ["-c", "1", "-W", "1", "10.42.0.2"]).status !== 0) {
    expect(daemon.child.running, daemon.child.stderr).toBe(true);
    expect(performance.now() - since).toBeLessThan(30_000);
    await sleep(10);
  }
  const tookMs = performance.now() - since;
  await daemon.stop();
  return tookMs;
};

/** Where a machine is slow: of what Node takes to start, 40 to 50 ms where a second is promised. */
const LIMIT = 20;

describe("start", () => {
  it("takes under a second from the command to the first forwarded frame", async () => {
    const kernel = "type vxlan id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0".split(" ");
    right.ip("link", "add", "vxlan0", ...kernel);
    right.address("vxlan0", "10.42.0.2/24");
    // The best of several, in turns, next to Node itself: what else the machine does can only add to it.
    let [ours, node] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 10 && ours >= Math.max(1000, LIMIT * node); round++) {
      ours = Math.min(ours, await firstFrameMs());
      const since = performance.now();
      left.run(process.execPath, ["-e", "0"]);
      node = Math.min(node, performance.now() - since);
    }
    expect(ours).toBeLessThan(Math.max(1000, LIMIT * node));
  });
});
