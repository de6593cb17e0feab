/**
 * The underlay changes under a running tunnel, and the tunnel recovers by itself.
 *
 *   left: vtepd, ov0 10.42.0.1 --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 right: the kernel's vxlan
 */
import { release } from "node:os";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { recoveredOnTheWhole, within } from "../support/recovery.ts";
import { type UnixAnswer, unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const FAMILIES = {
  IPv4: { prefix: 24, address: (n: number) => `192.0.2.${n}` },
  IPv6: { prefix: 64, address: (n: number) => `2001:db8::${n}` },
} as const;
type Family = keyof typeof FAMILIES;

const STATIC_MAC = "02:00:00:00:00:77";

const [major, minor] = release().split(".").map(Number);
const isOldKernel = major! < 6 || (major === 6 && minor! < 17);

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;

const wire = (): void => {
  lab.wire(left, "eth0", right, "eth0");
  for (const [host, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    for (const { address, prefix } of Object.values(FAMILIES)) host.address("eth0", `${address(n)}/${prefix}`);
  }
};

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  wire();
});
afterEach(() => lab.close());

const kernelPeer = (family: Family): void => {
  const { address } = FAMILIES[family];
  const options = `id 42 dstport 4789 local ${address(2)} remote ${address(1)}`.split(" ");
  right.ip("link", "add", "ov0", "type", "vxlan", ...options);
  right.address("ov0", "10.42.0.2/24");
};

/** A tunnel to the kernel's peer that has learned from it, with a static entry and a flood list of its own. */
const start = async (family: Family, keys: string, settings: { daemon?: string } = {}): Promise<void> => {
  const { address } = FAMILIES[family];
  kernelPeer(family);
  const fdb = `fdb: [{ mac: "${STATIC_MAC}", dst: "${address(2)}" }]`;
  const tunnel = `{ ov0: { mode: vxlan, id: 42, remote: "${address(2)}", addresses: [10.42.0.1/24], ${fdb}${keys} } }`;
  daemon = await RunningDaemon.start(left, tunnel, { workers: 2, ...settings });
  await waitFor(answers, { what: "the first answer" });
  await waitFor(() => daemon.learned("ov0").length === 1, { what: "a learned MAC" });
};

const answers = (): boolean => left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]).status === 0;

const recovers = (): Promise<void> => within(answers, "an answer");

interface UnderlayJson {
  readonly vtepd: { readonly underlay: { readonly state: string; readonly code?: string; readonly reason?: string } };
}
const underlay = (): UnderlayJson["vtepd"]["underlay"] =>
  daemon.json<UnderlayJson[]>("link", "show", "ov0")[0]!.vtepd.underlay;
const readiness = (): Promise<UnixAnswer> => unixHttp({ socket: daemon.socket, path: "/readyz" });
const degraded = (code: string): Promise<boolean> =>
  waitFor(() => underlay().code === code, { what: () => `${code}, now ${JSON.stringify(underlay())}` });

/** How often the log says so. */
const said = (pattern: RegExp): number => daemon.child.stdout.match(new RegExp(pattern, "g"))?.length ?? 0;
const saidOnce = async (code: string): Promise<void> => {
  await daemon.child.waitForOutput(/underlay is back/);
  expect(said(/underlay is missing/)).toBe(1);
  expect(said(new RegExp(code))).toBe(1);
  expect(said(/underlay is back/)).toBe(1);
  expect(said(/ERROR|underlay has changed/)).toBe(0);
  expect(underlay()).toEqual({ state: "up" });
};

/** FDB and flood list, without ages. */
const entries = (): string[] =>
  daemon
    .fdb("ov0")
    .map(({ mac, dst, state }) => `${mac} ${dst} ${state}`)
    .sort();

const recreate = (): void => {
  left.ip("link", "del", "eth0");
  wire();
};

