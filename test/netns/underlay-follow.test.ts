/**
 * What follows the underlay: multicast memberships, the device's MTU, and the listener that tells of changes.
 *
 *   a: vtepd, ov0 10.42.0.1 --- eth0 192.0.2.1 / 2001:db8::1 --- switch --- eth0 192.0.2.2 / 2001:db8::2 b: the kernel's vxlan
 */
import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { within } from "../support/recovery.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

let lab: Lab;
let hub: Host;
let a: Host;
let b: Host;

const addresses = (n: number): string[] => [`192.0.2.${n}/24`, `2001:db8::${n}/64`];

beforeEach(() => {
  lab = Lab.create();
  [a, b] = [lab.host("a"), lab.host("b")];
  hub = lan(lab, [
    { host: a, addresses: addresses(1) },
    { host: b, addresses: addresses(2) },
  ]);
});
afterEach(() => lab.close());

/** The same card, since others remember its MAC. */
const plugInAgain = (macAddress: string): void => {
  lab.wire(a, "eth0", hub, "to-a");
  a.ip("link", "set", "eth0", "address", macAddress);
  hub.ip("link", "set", "to-a", "master", "br0");
  for (const address of addresses(1)) a.address("eth0", address);
};

const answers = (from: Host, n: number): boolean =>
  from.exec("ping", ["-c", "1", "-W", "0.2", `10.42.0.${n}`]).status === 0;

describe.each([
  ["IPv4", "239.1.1.1"],
  ["IPv6", "ff05::42"],
])("a multicast group, %s", (family, group) => {
  let daemon: RunningDaemon;

  /** Membership reports that the other host sees. */
  const listen = async (): Promise<() => number> => {
    const capture: Child = b.spawn("tcpdump", ["-l", "-n", "-v", "-i", "eth0", "igmp or ip6 proto 0"]);
    await capture.waitForOutput(/listening on/);
    return () => capture.stdout.split(`gaddr ${group} `).length - 1;
  };

  const ping = (): boolean => answers(b, 1) && answers(a, 2);

  beforeEach(async () => {
    b.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 dev eth0 group".split(" "), group);
    b.address("ov0", "10.42.0.2/24");
    const tunnel = `{ ov0: { mode: vxlan, id: 42, group: "${group}", link: eth0, addresses: [10.42.0.1/24] } }`;
    daemon = await RunningDaemon.start(a, tunnel, { workers: 2 });
    await waitFor(ping, { what: "the first answers" });
  });

  it("is joined again on an interface that was made again", async () => {
    const reports = await listen();
    const macAddress = a.ipJson("link", "show", "eth0")[0].address as string;
    a.ip("link", "del", "eth0");
    await daemon.child.waitForOutput(/ERR_INTERFACE_NOT_FOUND/);
    plugInAgain(macAddress);
    await within(ping, "answers both ways");
    await waitFor(() => reports() > 0, { what: "a report" });
    expect(a.ip("maddr", "show", "dev", "eth0")).toContain(group);
    expect(daemon.fdb("ov0").filter(({ mac }) => mac === "00:00:00:00:00:00")).toMatchObject([{ dst: group }]);
    await daemon.child.waitForOutput(/underlay is back/);
    expect(daemon.child.stdout.match(/underlay is/g)).toHaveLength(2);
    b.ip("neigh", "flush", "dev", "ov0"); // what is asked for next is flooded to the group
    expect(ping()).toBe(true);
  });

  it("is reported again when the interface comes up again", async () => {
    const reports = await listen();
    a.ip("link", "set", "eth0", "down");
    await daemon.child.waitForOutput(/underlay is missing/);
    a.ip("link", "set", "eth0", "up");
    for (const address of addresses(1)) a.ip("address", "replace", address, "dev", "eth0");
    await within(ping, "answers both ways");
    await waitFor(() => reports() > 0, { what: "a report" });
    await daemon.child.waitForOutput(/underlay is back/);
    expect(daemon.child.stdout.match(/underlay is/g)).toHaveLength(2);
  });

  if (family === "IPv4") return;

  it("is joined again after the interface has lost it", async () => {
    // Below its smallest MTU IPv6 leaves an interface, and takes its memberships along.
    a.ip("link", "set", "eth0", "mtu", "1279");
    await sleep(500);
    a.ip("link", "set", "eth0", "mtu", "1500");
    for (const address of addresses(1)) a.ip("address", "replace", address, "dev", "eth0", "nodad");
    await within(() => a.ip("maddr", "show", "dev", "eth0").includes(group), "the membership");
    await within(ping, "answers both ways");
  });
});

