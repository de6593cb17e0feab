/**
 *   left (ov0 10.42.0.1)                   right, other (vxlan0 10.42.0.2, .3, the kernel's)
 *     vtepd, ageing 2 s --- 192.0.2.1 === 192.0.2.2, 192.0.2.3
 *
 * One daemon, and `vtepctl monitor` beside it, to which things happen one after the other.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { EventJson } from "../../src/control/event-routes.ts";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const STATION = "02:00:00:00:00:77";

let lab: Lab;
let left: Host;
let right: Host;
let other: Host;
let daemon: RunningDaemon;
let monitor: Child;
/** The same in text, of MACs and of links alone. */
let ofMacs: Child;
let ofLinks: Child;

const events = (): EventJson[] =>
  monitor.stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as EventJson);

/** Waits until an event with these fields was told. */
const told = (wanted: Partial<Record<string, unknown>>, timeoutMs = 10_000): Promise<EventJson> =>
  waitFor(
    () =>
      events().find((event) =>
        Object.entries(wanted).every(([key, value]) => (event as Record<string, unknown>)[key] === value),
      ) as EventJson,
    { what: () => `${JSON.stringify(wanted)} in ${monitor.stdout.slice(-2000)}`, timeoutMs },
  );

const peer = (host: Host, local: string, inner: string): void => {
  host.ip(
    "link",
    "add",
    "vxlan0",
    "type",
    "vxlan",
    ..."id 42 dstport 4789 remote 192.0.2.1 dev eth0 local".split(" "),
    local,
  );
  host.address("vxlan0", inner);
};

/** A frame with the station's address as its source, seen by everybody. */
const speak = (host: Host): void => {
  host.ip("link", "set", "vxlan0", "address", STATION);
  host.exec("ping", ["-c", "1", "-W", "1", "10.42.0.1"]);
};

beforeAll(async () => {
  lab = Lab.create();
  [left, right, other] = ["left", "right", "other"].map((label) => lab.host(label)) as [Host, Host, Host];
  lan(lab, [
    { host: left, addresses: ["192.0.2.1/24"] },
    { host: right, addresses: ["192.0.2.2/24"] },
    { host: other, addresses: ["192.0.2.3/24"] },
  ]);
  for (const host of [right, other]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  peer(right, "192.0.2.2", "10.42.0.2/24");
  peer(other, "192.0.2.3", "10.42.0.3/24");
  const tunnel =
    "{ mode: vxlan, id: 42, local: 192.0.2.1, flood: [192.0.2.2, 192.0.2.3], ageing: 2, addresses: [10.42.0.1/24], notifications: [l3-miss] }";
  daemon = await RunningDaemon.start(left, `{ ov0: ${tunnel} }`);
  monitor = left.spawn(process.execPath, ["dist/vtepctl.js", "-socket", daemon.socket, "-j", "monitor"]);
  const text = (...words: string[]): Child =>
    left.spawn(process.execPath, ["dist/vtepctl.js", "-socket", daemon.socket, ...words]);
  ofMacs = text("-ts", "monitor", "fdb", "dev", "ov0");
  ofLinks = text("-t", "monitor", "link");
  // Until the device's MTU that we change is told, the monitor may not listen yet.
  await waitFor(
    () => {
      const mtu = Number(left.ipJson("link", "show", "ov0")[0].mtu);
      left.ip("link", "set", "ov0", "mtu", String(mtu === 1400 ? 1401 : 1400));
      return monitor.stdout !== "" && ofLinks.stdout !== "";
    },
    { what: "the monitor to listen", intervalMs: 300 },
  );
});
afterAll(() => lab.close());

it("tells of MACs that are learned, move and age, and of who sends", async () => {
  speak(right);
  const learn = await told({ event: "learn", mac: STATION });
  expect(learn).toMatchObject({ dev: "ov0", dst: "192.0.2.2" });
  expect(Math.abs(Date.parse(learn.time) - Date.now())).toBeLessThan(60_000);
  await told({ event: "peer", dev: "ov0", address: "192.0.2.2", change: "heard" });
  right.ip("link", "set", "vxlan0", "down");
  speak(other);
  await told({ event: "move", dev: "ov0", mac: STATION, dst: "192.0.2.3", from: "192.0.2.2" });
  other.ip("link", "set", "vxlan0", "down");
  await told({ event: "age", dev: "ov0", mac: STATION, dst: "192.0.2.3" });
  const time = String.raw`^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] `;
  const entry = (dst: string): string => `fdb ${STATION} dev ov0 dst ${dst} self`;
  await ofMacs.waitForOutput(new RegExp(`${time}${entry("192.0.2.2")}$`, "m"));
  await ofMacs.waitForOutput(new RegExp(`${time}${entry("192.0.2.3")} moved from 192.0.2.2$`, "m"));
  await ofMacs.waitForOutput(new RegExp(`${time}Deleted ${entry("192.0.2.3")} aged$`, "m"));
  expect(ofMacs.stdout).not.toMatch(/link|peer/);
});

it("tells of the device and of the underlay", async () => {
  expect(await told({ event: "link", dev: "ov0", change: "mtu" })).toHaveProperty("mtu");
  left.ip("link", "del", "ov0");
  await told({ event: "link", dev: "ov0", change: "gone" });
  await told({ event: "link", dev: "ov0", change: "back" });
  left.ip("link", "set", "eth0", "down");
  expect(await told({ event: "link", dev: "ov0", change: "degraded" })).toHaveProperty("code");
  left.ip("link", "set", "eth0", "up");
  await told({ event: "link", dev: "ov0", change: "restored" });
  await ofLinks.waitForOutput(/^Timestamp: \w{3} \w{3} [ \d]\d [\d:]{8} \d{4} \d+ usec\nlink dev ov0 gone$/m);
  await ofLinks.waitForOutput(/^link dev ov0 degraded ERR_\w+: .+$/m);
  expect(ofLinks.stdout).not.toMatch(/fdb|peer/);
});

it("tells of remote VTEPs that come and go", async () => {
  daemon.vtepctl("fdb", "append", "00:00:00:00:00:00", "dev", "ov0", "dst", "192.0.2.9");
  await told({ event: "peer", address: "192.0.2.9", change: "added" });
  daemon.vtepctl("fdb", "del", "00:00:00:00:00:00", "dev", "ov0", "dst", "192.0.2.9");
  await told({ event: "peer", address: "192.0.2.9", change: "removed" });
});

/** Lines of a monitor since its last `fresh`. */
const fresh = (child: Child): (() => string[]) => {
  const { length } = child.stdout;
  return () =>
    child.stdout
      .slice(length)
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.replace(/^\[[^\]]*\] /, ""));
};

