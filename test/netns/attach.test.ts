/**
 * `vtepctl attach` and `detach`, and lines for devices that somebody has moved. A container is a process with a network of its
 * own, which has an address and a default route by eth0.
 *
 *   left: vtepd, and its container 172.18.1.2 --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan 172.18.1.3
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { ExecResult, Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const INNER = [
  "ip link set lo up",
  "ip link add eth0 type veth peer name eth1",
  "ip link set eth0 up",
  "ip link set eth1 up",
  "ip address add 172.17.0.2/16 dev eth0",
  "ip route add default via 172.17.0.1",
  "echo ready",
  "exec sleep infinity",
].join(" && ");
const MADE = "vxlan id 40 dstport 4789 remote 192.0.2.2 local 192.0.2.1 dev eth0";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let folder: string;
let container: Child;

const vtepctl = (line: string): ExecResult =>
  left.exec(process.execPath, [VTEPCTL, "-socket", daemon.socket, ...line.split(" ")], {
    env: { PATH: `${folder}/bin:${process.env["PATH"]}` },
  });
const ok = (line: string): string => {
  const { status, stdout, stderr } = vtepctl(line);
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: "" });
  return stdout;
};
const inside = (line: string): ExecResult =>
  left.exec("nsenter", [`--net=/proc/${container.pid}/ns/net`, ...line.split(" ")]);
const startContainer = async (): Promise<Child> => {
  const child = left.spawn("unshare", ["--net", "bash", "-c", INNER]);
  await child.waitForOutput(/ready/);
  return child;
};
/** `docker` of a host that has one container. */
const docker = (pid: number | undefined): void => {
  const script = `#!/bin/sh
[ "$5" = web ] || { echo "Error: No such object: $5" >&2; exit 1; }
[ "$1 $2 $3 $4" = "inspect --format {{.State.Pid}} --" ] && echo ${pid ?? 0}
`;
  mkdirSync(join(folder, "bin"), { recursive: true });
  writeFileSync(join(folder, "bin", "docker"), script);
  chmodSync(join(folder, "bin", "docker"), 0o755);
};
const here = (dev: string): boolean => left.exec("ip", ["link", "show", dev]).status === 0;
const there = (dev: string): boolean => inside(`ip link show ${dev}`).status === 0;
/** Of vxlan0 at home. */
const state = (): string[] => [
  left.ip("-o", "-4", "address", "show", "dev", "vxlan0").replace(/^\d+: /, ""),
  left.ip("route", "show", "dev", "vxlan0"),
];

beforeAll(async () => {
  folder = temporaryDirectory();
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip(..."link add vx40 type vxlan id 40 dstport 4789 remote 192.0.2.1 local 192.0.2.2".split(" "));
  right.address("vx40", "172.18.1.3/24");
  right.address("vx40", "192.168.77.1/32");
  const file0 = "file0: { mode: vxlan, id: 7, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.7.0.1/24] }";
  daemon = await RunningDaemon.start(left, `{ ${file0} }`);
});

afterAll(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  container = await startContainer();
  ok(`link add vxlan0 type ${MADE}`);
});

afterEach(async () => {
  vtepctl("link del vxlan0");
  vtepctl("detach file0");
  await container.stop();
});

