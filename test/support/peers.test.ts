import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Host } from "./host.ts";
import { Lab } from "./lab.ts";
import { OvsPeer } from "./ovs-peer.ts";
import { QemuPeer } from "./qemu-peer.ts";
import { UmlPeer } from "./uml-peer.ts";
import { waitFor } from "./wait-for.ts";

let lab: Lab;
let host: Host;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
  vi.stubEnv("TMPDIR", folder);
  lab = Lab.create();
  host = lab.host("left");
});
afterEach(async () => {
  await lab.close();
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Pids of a program in this test's own pid namespace, where nobody waits for orphans: zombies do not count. */
const pidsOf = (program: string): number[] =>
  execFileSync("ps", ["-eo", "pid=,stat=,comm="], { encoding: "utf8" })
    .split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter(([, state, name]) => name?.includes(program) === true && state?.startsWith("Z") === false)
    .map(([pid]) => Number(pid));

const nothingLeft = async (program: string): Promise<void> => {
  await waitFor(() => pidsOf(program).length === 0, { what: `the end of ${program}` });
  expect(readdirSync(folder)).toEqual([]);
};

describe("a peer under emulation", () => {
  it("runs lines, is reached through its TAP, has fou and GUE, and leaves nothing behind", async () => {
    host.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
    host.address("to-guest", "192.0.2.1/24");
    const guest = await QemuPeer.start(host, "to-guest");
    expect(await guest.exec("echo out; echo err >&2; exit 3")).toEqual({ status: 3, output: "out\nerr\n" });
    await guest.run("ip address add 192.0.2.2/24 dev eth0");
    expect(host.run("ping", ["-c", "1", "-w", "10", "192.0.2.2"])).toContain("1 received");
    await guest.run("ip fou add port 5555 ipproto 4 && ip fou add port 6080 gue");
    const tunnel = "type ipip local 192.0.2.2 remote 192.0.2.1 ttl 64 encap gue encap-sport auto encap-dport 6080";
    expect(await guest.run(`ip link add ov0 ${tunnel} && ip -d link show ov0`)).toContain("encap gue");
    await guest.stop();
    await nothingLeft("qemu-system");
  });
});

describe("a user-mode-linux peer", () => {
  const boot = (): Promise<UmlPeer> => {
    host.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
    host.address("to-guest", "192.0.2.1/24");
    return UmlPeer.start(host, "to-guest");
  };

  it("runs lines with their status and output, is reached through its TAP, and leaves nothing behind", async () => {
    const guest = await boot();
    expect(await guest.exec("echo out; echo err >&2; exit 3")).toEqual({ status: 3, output: "out\nerr\n" });
    expect(await guest.run("uname -r")).toMatch(/^6\.1\./);
    await expect(guest.run("touch /etc/x")).rejects.toThrow("Read-only file system");
    await guest.run("ip address add 192.0.2.2/24 dev eth0");
    expect(host.run("ping", ["-c", "1", "-W", "5", "192.0.2.2"])).toContain("1 received");
    await guest.stop();
    await nothingLeft("linux.uml");
  });

  it("leaves nothing behind when its main process is killed", async () => {
    const guest = await boot();
    const pids = pidsOf("linux.uml");
    expect(pids.length).toBeGreaterThan(1); // it has helper processes
    process.kill(pids[0]!, "SIGKILL");
    await expect(guest.run("true")).rejects.toThrow("the guest has ended");
    await nothingLeft("linux.uml");
  });
});

it("an Open vSwitch peer answers on its underlay address and leaves nothing behind", async () => {
  const right = lab.host("right");
  lab.wire(host, "eth0", right, "eth0");
  host.address("eth0", "192.0.2.1/24");
  const ovs = await OvsPeer.start(right, "eth0", ["192.0.2.2/24"]);
  expect(host.run("ping", ["-c", "1", "-W", "5", "192.0.2.2"])).toContain("1 received");
  await ovs.stop();
  await nothingLeft("ovs");
});
