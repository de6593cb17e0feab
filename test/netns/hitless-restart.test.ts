/**
 * The daemon goes and comes back while a ping runs: its devices stay, with index, addresses, routes and carrier.
 *
 *   left: vtepd under a program that plays systemd, ov0 --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { Service } from "../support/service-manager.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;

/** Holds the port of the exporter. */
const HOLDER = `
import socket, time
holder = socket.create_server(("127.0.0.1", 9470))
print("listening", flush=True)
time.sleep(600)
`;

const tunnel = (name: string, id: number, more = ""): string =>
  `${name}: { mode: vxlan, id: ${id}, local: 192.0.2.1, remote: 192.0.2.2${more} }`;
const OV0 = tunnel("ov0", 42, ", addresses: [10.42.0.1/24]");

/** What others have set, and what must not change. */
const shape = () => {
  const [link] = left.ipJson("link", "show", "ov0");
  const { ifindex, mtu, address, flags, operstate } = link;
  return {
    ifindex,
    mtu,
    address,
    flags,
    operstate,
    routes: left.ip("route"),
    addresses: left.ip("-4", "addr", "show", "ov0"),
  };
};

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip(
    "link",
    "add",
    "vx42",
    "type",
    "vxlan",
    "id",
    "42",
    "local",
    "192.0.2.2",
    "remote",
    "192.0.2.1",
    "dstport",
    "4789",
  );
  right.address("vx42", "10.42.0.2/24");
});
afterEach(() => lab.close());

/** Pings all the while. Returns what ends that and tells the longest silence, ms at least. */
const watched = () => {
  const ping = left.spawn("ping", ["-i", "0.02", "-W", "1", "10.42.0.2"]);
  return async (): Promise<number> => {
    ping.signal("SIGINT");
    await ping.exited;
    expect(ping.stdout + ping.stderr).not.toMatch(/unreachable|Network is down|No such device/);
    const answered = [...ping.stdout.matchAll(/icmp_seq=(\d+)/g)].map(([, n]) => Number(n));
    return 20 * Math.max(...answered.map((n, index) => n - (answered[index - 1] ?? 0) - 1));
  };
};

describe("under a service manager with a descriptor store", () => {
  it("devices stay over a restart and a crash, frames wait, and no more is lost than the daemon is away", async () => {
    const service = await Service.start(left, `{ ${OV0} }`);
    await service.ready(1);
    left.ip("addr", "add", "10.42.9.1/24", "dev", "ov0"); // by somebody else
    left.ip("route", "add", "198.51.100.0/24", "via", "10.42.0.2");
    left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]);
    const before = shape();
    expect(before.operstate).not.toBe("DOWN");
    expect(service.stored.filter((name) => name.startsWith("tap.ov0."))).toHaveLength(2);
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const end = watched();
      await new Promise((resolve) => setTimeout(resolve, 200));
      const endedMs = performance.now();
      await service.end(signal);
      expect(shape()).toEqual(before);
      await service.startAgain();
      const awayMs = performance.now() - endedMs;
      expect(shape()).toEqual(before);
      left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]);
      // What waits in the device's queues is sent when we are back; the rest of the time the ping goes unanswered.
      expect(await end()).toBeLessThan(awayMs + 1000);
      expect(service.log).toContain("the device of before is in use again");
    }
    expect(service.log).not.toMatch(/cannot be used|made anew/);
  });

  it("a start that fails leaves them for the next one, and nothing else", async () => {
    const service = await Service.start(left, `{ ${OV0}, ${tunnel("ov1", 43)} }`);
    left.ip("addr", "add", "10.42.9.1/24", "dev", "ov0");
    const before = shape();
    const stored = service.stored;
    await service.end("SIGTERM");
    const wrong = [
      ["a wrong file", "{ ov0: { mode: vxlan, id: 16777216 } }", 1],
      ["a namespace that is not there", `{ ${OV0}, ${tunnel("ov5", 45, ", netns: nowhere")} }`, 2],
      ["a port in use, seen last", `{ ${OV0}, ${tunnel("ov5", 45)} }`, 2],
    ] as const;
    const [, , [, usesPort]] = wrong;
    const holder = left.spawn("python3", ["-c", HOLDER]);
    await holder.waitForOutput(/listening/);
    for (const [, tunnels, status] of wrong) {
      service.configure(tunnels, tunnels === usesPort ? "metrics: { listen: 127.0.0.1:9470 }" : undefined);
      expect(await service.startInVain()).toBe(status);
      expect(shape()).toEqual(before);
      expect(left.exec("ip", ["link", "show", "ov5"]).status).not.toBe(0);
      await service.waitForStored(stored);
    }
    service.configure(`{ ${OV0} }`);
    await service.startAgain();
    expect(shape()).toEqual(before);
    left.run("ping", ["-c", "2", "-i", "0.2", "-W", "2", "10.42.0.2"]);
    expect(left.exec("ip", ["link", "show", "ov1"]).status).not.toBe(0);
  }, 60_000);

  it("those that are wanted no more, or otherwise, are not kept", async () => {
    const service = await Service.start(left, `{ ${OV0}, ${tunnel("ov1", 43)}, ${tunnel("ov2", 44)} }`);
    const indexOf = (name: string): number | undefined =>
      left.exec("ip", ["link", "show", name]).status === 0 ? left.ipJson("link", "show", name)[0].ifindex : undefined;
    const [first, third] = [indexOf("ov0"), indexOf("ov2")];
    await service.end("SIGKILL");
    service.configure(`{ ${OV0}, ov2: { mode: gre, local: 192.0.2.1, remote: 192.0.2.2 } }`);
    await service.startAgain();
    expect(indexOf("ov0")).toBe(first);
    expect(indexOf("ov1")).toBeUndefined();
    expect(indexOf("ov2")).not.toBe(third); // a TUN now
    // A tunnel that a reload takes away is taken out of the store, too.
    service.configure("{}");
    service.command("kill SIGHUP");
    await service.waitForStored([]);
    await waitFor(() => indexOf("ov0") === undefined, { what: "ov0 to go" });
    expect(await service.end("SIGTERM")).toBe(0);
  });
});

