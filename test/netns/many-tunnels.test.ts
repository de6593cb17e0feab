/**
 * Many tunnels on one UDP port: 600 here, so that it takes seconds; `npx tsx bench/scale.ts` does 4094.
 *
 *   left (vx1..vx600)                            right (kernel vxlan of VNIs 1, 300, 599 and 600)
 *     vtepd --- eth0 192.0.2.1 ============ 192.0.2.2 eth0
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { MAC_A, udpFrame, vxlanDatagram } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { requests } from "../support/requests.ts";
import { unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const TUNNELS = 600;
const WORKERS = 2;
const SCRAPES = 80;
/** 214 when V8 lets the heap grow as it likes. */
const LIMIT_MIB = 190;
const WITH_PEER = [1, 300, 599, 600];

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let startedMs: number;

/** YAML of all tunnels. @param keys more of one of them */
const tunnels = (one = 0, keys = ""): string => {
  const rows = Array.from({ length: TUNNELS }, (_, n) => {
    const vni = n + 1;
    const more = vni === one ? keys : "";
    return `vx${vni}: { mode: vxlan, id: ${vni}, local: 192.0.2.1, remote: 192.0.2.2, addresses: [${overlay(vni, 1)}/24]${more} }`;
  });
  return `{ ${rows.join(", ")} }`;
};

const overlay = (vni: number, end: number): string => `10.${vni >> 8}.${vni & 255}.${end}`;

/** Columns of proc_pid_stat(5), counted from the state: utime and cutime. */
const OWN = 11;
const OF_ENDED = 13;
const TICK_MS = 10;

/** CPU time in user space, of a process or of those that it has waited for, ms. */
const userMs = (pid: number | "self", column: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[column]) * TICK_MS;
};

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const vni of WITH_PEER) {
    const kernel = `type vxlan id ${vni} dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0`.split(" ");
    right.ip("link", "add", `vx${vni}`, ...kernel);
    right.address(`vx${vni}`, `${overlay(vni, 2)}/24`);
  }
  const since = performance.now();
  daemon = RunningDaemon.launch(left, tunnels(), { workers: WORKERS });
  await daemon.child.waitForOutput(/vtepd is forwarding/, 60_000);
  startedMs = performance.now() - since;
});
afterAll(() => lab.close());

/** Does it until it takes less: the best of several, since what else the machine does can only add to it. */
const soonEnough = async (limitMs: number, run: () => unknown): Promise<void> => {
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 10 && bestMs >= limitMs; round++) {
    const since = performance.now();
    await run();
    bestMs = Math.min(bestMs, performance.now() - since);
  }
  expect(bestMs).toBeLessThan(limitMs);
};

