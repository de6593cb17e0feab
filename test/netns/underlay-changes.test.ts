/**
 * The underlay changes under a running tunnel, and the tunnel recovers by itself.
 *
 *   left: vtepd, ov0 10.42.0.1 --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 right: the kernel's vxlan
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const FAMILIES = {
  IPv4: { prefix: 24, address: (n: number) => `192.0.2.${n}` },
  IPv6: { prefix: 64, address: (n: number) => `2001:db8::${n}` },
} as const;
type Family = keyof typeof FAMILIES;

/** From the end of the cause to the first answer. */
const RECOVERY_MS = 2000;
const STATIC_MAC = "02:00:00:00:00:77";

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

const recovers = async (): Promise<void> => {
  const endedMs = performance.now();
  await waitFor(answers, { what: "an answer" });
  expect(performance.now() - endedMs).toBeLessThan(RECOVERY_MS);
};

interface UnderlayJson {
  readonly vtepd: { readonly underlay: { readonly state: string; readonly code?: string } };
}
const underlay = (): UnderlayJson["vtepd"]["underlay"] =>
  daemon.json<UnderlayJson[]>("link", "show", "ov0")[0]!.vtepd.underlay;
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
    left.ip("link", "set", "eth0", "up");
    // Linux forgets IPv6 addresses of an interface that goes down; whoever configured it gives them again.
    if (family === "IPv6") left.ip("address", "replace", own, "dev", "eth0", "nodad");
    await recovers();
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
    await start(family, `, local: "${address(1)}"`);
    const before = entries();
    left.ip("address", "del", own, "dev", "eth0");
    await degraded("ERR_ADDRESS_NOT_LOCAL");
    expect(answers()).toBe(false);
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
    await waitFor(() => left.run("ss", ["-Hlun"]).includes(address(3)), { what: "sockets on the new address" });
    expect(left.run("ss", ["-Hlun"])).not.toContain(`${address(1)}:`);
    expect(entries()).toEqual(before);
    expect(daemon.stats().links[0]!.remotes.map((remote) => remote.address)).toEqual([address(2)]);
    await waitFor(() => said(/underlay has changed|underlay is back/) === 1, { what: "a line in the log" });
  });

  it("the route moves to another interface, and the address found by it", async () => {
    const other = family === "IPv4" ? ["198.51.100.1/24", "198.51.100.2/24"] : ["2001:db8:1::1/64", "2001:db8:1::2/64"];
    lab.wire(left, "eth1", right, "eth1");
    left.address("eth1", other[0]!);
    right.address("eth1", other[1]!);
    await start(family, "");
    const before = entries();
    left.ip("route", "replace", `${address(2)}/${family === "IPv4" ? 32 : 128}`, "via", other[1]!.split("/")[0]!);
    await recovers();
    await daemon.child.waitForOutput(/underlay has changed/);
    expect(entries()).toEqual(before);
    await recovers();
    const source = other[0]!.split("/")[0]!;
    await waitFor(() => left.run("ss", ["-Hlun"]).includes(source), { what: `sockets on ${source}` });
  });
});

it("link-local addresses have the scope of the interface that was made again", async () => {
  for (const [host, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    host.ip("address", "add", `fe80::${n}/64`, "dev", "eth0", "nodad");
  }
  const options = "id 42 dstport 4789 local fe80::2 remote fe80::1 dev eth0".split(" ");
  right.ip("link", "add", "ov0", "type", "vxlan", ...options);
  right.address("ov0", "10.42.0.2/24");
  const keys = "local: fe80::1, remote: fe80::2, link: eth0, addresses: [10.42.0.1/24]";
  daemon = await RunningDaemon.start(left, `{ ov0: { mode: vxlan, id: 42, ${keys} } }`);
  await waitFor(answers, { what: "the first answer" });
  // Only the left end is another interface: the kernel's device on the right would not survive its own.
  left.ip("link", "set", "eth0", "name", "old0", "down");
  await degraded("ERR_INTERFACE_NOT_FOUND");
  left.ip("link", "set", "old0", "name", "eth0", "up");
  left.ip("address", "replace", "fe80::1/64", "dev", "eth0", "nodad");
  await recovers();
});
