/**
 * A route to a remote VTEP that leads back into the tunnel: refused at the start and over the control socket, and when it
 * comes later nothing is sent there until it is right again.
 *
 *   left: vtepd, ov0 10.42.0.1 --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 right: the kernel's vxlan
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { DnsServer } from "../support/dns-server.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { within } from "../support/recovery.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const STATIC_MAC = "02:00:00:00:00:77";
const FAMILIES = {
  IPv4: { address: (n: number) => `192.0.2.${n}`, bits: 32, overhead: 50 },
  IPv6: { address: (n: number) => `2001:db8::${n}`, bits: 128, overhead: 70 },
} as const;

let lab: Lab;
let left: Host;
let right: Host;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0");
  for (const [host, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    host.address("eth0", `192.0.2.${n}/24`);
    host.address("eth0", `2001:db8::${n}/64`);
  }
});
afterEach(() => lab.close());

const kernelPeer = (name: string, vni: number, options: string, address: string): void => {
  right.ip("link", "add", name, "type", "vxlan", ...`id ${vni} dstport 4789 ${options}`.split(" "));
  right.address(name, address);
};

const answers = (address = "10.42.0.2"): boolean => left.exec("ping", ["-c", "1", "-W", "0.2", address]).status === 0;

interface LinkRow {
  readonly mtu: number;
  readonly vtepd: { readonly underlay: { readonly state: string; readonly code?: string; readonly reason?: string } };
}
const linkOf = (daemon: RunningDaemon, name = "ov0"): LinkRow => daemon.json<LinkRow[]>("link", "show", name)[0]!;
const isRecursive = (daemon: RunningDaemon, name = "ov0"): boolean =>
  linkOf(daemon, name).vtepd.underlay.code === "ERR_ROUTE_RECURSION";
const entries = (daemon: RunningDaemon): string[] =>
  daemon
    .fdb("ov0")
    .map(({ mac, dst, state }) => `${mac} ${dst} ${state}`)
    .sort();
const said = (daemon: RunningDaemon, pattern: RegExp): number =>
  daemon.child.stdout.match(new RegExp(pattern, "g"))?.length ?? 0;

/** What the device has to carry: in a loop it would be more and more. */
const carried = (host: Host, name: string): number => host.ipJson("-s", "link", "show", name)[0].stats64.tx.packets;

