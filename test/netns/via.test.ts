/**
 * FDB entries and flood-list members with an underlay interface of their own.
 *
 *   left: vtepd, ov0 10.42.0.1, VTEP 192.0.2.1 on lo
 *     eth0 203.0.113.1 === 203.0.113.2 eth0 \
 *     eth1 198.51.100.1 === 198.51.100.2 eth1 > right: the kernel's vxlan ov0 10.42.0.2, VTEP 192.0.2.2 on lo
 *
 * Both interfaces lead to 192.0.2.2; the routes say eth0.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { waitFor } from "../support/wait-for.ts";

const REMOTE = "192.0.2.2";
const PEER_MAC = "02:00:00:00:00:02";
const TUNNEL = "mode: vxlan, id: 42, local: 192.0.2.1, addresses: [10.42.0.1/24]";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;

/** Makes eth1 at the left, as at the start. */
const wireSecond = (): void => {
  lab.wire(left, "eth1", right, "eth1", { addresses: ["198.51.100.1/24", "198.51.100.2/24"] });
  left.ip("route", "replace", `${REMOTE}/32`, "via", "198.51.100.2", "metric", "20");
  right.ip("route", "replace", "192.0.2.1/32", "via", "198.51.100.1", "metric", "20");
};

beforeEach(() => {
  lab = Lab.create();
  [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { addresses: ["203.0.113.1/24", "203.0.113.2/24"] });
  for (const [host, address, gateway] of [
    [left, "192.0.2.1", "203.0.113.2"],
    [right, REMOTE, "203.0.113.1"],
  ] as const) {
    host.address("lo", `${address}/32`);
    for (const dev of ["all", "default", "eth0"]) host.sysctl(`net.ipv4.conf.${dev}.rp_filter`, 0);
    host.ip("route", "add", `${address === REMOTE ? "192.0.2.1" : REMOTE}/32`, "via", gateway, "metric", "10");
  }
  wireSecond();
  const peer = "id 42 dstport 4789 local 192.0.2.2 remote 192.0.2.1".split(" ");
  right.ip("link", "add", "ov0", "address", PEER_MAC, "type", "vxlan", ...peer);
  right.address("ov0", "10.42.0.2/24");
});
afterEach(() => lab.close());

const start = async (keys: string): Promise<void> => {
  daemon = await RunningDaemon.start(left, `{ ov0: { ${TUNNEL}, ${keys} } }`);
};

const ping = (): boolean => left.exec("ping", ["-c", "1", "-W", "1", "10.42.0.2"]).status === 0;

/** Packets that left by each interface while three pings were answered, more than other traffic makes up for. */
const wayOfPings = async (): Promise<"eth0" | "eth1" | "both"> => {
  await waitFor(ping, { what: "an answer" });
  const sent = (dev: string): number => left.ipJson("-s", "link", "show", dev)[0].stats64.tx.bytes as number;
  const before = [sent("eth0"), sent("eth1")];
  left.run("ping", [...requests(3), "-s", "1200", "10.42.0.2"]);
  const [first, second] = [sent("eth0") - before[0]! > 3600, sent("eth1") - before[1]! > 3600];
  expect(first || second).toBe(true);
  return first && second ? "both" : first ? "eth0" : "eth1";
};

const viaOf = (mac: string): unknown => daemon.fdb("ov0").find((entry) => entry.mac === mac)?.viaIf;
const ZERO = "00:00:00:00:00:00";

