/**
 * Networks behind a remote VTEP that may be on the same link (`direct-routing`), or behind a router:
 *
 *   left                                  LAN                                  right
 *   10.1.0.1, fd00:1::1 on lo             │  │                                 10.2.0.1, fd00:2::1 on lo
 *   VTEP 192.0.2.1, 2001:db8::1 -- eth0 --┘  ├-------------------------- eth0  VTEP 203.0.113.2 on lo, 2001:db8:2::2
 *                                            └ router 192.0.2.254, 2001:db8::254 -- 198.51.100.0/24, 2001:db8:3::/64 -- eth1
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RouteJson } from "../../src/control/route-json.ts";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  const router = lab.host("router");
  lan(lab, [
    { host: left, addresses: ["192.0.2.1/24", "2001:db8::1/64"] },
    { host: right, addresses: ["192.0.2.2/24", "2001:db8::2/64"] },
    { host: router, addresses: ["192.0.2.254/24", "2001:db8::254/64"] },
  ]);
  lab.wire(router, "eth1", right, "eth1", { addresses: ["198.51.100.1/24", "198.51.100.2/24"] });
  for (const [host, n] of [
    [router, 1],
    [right, 2],
  ] as const) {
    host.address("eth1", `2001:db8:3::${n}/64`);
  }
  router.sysctl("net.ipv4.ip_forward", 1);
  router.sysctl("net.ipv6.conf.all.forwarding", 1);
  router.ip("route", "add", "203.0.113.2/32", "via", "198.51.100.2");
  router.ip("route", "add", "2001:db8:2::2/128", "via", "2001:db8:3::2");
  for (const address of ["10.1.0.1/32", "fd00:1::1/128"]) left.address("lo", address);
  for (const address of ["10.2.0.1/32", "fd00:2::1/128", "203.0.113.2/32"]) right.address("lo", address);
  right.address("eth0", "2001:db8:2::2/128"); // neighbours are asked for by the interface that has the address
  left.ip("route", "add", "203.0.113.2/32", "dev", "eth0");
  left.ip("route", "add", "2001:db8:2::2/128", "dev", "eth0");
});
afterEach(() => lab.close());

/** The ways between both VTEPs lead through the router from now on. */
const putRouterBetween = (): void => {
  left.ip("route", "replace", "203.0.113.2/32", "via", "192.0.2.254");
  left.ip("route", "replace", "2001:db8:2::2/128", "via", "2001:db8::254");
  right.ip("address", "del", "192.0.2.2/24", "dev", "eth0");
  right.ip("address", "del", "2001:db8::2/64", "dev", "eth0");
  right.ip("route", "add", "192.0.2.0/24", "via", "198.51.100.1");
  right.ip("route", "add", "2001:db8::/64", "via", "2001:db8:3::1");
};

const takeRouterAway = (): void => {
  right.ip("route", "del", "192.0.2.0/24");
  right.ip("route", "del", "2001:db8::/64", "via", "2001:db8:3::1");
  right.address("eth0", "192.0.2.2/24");
  right.address("eth0", "2001:db8::2/64");
  left.ip("route", "replace", "203.0.113.2/32", "dev", "eth0");
  left.ip("route", "replace", "2001:db8:2::2/128", "dev", "eth0");
};

/** Packets as they pass the wire: the filter sees outermost headers. */
class Wire {
  readonly #plain: Child;
  readonly #tunnelled: Child;

  private constructor(plain: Child, tunnelled: Child) {
    this.#plain = plain;
    this.#tunnelled = tunnelled;
  }

  static async listen(): Promise<Wire> {
    // The pings are larger than what hosts send by themselves.
    const filters = ["host 10.2.0.1 or host fd00:2::1", "ip proto 47 or ip6 proto 47 or udp port 4789"].map(
      (which) => `greater 500 and (${which})`,
    );
    const children = filters.map((filter) =>
      left.spawn("tcpdump", ["--immediate-mode", "-lntq", "-i", "eth0", filter]),
    );
    for (const child of children) await child.waitForOutput(/listening/);
    return new Wire(...(children as [Child, Child]));
  }

  /** Pings three times, and tells which way the packets have gone. */
  async wayOf(from: string, to: string): Promise<"direct" | "tunnel"> {
    const before = this.#lines();
    // One after the other: two that leave in one message are one packet on the wire.
    for (let n = 0; n < 3; n++) left.run("ping", ["-c", "1", "-W", "5", "-s", "500", "-I", from, to]);
    const now = (): number[] => this.#lines().map((count, index) => count - before[index]!);
    await waitFor(() => now().some((count) => count >= 6), { what: "the pings on the wire" });
    const [plain = 0, tunnelled = 0] = now();
    expect(Math.min(plain, tunnelled)).toBe(0);
    return plain > 0 ? "direct" : "tunnel";
  }

  #lines(): number[] {
    return [this.#plain, this.#tunnelled].map(({ stdout }) => stdout.split("\n").length);
  }
}