describe("keep-devices", () => {
  it("leaves them over a start that fails, and over one with another number of queues", async () => {
    const folder = temporaryDirectory();
    const daemon = `keep-devices: true, state-directory: ${folder}/state`;
    const settings = { daemon, socket: `${folder}/control.sock`, workers: 2 };
    const both = `{ ${OV0}, ${tunnel("ov1", 43)} }`;
    await (await RunningDaemon.start(left, both, settings)).stop();
    left.ip("addr", "add", "10.42.9.1/24", "dev", "ov0");
    const before = shape();
    const startInVain = async (tunnels: string): Promise<void> => {
      const { child } = RunningDaemon.launch(left, tunnels, settings);
      expect((await child.wait(20_000)).code).toBe(2);
      expect(child.stderr).toContain("ERR_NETNS_NOT_FOUND");
      expect(shape()).toEqual(before);
      expect(left.exec("ip", ["link", "show", "ov5"]).status).not.toBe(0);
    };
    await startInVain(`{ ${OV0}, ov5: { mode: gretap, remote: 192.0.2.2 }, ${tunnel("ov6", 46, ", netns: nowhere")} }`);
    await startInVain(`{ ${tunnel("ov6", 46, ", netns: nowhere")} }`);
    const running = await RunningDaemon.start(left, both, settings);
    expect(shape()).toMatchObject({ ifindex: before.ifindex, addresses: expect.stringContaining("10.42.9.1/24") });
    left.run("ping", ["-c", "2", "-i", "0.2", "-W", "2", "10.42.0.2"]);
    await running.stop();
    const single = await RunningDaemon.start(left, both, { ...settings, workers: 1 });
    expect(single.child.stdout).toContain("it is made anew");
    left.run("ping", ["-c", "2", "-i", "0.2", "-W", "2", "10.42.0.2"]);
    await single.stop();
    const last = await RunningDaemon.start(left, "{}", settings);
    expect(left.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname)).toEqual(["lo", "eth0"]);
    await last.stop();
  }, 60_000);

  it("leaves the devices when the daemon ends or is killed, and takes them up again", async () => {
    const folder = temporaryDirectory();
    const daemon = `keep-devices: true, state-directory: ${folder}/state`;
    const settings = { daemon, socket: `${folder}/control.sock`, workers: 2 };
    let running = await RunningDaemon.start(left, `{ ${OV0}, ${tunnel("ov1", 43)} }`, settings);
    left.ip("addr", "add", "10.42.9.1/24", "dev", "ov0");
    const { ifindex, address } = shape();
    const same = (): void => {
      expect(shape()).toMatchObject({ ifindex, address });
      for (const each of ["10.42.0.1/24", "10.42.9.1/24"]) expect(shape().addresses).toContain(each);
    };
    await running.stop();
    same();
    running = await RunningDaemon.start(left, `{ ${OV0}, ${tunnel("ov1", 43)} }`, settings);
    same();
    left.run("ping", [...requests(2), "10.42.0.2"]);
    running.child.signal("SIGKILL");
    await running.child.exited;
    same();
    running = await RunningDaemon.start(left, `{ ${OV0} }`, settings);
    same();
    expect(left.exec("ip", ["link", "show", "ov1"]).status).not.toBe(0);
    left.run("ping", [...requests(2), "10.42.0.2"]);
    await running.stop();
    // Somebody else's device is never taken.
    left.ip("link", "del", "ov0");
    left.ip("tuntap", "add", "dev", "ov5", "mode", "tap");
    const other = RunningDaemon.launch(left, `{ ${tunnel("ov5", 45)} }`, settings);
    expect((await other.child.exited).code).toBe(2);
    expect(other.child.stderr).toContain("ERR_DEVICE_EXISTS");
  });
});