describe.each(["IPv4", "IPv6"] as const)("%s", (family) => {
  const { address, prefix } = FAMILIES[family];
  const bits = family === "IPv4" ? 32 : 128;
  const own = `${address(1)}/${prefix}`;

  it.each([
    ["local address configured", `, local: "${address(1)}"`],
    ["local address by route", ""],
    ["pinned to the interface", ", link: eth0"],
  ])("the interface goes down and comes up again; %s", async (_what, keys) => {
    await start(family, keys);
    const before = entries();
    left.ip("link", "set", "eth0", "down");
    await waitFor(() => underlay().state === "degraded", { what: "degraded" });
    if (keys.includes("link")) expect(underlay().code).toBe("ERR_INTERFACE_DOWN");
    expect(answers()).toBe(false);
    expect(await readiness()).toMatchObject({ status: 503, text: expect.stringMatching(/^ov0: /) });
    left.ip("link", "set", "eth0", "up");
    // Linux forgets IPv6 addresses of an interface that goes down; whoever configured it gives them again.
    if (family === "IPv6") left.ip("address", "replace", own, "dev", "eth0", "nodad");
    await recovers();
    await waitFor(async () => (await readiness()).text === "ok\n", { what: "readiness" });
    await saidOnce("ERR_");
    expect(entries()).toEqual(before);
  });

  it.each([
    ["local address configured", `, local: "${address(1)}"`],
    ["local address by route", ""],
    ["pinned to the interface", ", link: eth0"],
  ])("the interface is deleted and made again; %s", async (_what, keys) => {
    await start(family, keys);
    const before = entries();
    left.ip("link", "del", "eth0");
    await waitFor(() => underlay().state === "degraded", { what: "degraded" });
    if (keys.includes("link")) expect(underlay().code).toBe("ERR_INTERFACE_NOT_FOUND");
    wire();
    await recovers();
    await saidOnce("ERR_");
    expect(entries()).toEqual(before);
  });

  it("the interface is made again before anybody has noticed", async () => {
    await start(family, ", link: eth0");
    const before = entries();
    recreate();
    await recovers();
    expect(entries()).toEqual(before);
    expect(underlay()).toEqual({ state: "up" });
  });

  it("the local address vanishes and comes back", async () => {
    left.address("eth0", `${address(9)}/${prefix + 1}`); // the route stays
    await start(family, `, local: "${address(1)}"`);
    const before = entries();
    left.ip("address", "del", own, "dev", "eth0");
    await degraded("ERR_ADDRESS_NOT_LOCAL");
    expect(answers()).toBe(false);
    // The kernel refuses IPv4 packets from an address that it does not have, and sends IPv6 ones.
    expect(Object.keys(daemon.drops("encap"))).toEqual(family === "IPv4" ? ["ip_outnoroutes"] : []);
    left.ip("address", "add", own, "dev", "eth0", ...(family === "IPv6" ? ["nodad"] : []));
    await recovers();
    await saidOnce("ERR_ADDRESS_NOT_LOCAL");
    expect(entries()).toEqual(before);
  });

  it("the address moves, and the tunnel that found it by route moves with it", async () => {
    await start(family, "");
    const before = entries();
    left.ip("address", "del", own, "dev", "eth0");
    left.address("eth0", `${address(3)}/${prefix}`);
    await recovers();
    const sockets = (): string => left.run("ss", ["-Hlun"]);
    await waitFor(() => sockets().includes(address(3)), { what: "sockets on the new address" });
    await waitFor(() => !sockets().includes(`${address(1)}:`), { what: "the end of those on the old one" });
    expect(entries()).toEqual(before);
    expect(daemon.stats().links[0]!.remotes.map((remote) => remote.address)).toEqual([address(2)]);
    await waitFor(() => said(/underlay has changed|underlay is back/) === 1, { what: "a line in the log" });
  });

  it("the cable is pulled and plugged in again", async () => {
    await start(family, ", link: eth0");
    const before = entries();
    right.ip("link", "set", "eth0", "down");
    await degraded("ERR_INTERFACE_DOWN");
    expect(underlay().reason).toContain("no carrier");
    right.ip("link", "set", "eth0", "up");
    if (family === "IPv6") right.address("eth0", `${address(2)}/${prefix}`);
    await recovers();
    await saidOnce("ERR_INTERFACE_DOWN");
    expect(entries()).toEqual(before);
  });

  it.each([
    ["local address configured", `, local: "${address(1)}"`],
    ["local address by route", ""],
  ])("the route vanishes and comes back; %s", async (_what, keys) => {
    await start(family, keys);
    const before = entries();
    left.ip("route", "add", "unreachable", `${address(2)}/${bits}`);
    await degraded("ERR_NO_ROUTE");
    expect(answers()).toBe(false);
    left.ip("route", "del", "unreachable", `${address(2)}/${bits}`);
    await recovers();
    await saidOnce("ERR_NO_ROUTE");
    expect(entries()).toEqual(before);
  });

  it("the route moves to another interface, and the address found by it", async () => {
    const other = family === "IPv4" ? ["198.51.100.1/24", "198.51.100.2/24"] : ["2001:db8:1::1/64", "2001:db8:1::2/64"];
    lab.wire(left, "eth1", right, "eth1");
    left.address("eth1", other[0]!);
    right.address("eth1", other[1]!);
    await start(family, "");
    const before = entries();
    const mac: string = left.ipJson("link", "show", "ov0")[0].address;
    // The kernel keeps the way to a VTEP with the learned entry, also when that has moved: over IPv6 it asks for us on eth0
    // until any of its routes changes. So it learns anew.
    const afresh = (): boolean => answers() || right.exec("bridge", ["fdb", "del", mac, "dev", "ov0"]).status === -1;
    left.ip("route", "replace", `${address(2)}/${bits}`, "via", other[1]!.split("/")[0]!);
    await within(afresh, "an answer");
    await daemon.child.waitForOutput(/underlay has changed/);
    expect(said(/underlay/)).toBe(1);
    expect(entries()).toEqual(before);
    await within(afresh, "an answer");
    const source = other[0]!.split("/")[0]!;
    await waitFor(() => left.run("ss", ["-Hlun"]).includes(source), { what: `sockets on ${source}` });
  });
});