describe("at the start", () => {
  it.each([
    ["the tunnel's own address covers the remote VTEP", "10.42.0.2", "local: 192.0.2.1, mtu: 1450"],
    ["also where the host finds the way otherwise", "10.42.0.2", "local: 192.0.2.1"],
    ["over IPv6", "fd42::2", 'local: "2001:db8::1", mtu: 1430'],
  ])("is refused: %s", async (_what, remote, keys) => {
    left.ip("route", "add", "default", "via", "192.0.2.2");
    left.ip("route", "add", "default", "via", "2001:db8::2");
    const addresses = 'addresses: [10.42.0.1/24, "fd42::1/64"]';
    const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: "${remote}", ${addresses}, ${keys} } }`;
    const { child } = RunningDaemon.launch(left, tunnel);
    const { code } = await child.exited;
    expect(code).toBe(2);
    expect(child.stdout + child.stderr).toMatch(/ERR_ROUTE_RECURSION/);
    expect(child.stdout + child.stderr).toContain(
      `tunnels.ov0: expected a route to the remote VTEP ${remote} that leads out, got one back into the tunnel, through the device ov0`,
    );
    expect(left.exec("ip", ["link", "show", "ov0"]).status).not.toBe(0);
  });

  it("is found where tunnels of ours carry each other", async () => {
    const one = "one: { mode: vxlan, id: 1, local: 192.0.2.1, remote: 10.2.0.2, mtu: 1400, addresses: [10.1.0.1/24] }";
    const two = "two: { mode: vxlan, id: 2, local: 192.0.2.1, remote: 10.1.0.2, mtu: 1400, addresses: [10.2.0.1/24] }";
    const { child } = RunningDaemon.launch(left, `{ ${one}, ${two} }`);
    expect((await child.exited).code).toBe(2);
    expect(child.stdout + child.stderr).toMatch(/ERR_ROUTE_RECURSION.*10\.2\.0\.2.*device two/s);
  });
});

describe("over the control socket", () => {
  it.each([
    ["an FDB entry", ["fdb", "add", "02:00:00:00:00:05", "dev", "ov0", "dst", "10.42.0.9"]],
    ["a member of the flood list", ["flood", "add", "dev", "ov0", "dst", "10.42.0.9"]],
    ["a whole flood list", ["flood", "set", "dev", "ov0", "dst", "192.0.2.3", "dst", "10.42.0.9"]],
  ])("is refused: %s", async (_what, words) => {
    const tunnel = "{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }";
    const daemon = await RunningDaemon.start(left, tunnel);
    const before = entries(daemon);
    const { status, stderr } = daemon.vtepctl(...words);
    expect(status).toBe(2);
    expect(stderr).toContain("expected a route to the remote VTEP 10.42.0.9 that leads out");
    expect(stderr).toContain("through the device ov0");
    expect(entries(daemon)).toEqual(before);
    // What is right is still taken.
    expect(daemon.vtepctl("flood", "add", "dev", "ov0", "dst", "192.0.2.3").status).toBe(0);
  });
});

describe.each(["IPv4", "IPv6"] as const)("when it comes later, %s", (family) => {
  const { address, bits, overhead } = FAMILIES[family];

  it.each([
    ["local address configured", `, local: "${address(1)}"`],
    ["local address by route", ""],
  ])("nothing is sent there until it is right again; %s", async (_what, keys) => {
    kernelPeer("ov0", 42, `local ${address(2)} remote ${address(1)}`, "10.42.0.2/24");
    const fdb = `fdb: [{ mac: "${STATIC_MAC}", dst: "${address(2)}" }]`;
    const overlay = '[10.42.0.1/24, "fd42::1/64"]';
    const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: "${address(2)}", addresses: ${overlay}, ${fdb}${keys} } }`;
    const daemon = await RunningDaemon.start(left, tunnel, { workers: 2 });
    await waitFor(answers, { what: "the first answer" });
    const before = entries(daemon);
    left.ip("neigh", "replace", address(2), "lladdr", STATIC_MAC, "dev", "ov0");
    left.ip("route", "add", `${address(2)}/${bits}`, "dev", "ov0");
    await within(() => isRecursive(daemon), "the loop to be noticed");
    expect(linkOf(daemon).vtepd.underlay.reason).toContain(`${address(2)} that leads out`);
    expect(answers()).toBe(false);
    await sleep(300);
    const packets = carried(left, "ov0");
    const dropped = daemon.drops("encap")["route_recursion"]!;
    expect(dropped).toBeGreaterThan(0);
    left.exec("ping", ["-c", "3", "-i", "0.2", "-W", "0.2", "10.42.0.2"]);
    expect(carried(left, "ov0") - packets).toBeLessThan(10); // each ping once, and ARP
    expect(daemon.drops("encap")["route_recursion"]! - dropped).toBeGreaterThanOrEqual(3);
    // A tunnel that followed its own device would shrink it, and move to its address.
    expect(linkOf(daemon).mtu).toBe(1500 - overhead);
    expect(left.run("ss", ["-Hlun"])).toContain(`${family === "IPv4" ? address(1) : `[${address(1)}]`}:4789`);
    left.ip("route", "del", `${address(2)}/${bits}`, "dev", "ov0");
    await within(answers, "an answer");
    await daemon.child.waitForOutput(/routes lead out again/);
    expect(linkOf(daemon).vtepd.underlay).toEqual({ state: "up" });
    expect(entries(daemon)).toEqual(before);
    expect(said(daemon, /a route leads back into the tunnel/)).toBe(1);
    expect(said(daemon, /routes lead out again/)).toBe(1);
    expect(said(daemon, /underlay is missing|device MTU follows|underlay has changed|ERROR/)).toBe(0);
    const { path_mtu: pathMtu } = daemon.stats().links[0]!.remotes[0] as unknown as { path_mtu: number };
    expect(pathMtu).toBe(1500);
  });
});

it("the underlay's interface goes, and what is left is a default route into the tunnel", async () => {
  kernelPeer("ov0", 42, "local 192.0.2.2 remote 192.0.2.1", "10.42.0.2/24");
  const tunnel = "{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }";
  const daemon = await RunningDaemon.start(left, tunnel);
  await waitFor(answers, { what: "the first answer" });
  left.ip("route", "add", "default", "via", "10.42.0.2");
  left.ip("link", "set", "eth0", "down");
  await within(() => isRecursive(daemon), "the loop to be noticed");
  left.ip("link", "set", "eth0", "up");
  await within(answers, "an answer");
  await waitFor(() => linkOf(daemon).vtepd.underlay.state === "up", { what: "up" });
  expect(said(daemon, /a route leads back into the tunnel/)).toBe(1);
});

