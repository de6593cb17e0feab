/**
 * Many tunnels on one UDP port: 600 here, so that it takes seconds; `npx tsx bench/scale.ts` does 4094.
 *
 *   left (vx1..vx600)                            right (kernel vxlan of VNIs 1, 300, 599 and 600)
 *     vtepd --- eth0 192.0.2.1 ============ 192.0.2.2 eth0
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { unixHttp } from "../support/unix-http.ts";

const TUNNELS = 600;
const WORKERS = 2;
const WITH_PEER = [1, 300, 599, 600];

let lab: Lab;
let left: Host;
let daemon: RunningDaemon;
let startedMs: number;
let kernelKiB: number;

const overlay = (vni: number, end: number): string => `10.${vni >> 8}.${vni & 255}.${end}`;

/** Memory of the kernel itself, KiB. */
const kernelMemory = (): number => Number(/SUnreclaim:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))![1]);

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const vni of WITH_PEER) {
    const kernel = `type vxlan id ${vni} dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0`.split(" ");
    right.ip("link", "add", `vx${vni}`, ...kernel);
    right.address(`vx${vni}`, `${overlay(vni, 2)}/24`);
  }
  const tunnels = Array.from({ length: TUNNELS }, (_, n) => {
    const vni = n + 1;
    return `vx${vni}: { mode: vxlan, id: ${vni}, local: 192.0.2.1, remote: 192.0.2.2, addresses: [${overlay(vni, 1)}/24] }`;
  });
  const before = kernelMemory();
  const since = performance.now();
  daemon = RunningDaemon.launch(left, `{ ${tunnels.join(", ")} }`, { workers: WORKERS });
  await daemon.child.waitForOutput(/vtepd is forwarding/, 30_000);
  startedMs = performance.now() - since;
  kernelKiB = kernelMemory() - before;
}, 60_000);
afterAll(() => lab.close());

describe("600 tunnels", () => {
  it("start within seconds", () => {
    expect(startedMs).toBeLessThan(15_000);
  });

  it("cost the kernel under 120 KiB each, since none has a queueing discipline", () => {
    expect(kernelKiB / TUNNELS).toBeLessThan(120);
    const links = left.ipJson("link", "show") as { ifname: string; qdisc: string }[];
    const ours = links.filter(({ ifname }) => ifname.startsWith("vx"));
    expect(ours).toHaveLength(TUNNELS);
    expect(new Set(ours.map(({ qdisc }) => qdisc))).toEqual(new Set(["noqueue"]));
  });

  it.each(WITH_PEER)("carry frames of VNI %d", (vni) => {
    const ping = left.run("ping", ["-c", "2", "-i", "0.1", "-W", "3", overlay(vni, 2)]);
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
    await unixHttp({ socket: daemon.socket, path: "/metrics" });
    const since = performance.now();
    const { text } = await unixHttp({ socket: daemon.socket, path: "/metrics" });
    const links = await unixHttp({ socket: daemon.socket, path: "/v1/links" });
    expect(performance.now() - since).toBeLessThan(1000);
    expect(text.match(/^vtepd_link_up\{/gm)).toHaveLength(TUNNELS);
    expect(JSON.parse(links.text)).toHaveLength(TUNNELS);
  });

  it("are removed side by side when the daemon stops", async () => {
    const since = performance.now();
    daemon.child.signal("SIGTERM");
    expect(await daemon.child.wait(30_000)).toEqual({ code: 0, signal: null });
    expect(performance.now() - since).toBeLessThan(8000); // one after the other takes 15 s and more
    expect(left.ip("link", "show")).not.toContain("vx");
  }, 40_000);
});