describe("via", () => {
  it("sends copies to an entry's VTEP by its interface, floods by the routes' one, and takes answers by any", async () => {
    await start(`flood: [${REMOTE}], fdb: [{ mac: "${PEER_MAC}", dst: ${REMOTE}, via: eth1 }]`);
    expect(await wayOfPings()).toBe("eth1");
    expect([viaOf(PEER_MAC), viaOf(ZERO)]).toEqual(["eth1", undefined]);
    expect(daemon.vtepctl("fdb", "show", "dev", "ov0").stdout).toContain(
      `${PEER_MAC} dst ${REMOTE} via eth1 self permanent`,
    );
    expect(daemon.vtepctl("fdb", "replace", PEER_MAC, "dev", "ov0", "dst", REMOTE, "via", "eth0").status).toBe(0);
    expect(await wayOfPings()).toBe("eth0");
    expect(daemon.vtepctl("fdb", "replace", PEER_MAC, "dev", "ov0", "dst", REMOTE, "via", "eth1").status).toBe(0);
    expect(await wayOfPings()).toBe("eth1");
    expect(daemon.vtepctl("fdb", "del", PEER_MAC, "dev", "ov0").status).toBe(0);
    expect(await wayOfPings()).toBe("eth0");
    expect(daemon.drops("encap")).toEqual({});
  });

  it("is the way of a member of the flood list, whose answers are learned at the plain remote VTEP", async () => {
    await start(`mac-learning: false, fdb: [{ mac: "${ZERO}", dst: ${REMOTE}, via: eth1 }]`);
    expect(await wayOfPings()).toBe("eth1");
    const flood = (...words: string[]) => daemon.vtepctl("flood", ...words);
    expect(flood("show", "ov0").stdout).toBe(`dst ${REMOTE} via eth1\n`);
    expect(flood("add", "ov0", "dst", REMOTE).status).toBe(0);
    expect(await wayOfPings()).toBe("both");
    expect(flood("del", "ov0", "dst", REMOTE, "via", "eth1").status).toBe(0);
    expect(await wayOfPings()).toBe("eth0");
    expect(flood("set", "ov0", "dst", REMOTE, "via", "eth1").status).toBe(0);
    expect(daemon.json("flood", "show", "ov0")).toEqual([{ dst: REMOTE, via: "eth1" }]);
    expect(await wayOfPings()).toBe("eth1");
  });

  it("closes an interface's sockets with the last entry that names it", async () => {
    await start(`flood: [${REMOTE}]`);
    const bound = (): number =>
      left
        .run("ss", ["-Hunap"])
        .split("\n")
        .filter((line) => line.includes("192.0.2.1%eth1:")).length;
    expect(bound()).toBe(0);
    for (const mac of ["0a", "0b"]) {
      const entry = [`02:00:00:00:00:${mac}`, "dev", "ov0", "dst", REMOTE, "via", "eth1"];
      expect(daemon.vtepctl("fdb", "add", ...entry).status).toBe(0);
    }
    expect(bound()).toBeGreaterThan(0);
    expect(daemon.vtepctl("fdb", "del", "02:00:00:00:00:0a", "dev", "ov0").status).toBe(0);
    expect(bound()).toBeGreaterThan(0);
    expect(daemon.vtepctl("fdb", "del", "02:00:00:00:00:0b", "dev", "ov0").status).toBe(0);
    await waitFor(() => bound() === 0, { what: "the end of its sockets" });
  });

  it("is refused where there is no such interface, and nothing changes", async () => {
    await start(`flood: [${REMOTE}]`);
    const state = (): unknown[] => [
      daemon
        .fdb("ov0")
        .filter((entry) => entry.state === "permanent")
        .map(({ mac, dst }) => [mac, dst]),
      daemon.json("flood", "show", "ov0"),
    ];
    const before = state();
    for (const words of [
      ["fdb", "add", PEER_MAC, "dev", "ov0", "dst", REMOTE, "via", "eth9"],
      ["flood", "set", "ov0", "dst", REMOTE, "dst", REMOTE, "via", "eth9"],
    ]) {
      const { status, stderr } = daemon.vtepctl(...words);
      expect([status, stderr]).toEqual([2, expect.stringContaining("expected an underlay interface named eth9")]);
    }
    expect(state()).toEqual(before);
    const wrong = RunningDaemon.launch(
      right,
      `{ ov1: { mode: vxlan, id: 43, local: ${REMOTE}, port: 4790, fdb: [{ mac: "${PEER_MAC}", dst: 192.0.2.1, via: eth9 }] } }`,
    );
    expect((await wrong.child.exited).code).toBe(2);
    expect(wrong.child.stdout + wrong.child.stderr).toContain("ERR_INTERFACE_NOT_FOUND");
  });

  it("follows an interface that goes and comes back, and the path MTU through it", async () => {
    await start(`flood: [${REMOTE}], fdb: [{ mac: "${PEER_MAC}", dst: ${REMOTE}, via: eth1 }]`);
    expect(await wayOfPings()).toBe("eth1");
    const mtus = (): number[] =>
      daemon
        .stats()
        .links[0]!.remotes.map((remote) => remote.path_mtu ?? 0)
        .sort();
    left.ip("link", "set", "eth1", "mtu", "1400");
    await waitFor(() => mtus().join() === "1400,1500", { what: "the path MTU of one of the two" });
    left.ip("link", "del", "eth1");
    await waitFor(() => daemon.vtepctl("link", "show", "ov0").stdout.includes("degraded ERR_INTERFACE_NOT_FOUND"), {
      what: "the loss",
    });
    wireSecond();
    await waitFor(ping, { what: "an answer" });
    expect(await wayOfPings()).toBe("eth1");
    expect(daemon.vtepctl("link", "show", "ov0").stdout).not.toContain("degraded");
  });
});
