/**
 * Mode `host-gw`: pods' networks of two hosts on one link, reached by plain routes that vtepd keeps.
 *
 *   pods 10.244.1.1, fd00:244:1::1 -- left, 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2, right -- 10.244.2.1, fd00:244:2::1
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const [host, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    host.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1);
    host.address("eth0", `2001:db8::${n}/64`);
    host.address("lo", `10.244.${n}.1/32`);
    host.address("lo", `fd00:244:${n}::1/128`);
  }
});
afterEach(() => lab.close());

const tunnel = (far: number): string => {
  const routes = `{ to: 10.244.${far}.0/24, via: 192.0.2.${far} }, { to: "fd00:244:${far}::/64", via: "2001:db8::${far}" }`;
  return `{ cbr-routes: { mode: host-gw, link: eth0, routes: [${routes}] } }`;
};

const FAR = { IPv4: ["10.244.2.1", "10.244.1.1"], IPv6: ["fd00:244:2::1", "fd00:244:1::1"] } as const;
const answers = (family: keyof typeof FAR): boolean =>
  left.exec("ping", ["-c", "1", "-W", "0.3", "-I", FAR[family][1], FAR[family][0]]).status === 0;
const routesOf = (host: Host): string =>
  [
    host.ip("route", "show", "proto", "178"),
    host.ip("-6", "route", "show", "proto", "178"),
    host.ip("route", "show", "10.244.0.0/16"),
  ].join("");

describe("host-gw", () => {
  it("routes networks of both families, with the full MTU, and leaves nothing behind", async () => {
    const daemons = await Promise.all([RunningDaemon.start(left, tunnel(2)), RunningDaemon.start(right, tunnel(1))]);
    for (const family of ["IPv4", "IPv6"] as const) expect(answers(family)).toBe(true);
    expect(left.run("ping", ["-c", "1", "-M", "do", "-s", "1472", "-I", "10.244.1.1", "10.244.2.1"])).toContain(" 0% ");
    expect(left.ip("route", "show", "10.244.2.0/24")).toMatch(/via 192\.0\.2\.2 dev eth0/);
    expect(left.exec("ip", ["link", "show", "cbr-routes"]).status).not.toBe(0);
    for (const daemon of daemons) expect((await daemon.stop()).code).toBe(0);
    expect([routesOf(left), routesOf(right)]).toEqual(["", ""]);
  });

  it("puts back what somebody removed, and what went with the interface, and says so", async () => {
    right.ip("route", "add", "10.244.1.0/24", "via", "192.0.2.1");
    right.ip("route", "add", "fd00:244:1::/64", "via", "2001:db8::1");
    const daemon = await RunningDaemon.start(left, tunnel(2));
    /** Once for each family. */
    const saidTwice = (line: RegExp): Promise<boolean> =>
      waitFor(() => daemon.child.stdout.match(line)?.length === 2, { what: `${line} twice` });
    left.ip("route", "del", "10.244.2.0/24");
    left.ip("route", "del", "fd00:244:2::/64");
    await saidTwice(/had vanished and is back/g);
    for (const family of ["IPv4", "IPv6"] as const) await waitFor(() => answers(family), { what: `${family} again` });
    left.ip("link", "set", "eth0", "down");
    await saidTwice(/is missing, and waits/g);
    left.ip("link", "set", "eth0", "up");
    for (const family of ["IPv4", "IPv6"] as const) {
      await waitFor(() => answers(family), { what: `${family} after the interface` });
    }
    expect(daemon.child.stdout.match(/is missing, and waits/g)).toHaveLength(2);
    // Another way to the same network is no reason to give ours up, nor is it taken for ours.
    left.ip("route", "replace", "10.244.2.0/24", "via", "192.0.2.77");
    await waitFor(() => answers("IPv4"), { what: "our way" });
  });

  it.each([
    ["192.0.2.2", "eth1", /Cannot find device|Device does not exist|eth1/],
    [
      "198.51.100.7",
      "eth0",
      /ERR_NO_ROUTE: tunnels\.cbr-routes\.routes\[0\]\.via: expected a next hop on the link eth0/,
    ],
  ])("is refused with the next hop %s on %s, and leaves nothing behind", async (via, link, said) => {
    left.ip("route", "add", "default", "via", "192.0.2.2");
    const config = `{ cbr-routes: { mode: host-gw, link: ${link}, routes: [{ to: 10.244.2.0/24, via: ${via} }] } }`;
    const { child } = RunningDaemon.launch(left, config);
    expect((await child.exited).code).toBe(2);
    expect(child.stdout + child.stderr).toMatch(said);
    expect(routesOf(left)).toBe("");
  });

  it("stands beside tunnels", async () => {
    const vx = "vx42: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2 }";
    const daemon = await RunningDaemon.start(left, `{ ${vx}, ${tunnel(2).slice(2)}`);
    expect(left.ip("route", "show", "10.244.2.0/24")).toContain("via 192.0.2.2");
    expect(daemon.json<{ ifname: string }[]>("link", "show").map(({ ifname }) => ifname)).toEqual(["vx42"]);
    const vtepd = { tunnel: "cbr-routes", way: "direct", state: "up" };
    expect(daemon.json("route", "show")).toEqual([
      { dst: "10.244.2.0/24", gateway: "192.0.2.2", dev: "eth0", protocol: "178", flags: [], vtepd },
      { dst: "fd00:244:2::/64", gateway: "2001:db8::2", dev: "eth0", protocol: "178", flags: [], vtepd },
    ]);
    left.ip("link", "set", "eth0", "down");
    const missing = "10.244.2.0/24 via 192.0.2.2 dev eth0 proto 178 vtepd tunnel cbr-routes way direct state missing";
    await waitFor(() => daemon.vtepctl("route", "show").stdout.startsWith(missing), { what: "the loss" });
  });
});