const FLOOD = "00:00:00:00:00:00";

it("tells of entries that are made, changed and deleted by hand, in the words of `bridge monitor`", async () => {
  const lines = fresh(ofMacs);
  const fdb = (...words: string[]): void => expect(daemon.vtepctl("fdb", ...words)).toMatchObject({ status: 0 });
  fdb("add", "02:00:00:00:00:05", "dev", "ov0", "dst", "192.0.2.2", "port", "4790", "vni", "7");
  fdb("replace", "02:00:00:00:00:05", "dev", "ov0", "dst", "192.0.2.3", "sticky");
  fdb("replace", "02:00:00:00:00:05", "dev", "ov0", "dst", "192.0.2.3", "sticky"); // nothing new
  fdb("append", FLOOD, "dev", "ov0", "dst", "192.0.2.8");
  fdb("del", "02:00:00:00:00:05", "dev", "ov0");
  expect(daemon.vtepctl("flood", "set", "ov0", "dst", "192.0.2.2", "dst", "192.0.2.3")).toMatchObject({ status: 0 });
  const wanted = [
    "fdb 02:00:00:00:00:05 dev ov0 dst 192.0.2.2 port 4790 vni 7 self permanent",
    "fdb 02:00:00:00:00:05 dev ov0 dst 192.0.2.3 self sticky permanent",
    `fdb ${FLOOD} dev ov0 dst 192.0.2.8 self permanent`,
    "Deleted fdb 02:00:00:00:00:05 dev ov0 dst 192.0.2.3 self sticky permanent",
    `Deleted fdb ${FLOOD} dev ov0 dst 192.0.2.8 self permanent`,
  ];
  await waitFor(() => lines().length >= wanted.length, { what: () => `all of it: ${lines().join("; ")}` });
  expect(lines().filter((line) => !/aged|moved/.test(line))).toEqual(wanted);
  expect(events().find((event) => event.event === "fdb" && event.mac.endsWith("05"))).toMatchObject({
    ...{ event: "fdb", dev: "ov0", change: "added", mac: "02:00:00:00:00:05", dst: "192.0.2.2", owner: "control" },
    ...{ port: 4790, vni: 7 },
  });
});