describe("attach", () => {
  it("does S0c in one line: into a container by process, up, with an address and a default route that wins", () => {
    ok(`attach vxlan0 --pid ${container.pid} address 172.18.1.2/24 default`);
    expect(here("vxlan0")).toBe(false);
    expect(inside("ping -c 2 -i 0.2 -W 2 172.18.1.3").stdout).toContain(" 0% packet loss");
    expect(inside("ping -c 1 -W 2 192.168.77.1").stdout).toContain(" 0% packet loss");
    expect(inside("ip route show default").stdout.split("\n")[0]).toMatch(/^default dev vxlan0 /);
    ok("detach vxlan0");
    expect(here("vxlan0")).toBe(true);
    expect(inside("ip route show default").stdout).toBe("default via 172.17.0.1 dev eth0 \n");
    expect(vtepctl("detach vxlan0")).toMatchObject({ status: 2, stderr: expect.stringContaining("not attached") });
  });

  it("takes the addresses along that the device has; routes by a gateway; both families", () => {
    for (const address of ["172.18.1.2/24", "2001:db8:18::2/64"]) left.ip("address", "add", address, "dev", "vxlan0");
    ok(`attach vxlan0 pid ${container.pid} default`);
    const lines = inside("ip -o address show dev vxlan0").stdout;
    expect(lines).toContain("172.18.1.2/24");
    expect(lines).toContain("2001:db8:18::2/64");
    expect(inside("ip -6 route show default").stdout).toMatch(/^default dev vxlan0 metric 512 /);
    ok("detach vxlan0");
    ok(`attach vxlan0 pid ${container.pid} address 172.18.1.2/24 route 10.9.0.0/16 route 10.8.0.0/16 via 172.18.1.3`);
    expect(inside("ip route show 10.8.0.0/16").stdout).toMatch(/^10\.8\.0\.0\/16 via 172\.18\.1\.3 dev vxlan0/);
    expect(inside("ip route show 10.9.0.0/16").stdout).toMatch(/^10\.9\.0\.0\/16 via 172\.18\.1\.3 dev vxlan0/);
  });

  it("asks docker for the container's process, and says what docker says", () => {
    docker(container.pid);
    ok("attach vxlan0 docker web");
    expect(there("vxlan0")).toBe(true);
    ok("detach vxlan0");
    expect(vtepctl("attach vxlan0 --docker nope")).toMatchObject({
      status: 2,
      stderr: "vtepctl: docker inspect nope: Error: No such object: nope\n",
    });
    docker(undefined);
    expect(vtepctl("attach vxlan0 --docker web").stderr).toBe("vtepctl: container web is not running\n");
    expect(vtepctl("attach vxlan0 --podman web").stderr).toMatch(/^vtepctl: podman is not there; name a process/);
    expect(here("vxlan0")).toBe(true);
  });

  it("leaves everything as it was when a step fails", () => {
    left.ip("address", "add", "172.18.1.2/24", "dev", "vxlan0");
    left.ip("link", "set", "vxlan0", "up");
    left.ip("route", "add", "10.33.0.0/16", "via", "172.18.1.3", "dev", "vxlan0");
    const before = state();
    const failed = vtepctl(
      `attach vxlan0 pid ${container.pid} address 172.18.1.9/24 route 10.9.0.0/16 via 203.0.113.1`,
    );
    expect(failed).toMatchObject({ status: 2, stderr: expect.stringMatching(/^vtepctl: .*[Nn]exthop/) });
    expect(state()).toEqual(before);
    expect(there("vxlan0")).toBe(false);
    inside("ip link add vxlan0 type bridge");
    expect(vtepctl(`attach vxlan0 pid ${container.pid}`).stderr).toBe(
      "vtepctl: File exists: there is a device vxlan0 already\n",
    );
    expect(vtepctl("attach vxlan0 pid 4000000").stderr).toContain("there is no process 4000000");
    expect(vtepctl("attach vxlan0 netns nowhere").stderr).toContain('Cannot open network namespace "nowhere"');
    expect(vtepctl("attach vxlan0")).toMatchObject({ status: 1 });
    expect(state()).toEqual(before);
  });

  it("a container that ends: a tunnel by hand goes with its device, one of the file comes back home", async () => {
    ok(`attach file0 pid ${container.pid}`);
    expect(inside("ip -o address show dev file0").stdout).toContain("10.7.0.1/24");
    ok(`attach vxlan0 pid ${container.pid}`);
    await container.stop();
    await waitFor(() => here("file0"), { what: "file0 at home", timeoutMs: 20_000 });
    await waitFor(() => vtepctl("link show vxlan0").status === 2, { what: "no vxlan0", timeoutMs: 20_000 });
    await waitFor(() => left.exec("ip", ["-o", "address", "show", "file0"]).stdout.includes("10.7.0.1/24"), {
      what: "its address",
    });
  });
});

describe("a device that somebody has moved", () => {
  it("link set goes to where it is, and -n sees the devices of its namespace only", () => {
    const other = lab.host("other");
    const namespace = left.exec("ip", ["link", "set", "vxlan0", "netns", String(container.pid)]);
    expect(namespace.status).toBe(0);
    ok("link set vxlan0 mtu 1300 up");
    expect(inside("ip link show vxlan0").stdout).toMatch(/<.*UP.*> mtu 1300 /);
    const names = (line: string): string[] =>
      (JSON.parse(ok(line)) as { ifname: string }[]).map(({ ifname }) => ifname).sort();
    const path = `/proc/${container.pid}/ns/net`;
    expect(names(`-n ${path} -br -j link show`)).toEqual(["vxlan0"]);
    expect(names(`-n /proc/${daemon.child.pid}/ns/net -br -j link show`)).toEqual(["file0"]);
    expect(names("-br -j link show")).toEqual(["file0", "vxlan0"]);
    expect(names(`-n ${path} -j link show vxlan0`)).toEqual(["vxlan0"]);
    for (const line of ["link show file0", "link set file0 up", "link set file0 type vxlan ttl 9", "link del file0"]) {
      expect(vtepctl(`-n ${path} ${line}`).stderr).toBe('vtepctl: Cannot find device "file0"\n');
    }
    expect(vtepctl("-n nowhere link show").stderr).toContain('Cannot open network namespace "nowhere"');
    // A namespace of its own sees no device of ours.
    expect(names(`-n /proc/${other.spawn("sleep", ["infinity"]).pid}/ns/net -br -j link show`)).toEqual([]);
    ok(`-n ${path} link del vxlan0`);
    expect(there("vxlan0")).toBe(false);
  });
});