it("link-local addresses have the scope of the interface that was made again", async () => {
  // Behind a switch, so that the kernel's device on the right keeps its own.
  left.ip("link", "del", "eth0");
  const hub = lan(lab, [
    { host: left, addresses: [] },
    { host: right, addresses: ["fe80::2/64"] },
  ]);
  left.ip("address", "add", "fe80::1/64", "dev", "eth0", "nodad");
  const options = "id 42 dstport 4789 local fe80::2 remote fe80::1 dev eth0".split(" ");
  right.ip("link", "add", "ov0", "type", "vxlan", ...options);
  right.address("ov0", "10.42.0.2/24");
  const keys = "local: fe80::1, remote: fe80::2, link: eth0, addresses: [10.42.0.1/24]";
  daemon = await RunningDaemon.start(left, `{ ov0: { mode: vxlan, id: 42, ${keys} } }`);
  await waitFor(answers, { what: "the first answer" });
  const { ifindex, address } = left.ipJson("link", "show", "eth0")[0];
  left.ip("link", "del", "eth0");
  await degraded("ERR_INTERFACE_NOT_FOUND");
  lab.wire(left, "eth0", hub, "to-left");
  left.ip("link", "set", "eth0", "address", address);
  hub.ip("link", "set", "to-left", "master", "br0");
  left.ip("address", "replace", "fe80::1/64", "dev", "eth0", "nodad");
  expect(left.ipJson("link", "show", "eth0")[0].ifindex).not.toBe(ifindex);
  await recovers();
  await saidOnce("ERR_INTERFACE_NOT_FOUND");
});

it("the local address is still tentative when it comes back", async () => {
  await start("IPv6", ', local: "2001:db8::1"');
  left.ip("address", "del", "2001:db8::1/64", "dev", "eth0");
  await degraded("ERR_ADDRESS_NOT_LOCAL");
  left.sysctl("net.ipv6.conf.eth0.accept_dad", 1);
  left.ip("address", "add", "2001:db8::1/64", "dev", "eth0");
  await waitFor(() => !left.ip("address", "show", "dev", "eth0", "tentative").includes("2001:db8::1"), {
    what: "the end of the duplicate address detection",
  });
  await recovers();
  await saidOnce("ERR_ADDRESS_NOT_LOCAL");
});

describe.skipIf(isOldKernel)("in offload tier tunnel", () => {
  beforeEach(() => {
    left.sysctl("net.ipv4.conf.all.rp_filter", 0);
  });

  const startTunnel = async (keys: string): Promise<string[]> => {
    await start("IPv4", keys, { daemon: "offload: tunnel" });
    expect(uplinks()).toHaveLength(1);
    return entries();
  };
  const uplinks = (): string[] =>
    left
      .ipJson("link", "show")
      .map(({ ifname }: { ifname: string }) => ifname)
      .filter((name: string) => name.startsWith("vtepup"));

  it.each([
    ["local address configured", ", local: 192.0.2.1"],
    ["local address by route", ""],
  ])("the interface is deleted and made again; %s", async (_what, keys) => {
    const before = await startTunnel(keys);
    left.ip("link", "del", "eth0");
    await waitFor(() => underlay().state === "degraded", { what: "degraded" });
    wire();
    await recovers();
    await saidOnce("ERR_");
    expect(entries()).toEqual(before);
    expect(uplinks()).toHaveLength(1);
  });

  it("the address moves, and the uplink's packets have it as their source", async () => {
    const before = await startTunnel("");
    left.ip("address", "del", "192.0.2.1/24", "dev", "eth0");
    left.address("eth0", "192.0.2.3/24");
    const capture = right.spawn("tcpdump", ["-l", "-n", "-i", "eth0", "udp port 4789 and src 192.0.2.3"]);
    await capture.waitForOutput(/listening on/);
    await daemon.child.waitForOutput(/underlay has changed|underlay is back/);
    await waitFor(
      () => {
        left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.2"]);
        return capture.stdout.includes("VXLAN");
      },
      { what: "a packet from the new address" },
    );
    right.ip("link", "set", "ov0", "type", "vxlan", "remote", "192.0.2.3");
    await recovers();
    expect(entries()).toEqual(before);
    expect(uplinks()).toHaveLength(1);
  });
});

it("recovers at changes, not at the next look", () => recoveredOnTheWhole());