it("tells nothing of a call that is taken back, and all of one with many changes", async () => {
  const before = monitor.stdout.length;
  const change = (mac: number) => ({ op: "fdb", dev: "ov0", verb: "add", mac: macOf(mac), dst: "192.0.2.2" });
  const call = async (changes: readonly object[]): Promise<number> =>
    (
      await unixHttp({
        socket: daemon.socket,
        method: "POST",
        path: "/v1/changes",
        headers: JSON_BODY,
        body: JSON.stringify({ changes }),
      })
    ).status;
  expect(await call([change(1), change(2), { op: "fdb-del", dev: "ov0", mac: macOf(3) }])).toBeGreaterThanOrEqual(400);
  expect(await call(Array.from({ length: 3000 }, (_, n) => change(1000 + n)))).toBeLessThan(300);
  const added = (): string[] => monitor.stdout.slice(before).match(/"change":"added","mac":"[^"]+/g) ?? [];
  await waitFor(() => added().length === 3000, { what: () => `3000 entries, have ${added().length}` });
  expect(added().some((line) => line.endsWith(macOf(1)))).toBe(false);
  const flushed = daemon.vtepctl("fdb", "flush", "dev", "ov0", "state", "static", "dst", "192.0.2.2");
  expect(flushed.stderr).toBe("");
  const deleted = (): number => monitor.stdout.slice(before).split('"change":"deleted"').length - 1;
  await waitFor(() => deleted() === 3000, { what: () => `3000 deleted, have ${deleted()}` });
  expect(monitor.stdout.slice(before)).not.toContain('"lost"');
});

it("tells of neighbours and tunnels by hand, and of what a reload does", async () => {
  const links = fresh(ofLinks);
  const neighbour = { event: "neighbour", dev: "ov0", address: "10.42.0.77" };
  daemon.vtepctl("neigh", "add", "10.42.0.77", "lladdr", STATION, "dev", "ov0", "router");
  await told({ ...neighbour, change: "added", mac: STATION, router: true });
  daemon.vtepctl("neigh", "replace", "10.42.0.77", "lladdr", "02:00:00:00:00:78", "dev", "ov0");
  await told({ ...neighbour, change: "changed", mac: "02:00:00:00:00:78" });
  daemon.vtepctl("neigh", "del", "10.42.0.77", "dev", "ov0");
  await told({ ...neighbour, change: "deleted", mac: "02:00:00:00:00:78" });
  const made = "type vxlan id 99 dstport 4799 local 192.0.2.1 remote 192.0.2.2".split(" ");
  expect(daemon.vtepctl("link", "add", "vx99", ...made)).toMatchObject({ status: 0 });
  await told({ event: "link", dev: "vx99", change: "made" });
  await told({ event: "fdb", dev: "vx99", change: "added", mac: FLOOD, dst: "192.0.2.2", owner: "config" });
  expect(daemon.vtepctl("link", "set", "vx99", "type", "vxlan", "ttl", "9")).toMatchObject({ status: 0 });
  await told({ event: "link", dev: "vx99", change: "changed" });
  expect(daemon.vtepctl("link", "del", "vx99")).toMatchObject({ status: 0 });
  await told({ event: "link", dev: "vx99", change: "deleted" });
  const common =
    "mode: vxlan, id: 42, local: 192.0.2.1, ageing: 2, addresses: [10.42.0.1/24], notifications: [l3-miss]";
  const entries = "fdb: [{ mac: 02:00:00:00:00:06, dst: 192.0.2.3 }]";
  const other = "{ mode: ipip, local: 192.0.2.1, remote: 192.0.2.2 }";
  daemon.rewrite(`{ ov0: { ${common}, flood: [192.0.2.2], ${entries}, port-range: [40000, 40100] }, ip0: ${other} }`);
  const before = monitor.stdout.length;
  expect(daemon.vtepctl("config", "reload")).toMatchObject({ status: 0 });
  await told({ event: "link", dev: "ip0", change: "made" });
  // It was made anew, for its sockets; what stays is not told.
  await told({ event: "fdb", dev: "ov0", change: "added", mac: "02:00:00:00:00:06", owner: "config" });
  await told({ event: "fdb", dev: "ov0", change: "deleted", mac: FLOOD, dst: "192.0.2.3" });
  const since = monitor.stdout.slice(before);
  expect(since).not.toMatch(/"dev":"ov0","change":"(made|deleted)"}/);
  expect(since).not.toMatch(/"dev":"ov0","address":"192\.0\.2\.2"/);
  expect(since).not.toMatch(/"dev":"ov0","change":"(added|deleted)","mac":"[0:]+","dst":"192\.0\.2\.2"/);
  expect(links()).toEqual(
    expect.arrayContaining([
      "link dev vx99 made",
      "link dev vx99 changed ttl",
      "Deleted link dev vx99 deleted",
      "link dev ip0 made",
      "link dev ov0 changed flood fdb port-range",
    ]),
  );
});

const JSON_BODY = { "content-type": "application/json" };

const macOf = (n: number): string =>
  `02:00:00:00:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;
