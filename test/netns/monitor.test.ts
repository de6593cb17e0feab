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
    { what: () => `${JSON.stringify(wanted)} in ${monitor.stdout}`, timeoutMs },
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
    "{ mode: vxlan, id: 42, local: 192.0.2.1, flood: [192.0.2.2, 192.0.2.3], ageing: 2, addresses: [10.42.0.1/24] }";
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