describe("the device's MTU", () => {
  const mtu = (host = a): number => host.ipJson("link", "show", "ov0")[0].mtu;
  const start = (family: "IPv4" | "IPv6", keys = ""): Promise<RunningDaemon> => {
    const remote = family === "IPv4" ? "192.0.2.2" : "2001:db8::2";
    const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: "${remote}", addresses: [10.42.0.1/24]${keys} } }`;
    return RunningDaemon.start(a, tunnel);
  };

  it.each([
    ["IPv4", 50, "192.0.2.2/32"],
    ["IPv6", 70, "2001:db8::2/128"],
  ] as const)("follows interface and route; %s", async (family, overhead, route) => {
    const daemon = await start(family);
    expect(mtu()).toBe(1500 - overhead);
    a.ip("link", "set", "eth0", "mtu", "1400");
    await within(() => mtu() === 1400 - overhead, "a smaller MTU");
    expect(daemon.json<{ mtu: number }[]>("link", "show", "ov0")[0]!.mtu).toBe(1400 - overhead);
    a.ip("route", "add", route, "dev", "eth0", "mtu", "1300");
    await within(() => mtu() === 1300 - overhead, "the MTU of the route");
    a.ip("route", "del", route, "dev", "eth0");
    a.ip("link", "set", "eth0", "mtu", "1500");
    await within(() => mtu() === 1500 - overhead, "the MTU of before");
    // A packet of that size also gets through, which the paths' limits of before would not have let it.
    const [near, far] = family === "IPv4" ? ["192.0.2.1", "192.0.2.2"] : ["2001:db8::1", "2001:db8::2"];
    b.ip("link", "add", "ov0", "type", "vxlan", ...`id 42 dstport 4789 local ${far} remote ${near}`.split(" "));
    b.address("ov0", "10.42.0.2/24");
    b.ip("link", "set", "ov0", "mtu", String(1500 - overhead));
    const largest = ["-c", "1", "-W", "0.2", "-M", "do", "-s", String(1500 - overhead - 28), "10.42.0.2"];
    await within(() => a.exec("ping", largest).status === 0, "an answer of full size");
    a.ip("link", "set", "eth0", "mtu", "9000");
    await within(() => mtu() === 9000 - overhead, "a larger MTU than at the start");
    await sleep(500);
    expect(daemon.child.stdout.match(/device MTU follows/g)!.length).toBeLessThanOrEqual(5);
    expect(daemon.child.stdout).not.toMatch(/underlay is missing|underlay has changed/);
  });

  it("follows into another namespace", async () => {
    const inner = lab.host("inner");
    await start("IPv4");
    a.ip("link", "set", "ov0", "netns", inner.netns);
    a.ip("link", "set", "eth0", "mtu", "1400");
    await within(() => mtu(inner) === 1350, "a smaller MTU");
  });

  it("is left alone when it is configured, or set by somebody else", async () => {
    await start("IPv4", ", mtu: 1200");
    a.ip("link", "set", "eth0", "mtu", "1400");
    await sleep(1000);
    expect(mtu()).toBe(1200);
    const daemon = await RunningDaemon.start(b, "{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.1 } }");
    b.ip("link", "set", "ov0", "mtu", "1000");
    b.ip("link", "set", "eth0", "mtu", "1400");
    await sleep(1000);
    expect(mtu(b)).toBe(1000);
    b.ip("link", "set", "ov0", "mtu", "1450"); // as we had given it
    b.ip("link", "set", "eth0", "mtu", "1300");
    await within(() => mtu(b) === 1250, "the MTU of the underlay");
    // Made again, it has the MTU of the underlay.
    b.ip("link", "set", "ov0", "mtu", "1000");
    b.ip("link", "del", "ov0");
    await daemon.child.waitForOutput(/device is back/);
    expect(mtu(b)).toBe(1250);
  });
});

describe("the listener", () => {
  let daemon: RunningDaemon;
  let home: Host;
  const children = (): number[] =>
    readFileSync(`/proc/${daemon.child.pid}/task/${daemon.child.pid}/children`, "utf8")
      .split(" ")
      .map(Number)
      .filter(Boolean);
  const listener = async (): Promise<number> => {
    const isListener = (pid: number): boolean =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("ip\0-o\0monitor");
    return waitFor(() => children().find(isListener), { what: "a listener" }) as Promise<number>;
  };
  const isAlive = (pid: number): boolean =>
    existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "";

  /** The end of the device, which goes with the daemon, is no change in the namespace that is listened to. */
  beforeEach(async () => {
    const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, underlay-netns: ${a.netns} } }`;
    home = lab.host("home");
    daemon = await RunningDaemon.start(home, tunnel);
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("ends with the daemon, %s", async (signal) => {
    const pid = await listener();
    daemon.child.signal(signal);
    await daemon.child.exited;
    await waitFor(() => !isAlive(pid), { what: "the end of the listener" });
  });

  it("is started again when it ends, and nothing that happens meanwhile is missed", async () => {
    const pid = await listener();
    process.kill(pid, "SIGKILL");
    a.ip("link", "set", "eth0", "mtu", "1400");
    await within(() => home.ipJson("link", "show", "ov0")[0].mtu === 1350, "the MTU of the underlay");
    expect(await listener()).not.toBe(pid);
  });
});