it("tunnels inside tunnels are no loop until the outer one goes through the inner", async () => {
  kernelPeer("outer", 1, "local 192.0.2.2 remote 192.0.2.1", "10.1.0.2/24");
  right.ip("link", "set", "outer", "mtu", "1450");
  const outer = "outer: { mode: vxlan, id: 1, remote: 192.0.2.2, addresses: [10.1.0.1/24] }";
  // The inner one's way is there only when the outer one is: so it is told its own address and MTU.
  const inner =
    "inner: { mode: vxlan, id: 2, local: 192.0.2.1, remote: 10.1.0.2, mtu: 1400, addresses: [10.2.0.1/24] }";
  const daemon = await RunningDaemon.start(left, `{ ${outer}, ${inner} }`);
  await waitFor(() => answers("10.1.0.2"), { what: "the outer tunnel" });
  expect([isRecursive(daemon, "outer"), isRecursive(daemon, "inner")]).toEqual([false, false]);
  left.ip("route", "add", "192.0.2.2/32", "dev", "inner");
  await within(() => isRecursive(daemon, "outer") && isRecursive(daemon, "inner"), "the loop to be noticed");
  left.ip("route", "del", "192.0.2.2/32", "dev", "inner");
  await within(() => answers("10.1.0.2"), "an answer");
  await waitFor(() => !isRecursive(daemon, "outer") && !isRecursive(daemon, "inner"), { what: "no loop" });
});

it("a device in another namespace is told from one of the same number", async () => {
  const inner = lab.host("inner");
  const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.2, netns: ${inner.netns}, addresses: [10.42.0.1/24] } }`;
  const daemon = await RunningDaemon.start(left, tunnel);
  const ifindex = inner.ipJson("link", "show", "ov0")[0].ifindex as number;
  left.ip("link", "add", "br0", "index", String(ifindex), "type", "bridge");
  left.ip("link", "set", "br0", "up");
  left.ip("route", "add", "192.0.2.2/32", "dev", "br0", "mtu", "1400");
  await within(() => inner.ipJson("link", "show", "ov0")[0].mtu === 1350, "the MTU of the route");
  expect(said(daemon, /leads back/)).toBe(0);
});

it("the addresses of host names are looked at as others are, also those that come later", async () => {
  right.address("eth0", "192.0.2.53/24");
  const dns = await DnsServer.start(right, "192.0.2.53");
  await dns.set("vtep.example", ["192.0.2.2"], 1);
  await dns.set("back.example", ["10.42.0.9"], 1);
  const keys = "local: 192.0.2.1, remote: vtep.example, addresses: [10.42.0.1/24]";
  const daemon = await RunningDaemon.start(left, `{ ov0: { mode: vxlan, id: 42, ${keys} } }`, {
    daemon: "resolver: [192.0.2.53]",
  });
  const { status, stderr } = daemon.vtepctl("flood", "add", "dev", "ov0", "dst", "back.example");
  expect([status, stderr]).toEqual([2, expect.stringContaining("remote VTEP 10.42.0.9 that leads out")]);
  await dns.set("vtep.example", ["10.42.0.8"], 1);
  await daemon.child.waitForOutput(/host name has other addresses/, 20_000);
  left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]);
  await waitFor(() => (daemon.drops("encap")["route_recursion"] ?? 0) > 0, { what: "a refused copy" });
});

it("nothing is sent to a VTEP that nobody named when the way to it leads back", async () => {
  kernelPeer("ov0", 42, "local 198.51.100.2 remote 192.0.2.1", "10.42.0.2/24");
  right.address("eth0", "198.51.100.2/32");
  const keys = "local: 192.0.2.1, mtu: 1400, accept: any, addresses: [10.42.0.1/24]";
  const daemon = await RunningDaemon.start(left, `{ ov0: { mode: vxlan, id: 42, ${keys} } }`);
  left.ip("route", "add", "198.51.100.2/32", "dev", "ov0");
  await waitFor(
    () => {
      right.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.1"]);
      return (daemon.drops("encap")["route_recursion"] ?? 0) > 0;
    },
    { what: "a refused answer" },
  );
  expect(daemon.learned("ov0")).toHaveLength(1);
  await within(() => isRecursive(daemon), "the loop to be noticed");
});
