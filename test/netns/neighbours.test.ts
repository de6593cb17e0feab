/**
 *   left (ov0 10.42.0.1)                               right (vxlan0 10.42.0.2)
 *     vtepd, arp-proxy --- 192.0.2.1 === 192.0.2.2 --- the kernel's vxlan
 *
 * The counter of flooded frames tells whether a question left the host.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;

const start = async (keys: string): Promise<void> => {
  const addresses = 'addresses: [10.42.0.1/24, "fd00:42::1/64"]';
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, ${addresses}, ${keys} } }`,
  );
  // Nobody speaks unasked from here on: the reports of multicast listeners have ended.
  await waitFor(() => !left.ip("-6", "address", "show", "dev", "ov0").includes("tentative"), { what: "addresses" });
  await sleep(300);
};

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  for (const host of [left, right]) {
    host.sysctl("net.ipv6.conf.default.router_solicitations", 0);
    host.sysctl("net.ipv6.conf.default.mldv2_unsolicited_report_interval", 20);
  }
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const vxlan = "id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev eth0".split(" ");
  right.ip("link", "add", "vxlan0", "type", "vxlan", ...vxlan);
  right.address("vxlan0", "10.42.0.2/24");
  right.address("vxlan0", "fd00:42::2/64");
});
afterEach(() => lab.close());

const counters = () => {
  const { flooded, neighbour_answers } = daemon.stats().links[0]!;
  return { flooded, answers: neighbour_answers };
};

/** Pings once with an empty neighbour cache. */
const ping = (host: Host, address: string) => {
  host.ip("neigh", "flush", "dev", host === left ? "ov0" : "vxlan0");
  return host.exec("ping", ["-c", "1", "-W", "5", address]).status;
};

const known = () => daemon.vtepctl("neigh", "show", "dev", "ov0").stdout;
const macOf = (host: Host, dev: string): string => host.ipJson("link", "show", dev)[0].address as string;

describe.each([
  ["ARP", "10.42.0.2", "10.42.0.1"],
  ["neighbour discovery", "fd00:42::2", "fd00:42::1"],
])("%s for a station behind a remote VTEP", (_what, far, near) => {
  it("floods the first question, and is answered here from then on", async () => {
    await start("arp-proxy: true");
    expect(ping(left, far)).toBe(0);
    await waitFor(() => known().includes(`${far} dev ov0 lladdr ${macOf(right, "vxlan0")} `), { what: "a neighbour" });
    const before = counters();
    expect(ping(left, far)).toBe(0);
    expect(ping(left, far)).toBe(0);
    expect(counters()).toEqual({ flooded: before.flooded, answers: before.answers + 2 });
    // Whom the far side asks for is here: it is never answered by us, and the answer is its own.
    expect(ping(right, near)).toBe(0);
    expect(counters().answers).toBe(before.answers + 2);
  });

  it("is flooded each time without arp-proxy", async () => {
    await start("mac-learning: true");
    for (const n of [1, 2, 3]) {
      expect(ping(left, far)).toBe(0);
      expect(counters().flooded).toBeGreaterThanOrEqual(n);
    }
    expect(counters().answers).toBe(0);
    expect(known()).toBe("");
  });
});

describe("arp-proxy", () => {
  it("answers for named neighbours whose MAC the FDB has, before anybody was heard", async () => {
    const mac = macOf(right, "vxlan0");
    await start(
      `arp-proxy: true, neighbours: [{ address: 10.42.0.2, mac: "${mac}" }], fdb: [{ mac: "${mac}", dst: 192.0.2.2 }]`,
    );
    const before = counters();
    expect(ping(left, "10.42.0.2")).toBe(0);
    expect(counters()).toEqual({ flooded: before.flooded, answers: before.answers + 1 });
    daemon.vtepctl("neigh", "del", "10.42.0.2", "dev", "ov0");
    daemon.vtepctl("neigh", "flush", "dev", "ov0");
    expect(ping(left, "10.42.0.2")).toBe(0);
    expect(counters().flooded).toBeGreaterThan(before.flooded);
  });

  it("lets the search for duplicate addresses pass", async () => {
    await start("arp-proxy: true");
    expect(ping(left, "fd00:42::2")).toBe(0);
    await waitFor(() => known().includes("fd00:42::2 "), { what: "a neighbour" });
    left.sysctl("net.ipv6.conf.ov0.accept_dad", 1);
    left.sysctl("net.ipv6.conf.ov0.dad_transmits", 1);
    left.ip("address", "add", "fd00:42::2/64", "dev", "ov0");
    await waitFor(() => left.ip("-6", "address", "show", "dev", "ov0").includes("dadfailed"), {
      what: "the duplicate to be found",
    });
  });

  it("forgets a neighbour that was not heard for the ageing time", async () => {
    await start("arp-proxy: true, ageing: 2");
    expect(ping(left, "10.42.0.2")).toBe(0);
    await waitFor(() => known().includes("10.42.0.2 "), { what: "a neighbour" });
    right.ip("link", "set", "vxlan0", "down");
    await waitFor(() => !known().includes("10.42.0.2 "), { what: "it to age" });
  });

  it("forgets a neighbour that has come to our own side, and does not answer for it", async () => {
    await start("arp-proxy: true");
    expect(ping(left, "10.42.0.2")).toBe(0);
    await waitFor(() => known().includes("10.42.0.2 "), { what: "a neighbour" });
    right.ip("address", "del", "10.42.0.2/24", "dev", "vxlan0");
    left.address("ov0", "10.42.0.2/24");
    left.exec("ping", ["-c", "1", "-W", "0.2", "-I", "10.42.0.2", "10.42.0.77"]);
    await waitFor(() => !known().includes("10.42.0.2 "), { what: "it to be forgotten" });
  });
});

describe("notifications", () => {
  it("tell `vtepctl monitor` of unknown addresses and MACs", async () => {
    await start("notifications: [l2-miss, l3-miss]");
    const monitor = left.spawn(process.execPath, ["dist/vtepctl.js", "-socket", daemon.socket, "monitor"]);
    await sleep(500);
    left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.99"]);
    await monitor.waitForOutput(/^miss 10\.42\.0\.99 dev ov0$/m);
    left.ip("neigh", "replace", "10.42.0.98", "lladdr", "02:00:00:00:00:98", "dev", "ov0");
    left.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.98"]);
    await monitor.waitForOutput(/^miss dev ov0 lladdr 02:00:00:00:00:98$/m);
    expect(counters().answers).toBe(0);
  });
});
