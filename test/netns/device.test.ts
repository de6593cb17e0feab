/** The device's life: made as asked, followed when others change it, made again when deleted, removed at the end. */
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const LOAD = fileURLToPath(new URL("../../bench/build/load", import.meta.url));

let lab: Lab;
let left: Host;
let right: Host;

const tunnel = (host: 1 | 2, more = ""): string =>
  `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.${host}, remote: 192.0.2.${3 - host}, addresses: [10.42.0.${host}/24]${more} } }`;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
});
afterEach(() => lab.close());

const ping = (host: Host, address: string): boolean => host.exec("ping", ["-c", "1", "-W", "5", address]).status === 0;
const busyTicks = (host: Host, pid: number): number => {
  const fields = host
    .run("cat", [`/proc/${pid}/stat`])
    .split(") ")[1]!
    .split(" ");
  return Number(fields[11]) + Number(fields[12]);
};

describe("the device", () => {
  it("has the name, MAC, MTU and addresses that the configuration says", async () => {
    await RunningDaemon.start(left, tunnel(1, ', mtu: 1400, macaddress: "02:00:00:00:ff:01"'));
    const [link] = left.ipJson("-d", "addr", "show", "ov0");
    expect(link).toMatchObject({
      ifname: "ov0",
      mtu: 1400,
      address: "02:00:00:00:ff:01",
      linkinfo: { info_kind: "tun" },
    });
    expect(link.flags).toContain("UP");
    expect(link.addr_info).toContainEqual(expect.objectContaining({ local: "10.42.0.1", prefixlen: 24 }));
  });

  it("has the MTU of the way to the remote VTEP less the encapsulation, also when a route says less", async () => {
    left.ip("route", "add", "192.0.2.2/32", "dev", "eth0", "mtu", "1300");
    await RunningDaemon.start(left, tunnel(1));
    expect(left.ipJson("link", "show", "ov0")[0].mtu).toBe(1250);
  });

  it("has one queue for each worker", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1), { workers: 3 });
    expect(left.ipJson("-d", "link", "show", "ov0")[0].linkinfo.info_data).toMatchObject({
      multi_queue: true,
      numqueues: 3,
    });
    expect(daemon.json<{ vtepd: { queues: number } }[]>("link", "show", "ov0")[0]!.vtepd.queues).toBe(3);
  });

  it("has fewer queues when told so; workers without one still deliver", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1, ", queues: 1"), { workers: 3 });
    await RunningDaemon.start(right, tunnel(2), { workers: 3 });
    expect(daemon.json<{ vtepd: { queues: number } }[]>("link", "show", "ov0")[0]!.vtepd.queues).toBe(1);
    expect(ping(right, "10.42.0.1")).toBe(true);
    // Flows from sixteen source ports fall on all three workers' sockets.
    right.run("bash", ["-c", "for n in {1..40}; do echo >/dev/udp/10.42.0.1/9; done"]);
    const busy = (): number =>
      daemon.json<{ workers: { frames: number }[] }>("status").workers.filter(({ frames }) => frames > 0).length;
    await waitFor(() => busy() > 1, { what: "several workers with frames" });
  });

  it("lives in the namespace that `netns` names, while the socket stays outside", async () => {
    const inner = lab.host("inner");
    await RunningDaemon.start(left, tunnel(1, `, netns: ${inner.netns}`));
    await RunningDaemon.start(right, tunnel(2));
    expect(ping(inner, "10.42.0.2")).toBe(true);
    expect(left.exec("ip", ["link", "show", "ov0"]).status).not.toBe(0);
    expect(inner.run("ss", ["-Huln"])).toBe("");
  });

  it("goes on working when it is moved to another namespace", async () => {
    const inner = lab.host("inner");
    const daemon = await RunningDaemon.start(left, tunnel(1));
    await RunningDaemon.start(right, tunnel(2));
    left.ip("link", "set", "ov0", "netns", inner.netns);
    inner.ip("addr", "add", "10.42.0.1/24", "dev", "ov0");
    inner.ip("link", "set", "ov0", "mtu", "1200", "up");
    expect(ping(inner, "10.42.0.2")).toBe(true);
    expect(daemon.json<{ mtu: number }[]>("link", "show", "ov0")[0]!.mtu).toBe(1200);
  });

  it("is made again when it is deleted, and nothing spins meanwhile", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1), { workers: 2 });
    await RunningDaemon.start(right, tunnel(2));
    expect(ping(left, "10.42.0.2")).toBe(true);
    const before = left.ipJson("link", "show", "ov0")[0];
    left.ip("link", "del", "ov0");
    // It comes back after a second.
    const gone = daemon.json<{ vtepd: { state: string } }[]>("link", "show", "ov0")[0]!.vtepd.state;
    const ticks = busyTicks(left, daemon.child.pid);
    await sleep(500);
    expect(busyTicks(left, daemon.child.pid) - ticks).toBeLessThan(30); // of 50 for each worker
    expect(gone).toBe("gone");
    await daemon.child.waitForOutput(/device is back/);
    const after = left.ipJson("link", "show", "ov0")[0];
    expect(after.address).toBe(before.address);
    expect(after.ifindex).not.toBe(before.ifindex);
    await waitFor(() => ping(left, "10.42.0.2"), { what: "ping over the new device" });
    expect(daemon.child.stdout.match(/device was deleted/g)).toHaveLength(1);
  });

  it("comes back after its namespace was deleted and made again", async () => {
    const inner = lab.host("inner");
    const daemon = await RunningDaemon.start(left, tunnel(1, `, netns: ${inner.netns}`));
    await RunningDaemon.start(right, tunnel(2));
    inner.remove();
    await daemon.child.waitForOutput(/cannot be made again yet/);
    expect(daemon.child.stdout).toContain("ERR_NETNS_NOT_FOUND");
    left.run("ip", ["netns", "add", inner.netns]);
    await daemon.child.waitForOutput(/device is back/);
    await waitFor(() => ping(inner, "10.42.0.2"), { what: "ping from the new namespace" });
  });

  it("that is down is counted, and works when it is up again", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1));
    await RunningDaemon.start(right, tunnel(2));
    left.ip("link", "set", "ov0", "down");
    right.exec("ping", ["-c", "2", "-i", "0.1", "-W", "1", "10.42.0.1"]);
    expect(daemon.drops("decap")["dev_ready"]).toBeGreaterThanOrEqual(1);
    left.ip("link", "set", "ov0", "up");
    expect(ping(right, "10.42.0.1")).toBe(true);
  });
});