const routesTo = (host: Host, network: string): string =>
  host.ip(network.includes(":") ? "-6" : "-4", "route", "show", "root", network);

const waysOf = (daemon: RunningDaemon): string[] =>
  daemon.json<RouteJson[]>("route", "show").map(({ dst, vtepd }) => `${dst} ${vtepd.way} ${vtepd.state}`);
const hasWays = async (daemon: RunningDaemon, ways: string[]): Promise<void> => {
  await waitFor(() => waysOf(daemon).join() === ways.join(), {
    what: () => `${ways}, have ${waysOf(daemon)}`,
  });
};

describe("direct-routing", () => {
  it.each([
    ["gre", "192.0.2.1", "203.0.113.2", "10.1.0.0/16", "10.2.0.0/16", "10.1.0.1", "10.2.0.1"],
    ["ip6gre", "2001:db8::1", "2001:db8:2::2", "fd00:1::/64", "fd00:2::/64", "fd00:1::1", "fd00:2::1"],
  ])(
    "of %s follows the underlay on both sides, and leaves nothing behind",
    async (mode, a, b, netA, netB, from, to) => {
      const tunnel = (local: string, remote: string, network: string): string =>
        `{ ov0: { mode: ${mode}, local: "${local}", routes: [{ to: "${network}", via: "${remote}", direct-routing: true }] } }`;
      const daemons = await Promise.all([
        RunningDaemon.start(left, tunnel(a, b, netB)),
        RunningDaemon.start(right, tunnel(b, a, netA)),
      ]);
      const followed = async (way: string): Promise<void> => {
        await Promise.all(daemons.map((daemon, n) => hasWays(daemon, [`${[netB, netA][n]} ${way} up`])));
      };
      const wire = await Wire.listen();
      await followed("direct");
      expect(await wire.wayOf(from, to)).toBe("direct");
      putRouterBetween();
      await followed("tunnel");
      expect(await wire.wayOf(from, to)).toBe("tunnel");
      takeRouterAway();
      await followed("direct");
      expect(await wire.wayOf(from, to)).toBe("direct");
      left.ip("route", "del", netB);
      await waitFor(() => routesTo(left, netB).includes(`via ${b} dev eth0`), {
        what: "the route that somebody has removed",
      });
      expect(daemons[0]!.child.stdout.match(/is routed (without|through) the tunnel/g)).toHaveLength(3);
      for (const daemon of daemons) expect((await daemon.stop()).code).toBe(0);
      expect([routesTo(left, netB), routesTo(right, netA)]).toEqual(["", ""]);
    },
  );

  it("of vxlan goes by a next hop in the overlay when it is not direct, with the kernel at the other end", async () => {
    const route = "{ to: 10.2.0.0/16, via: 203.0.113.2, gateway: 10.42.0.2, direct-routing: true }";
    const own = "local: 192.0.2.1, remote: 203.0.113.2, addresses: [10.42.0.1/24]";
    const daemon = await RunningDaemon.start(left, `{ vx42: { mode: vxlan, id: 42, ${own}, routes: [${route}] } }`);
    const vxlan = "id 42 dstport 4789 local 203.0.113.2 remote 192.0.2.1";
    right.ip("link", "add", "vxlan0", "type", "vxlan", ...vxlan.split(" "));
    right.address("vxlan0", "10.42.0.2/24");
    right.ip("route", "add", "10.1.0.0/16", "via", "192.0.2.1");
    const wire = await Wire.listen();
    await hasWays(daemon, ["10.2.0.0/16 direct up"]);
    expect(await wire.wayOf("10.1.0.1", "10.2.0.1")).toBe("direct");
    putRouterBetween();
    right.ip("route", "add", "10.1.0.0/16", "via", "10.42.0.1");
    await hasWays(daemon, ["10.2.0.0/16 tunnel up"]);
    expect(left.ip("route", "show", "10.2.0.0/16")).toContain("via 10.42.0.2 dev vx42 proto 178 onlink");
    expect(await wire.wayOf("10.1.0.1", "10.2.0.1")).toBe("tunnel");
    expect(daemon.vtepctl("-d", "link", "show", "vx42").stdout).toContain(
      "route 10.2.0.0/16 via 203.0.113.2 gateway 10.42.0.2 direct-routing",
    );
    expect(daemon.vtepctl("route", "show").stdout).toBe(
      "10.2.0.0/16 via 10.42.0.2 dev vx42 proto 178 vtepd tunnel vx42 way tunnel state up\n",
    );
    // The underlay is gone altogether: the tunnel waits, and so does the route through it.
    left.ip("link", "set", "eth0", "down");
    left.ip("link", "del", "vx42");
    await waitFor(() => waysOf(daemon).join() === "10.2.0.0/16 tunnel missing", { what: "the loss of the device" });
    await waitFor(() => waysOf(daemon).join() === "10.2.0.0/16 tunnel up", { what: "its return" });
  });
});