describe("600 tunnels", () => {
  it("start within seconds", () => {
    expect(startedMs).toBeLessThan(30_000);
  });

  it("have no queueing discipline, which is most of what a device costs the kernel (bench/scale.ts measures it)", () => {
    const links = left.ipJson("link", "show") as { ifname: string; qdisc: string }[];
    const ours = links.filter(({ ifname }) => ifname.startsWith("vx"));
    expect(ours).toHaveLength(TUNNELS);
    expect(new Set(ours.map(({ qdisc }) => qdisc))).toEqual(new Set(["noqueue"]));
  });

  it.each(WITH_PEER)("carry frames of VNI %d", (vni) => {
    const ping = left.run("ping", [...requests(2), overlay(vni, 2)]);
    expect(ping).toContain(" 0% packet loss");
  });

  it("have one queue each, half of them in each worker", () => {
    const links = daemon.json<{ vtepd: { queues: number } }[]>("-d", "link", "show");
    expect(new Set(links.map(({ vtepd }) => vtepd.queues))).toEqual(new Set([1]));
    const framesOf = (): number[] =>
      daemon.json<{ workers: { frames: number }[] }>("status").workers.map(({ frames }) => frames);
    const readers = [301, 302].map((vni) => {
      const before = framesOf();
      left.exec("ping", ["-c", "40", "-i", "0.005", "-W", "0.1", "-b", overlay(vni, 255)]);
      return framesOf().findIndex((frames, worker) => frames - before[worker]! >= 40);
    });
    expect(readers.toSorted()).toEqual([0, 1]);
  });

  it("answer a scrape and show their links within a second", async () => {
    const get = async (path: string): Promise<string> => (await unixHttp({ socket: daemon.socket, path })).text;
    let [text, links] = ["", ""];
    await soonEnough(1000, async () => {
      text = await get("/metrics");
      links = await get("/v1/links");
    });
    expect(text.match(/^vtepd_link_up\{/gm)).toHaveLength(TUNNELS);
    expect(JSON.parse(links)).toHaveLength(TUNNELS);
  });

  it("are listed by vtepctl within seconds", async () => {
    await soonEnough(2000, () => {
      const links = daemon.vtepctl("link", "show").stdout.match(/^\d+: vx\d+:/gm);
      expect(links).toHaveLength(TUNNELS);
    });
  });

  it("reload a change of one within a second, and none of the others loses a frame", async () => {
    const { ifindex } = left.ipJson("link", "show", "vx300")[0];
    // Quiet: a pipe that nobody reads while vtepctl runs would stop it.
    const ping = left.spawn("ping", ["-q", "-i", "0.002", "-W", "1", overlay(1, 2)]);
    const reloadMs = (keys: string, difference: string): number => {
      daemon.rewrite(tunnels(300, keys));
      const since = performance.now();
      expect(daemon.vtepctl("config", "reload").stdout).toBe(`${difference}unchanged ${TUNNELS - 1}\n`);
      return performance.now() - since;
    };
    const changed = "~ vx300\n    ageing: ";
    const remade = "! vx300 (made anew)\n    fwmark: ";
    const times = [0, 1, 2].flatMap(() => [
      reloadMs(", ageing: 60", `${changed}default -> 60\n`),
      reloadMs(", ageing: 60, fwmark: 7", `${remade}default -> 7\n`),
      reloadMs(", ageing: 60", `${remade}7 -> default\n`),
      reloadMs("", `${changed}60 -> default\n`),
    ]);
    ping.signal("SIGINT");
    await ping.exited;
    const [sent = 0, answered = 0] = [...ping.stdout.matchAll(/(\d+) (?:packets transmitted|received)/g)].map(
      ([, count]) => Number(count),
    );
    expect(sent).toBeGreaterThan(100);
    expect(sent - answered).toBeLessThanOrEqual(1); // the last one may be on its way
    expect(Math.min(...times)).toBeLessThan(1000);
    expect(left.ipJson("link", "show", "vx300")[0]).toMatchObject({ ifindex });
    const again = left.run("ping", [...requests(2), overlay(300, 2)]);
    expect(again).toContain(" 0% packet loss");
  });

  it("keep the daemon under 190 MiB however often they are scraped", async () => {
    let mostMiB = Number.POSITIVE_INFINITY;
    // The least of several peaks: where others take the processors from V8, garbage waits for its collection.
    for (let round = 0; round < 4 && mostMiB >= LIMIT_MIB; round++) {
      writeFileSync(`/proc/${daemon.child.pid}/clear_refs`, "5"); // the peak begins again
      for (let n = 0; n < SCRAPES; n++) await unixHttp({ socket: daemon.socket, path: "/metrics" });
      const status = readFileSync(`/proc/${daemon.child.pid}/status`, "utf8");
      mostMiB = Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
    }
    expect(mostMiB).toBeLessThan(LIMIT_MIB);
  });

  it("stop in one go, also when each has learned something", async () => {
    const addresses = { srcIp: "10.9.0.2", dstIp: "10.9.0.1" };
    const station = udpFrame({ src: MAC_A, dst: MAC_A, ...addresses, srcPort: 1, dstPort: 2, payload: "" });
    const sender = await RawVtep.start(right, { address: "192.0.2.2", port: 5000 });
    for (let vni = 1; vni <= TUNNELS; vni++) sender.send("192.0.2.1", vxlanDatagram(vni, station));
    const last = (): boolean => {
      sender.send("192.0.2.1", vxlanDatagram(TUNNELS, station));
      return daemon.fdb(`vx${TUNNELS}`).some(({ mac }) => mac === MAC_A);
    };
    await waitFor(last, { what: "learning" });
    const before = userMs(daemon.child.pid, OWN);
    const endedBefore = userMs("self", OF_ENDED);
    const since = performance.now();
    daemon.child.signal("SIGTERM");
    expect(await daemon.child.wait(60_000)).toEqual({ code: 0, signal: null });
    expect(performance.now() - since).toBeLessThan(12_000); // one device after the other takes 15 s and more
    // Some 50 ms; a second more when each tunnel goes through the whole FDB.
    expect(userMs("self", OF_ENDED) - endedBefore - before).toBeLessThan(500);
    expect(left.ip("link", "show")).not.toContain("vx");
  });
});