describe("workers", () => {
  it("are bound to the CPUs they are given, and only they", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1), { workers: 2, daemon: "cpus: [0, 1]" });
    const allowed = left
      .run("bash", ["-c", `for t in /proc/${daemon.child.pid}/task/*; do grep Cpus_allowed_list $t/status; done`])
      .split("\n")
      .map((line) => line.replace(/.*:\s*/, ""));
    expect(allowed.filter((cpus) => cpus === "0")).toHaveLength(1);
    expect(allowed.filter((cpus) => cpus === "1")).toHaveLength(1);
  });

  it("are refused a CPU that the machine does not have", async () => {
    const daemon = RunningDaemon.launch(left, tunnel(1), { daemon: "cpus: [1000]" });
    expect(await daemon.child.wait()).toEqual({ code: 2, signal: null });
    expect(daemon.child.stderr).toContain("ERR_WORKER: ");
    expect(daemon.child.stderr).toContain("sched_setaffinity");
    expect(left.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname)).toEqual(["lo", "eth0"]);
  });

  it("poll before they sleep when told to, and still take commands and end", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1), { daemon: "busy-poll: 200" });
    await RunningDaemon.start(right, tunnel(2));
    expect(ping(left, "10.42.0.2")).toBe(true);
    expect((await daemon.stop()).code).toBe(0);
  });

  it("keep a flow in order although there are several of them", async () => {
    const settings = { workers: 4 };
    await RunningDaemon.start(left, tunnel(1), settings);
    await RunningDaemon.start(right, tunnel(2), settings);
    expect(ping(left, "10.42.0.2")).toBe(true); // what waits for ARP is overtaken by what comes after it, in any kernel
    const sink = right.spawn(LOAD, ["udp-sink", "--port", "9999"]);
    await sink.waitForOutput(/ready/);
    await left
      .spawn(LOAD, [
        "udp-send",
        "--to",
        "10.42.0.2",
        "--port",
        "9999",
        "--size",
        "200",
        "--rate",
        "40000",
        "--seconds",
        "1",
        "--flows",
        "8",
      ])
      .wait();
    await sleep(200);
    await sink.stop();
    const { received, reordered } = JSON.parse(sink.stdout.split("\n").find((line) => line.includes("received"))!);
    expect(received).toBeGreaterThan(5000); // of 40 000: a busy machine loses some
    expect(reordered).toBe(0);
  });
});

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  it("ends the daemon with status 0 and removes devices, sockets and the control socket", async () => {
    const daemon = await RunningDaemon.start(left, tunnel(1), { workers: 2 });
    daemon.child.signal(signal);
    expect(await daemon.child.wait()).toEqual({ code: 0, signal: null });
    expect(left.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname)).toEqual(["lo", "eth0"]);
    expect(left.run("ss", ["-Huln"])).toBe("");
    expect(left.exec("ls", [daemon.socket]).status).not.toBe(0);
  });
});
