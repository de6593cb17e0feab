/**
 *   left: vtepd, tap "ov0" (VNI 42) --- 192.0.2.1 === 192.0.2.2, .3, .4 (raw VTEPs) :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { type UnixAnswer, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let daemon: RunningDaemon;
let remotes: RawVtep[];

const start = async (keys: string): Promise<void> => {
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, flood: [192.0.2.2], addresses: [10.42.0.1/24], ${keys} } }`,
  );
};

beforeEach(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  for (const address of ["192.0.2.3/24", "192.0.2.4/24"]) right.address("eth0", address);
  remotes = await Promise.all(
    ["192.0.2.2", "192.0.2.3", "192.0.2.4"].map((address) => RawVtep.start(right, { address })),
  );
});
afterEach(() => lab.close());

const put = (body: unknown): Promise<UnixAnswer> => unixJson(daemon.socket, "PUT", "/v1/links/ov0/flood", body);

/** Broadcasts `count` frames that carry their number, one each millisecond or so. */
const broadcast = (count: number) =>
  left.spawn("ping", ["-b", "-q", "-c", String(count), "-i", "0.005", "-W", "0.1", "10.42.0.255"]);

/** ICMP sequence numbers that a remote VTEP got. */
const sequence = (remote: RawVtep): number[] =>
  remote
    .received()
    .filter(({ bytes }) => bytes.length > 50 && bytes[8 + 23] === 1)
    .map(({ bytes }) => ((bytes[8 + 40] ?? 0) << 8) | (bytes[8 + 41] ?? 0));

describe("the flood list", () => {
  it("is replaced as a whole while frames are flooded, without loss or copies for those that stay", async () => {
    await start("");
    const count = 400;
    const ping = broadcast(count);
    for (let n = 0; n < 100; n++) {
      const other = n % 2 === 0 ? { dst: "192.0.2.3" } : { dst: "192.0.2.4", port: 4789, vni: 7 };
      const { status } = await put(n % 3 === 0 ? [{ dst: "192.0.2.2" }, other] : [other, { dst: "192.0.2.2" }]);
      expect(status).toBe(204);
    }
    await ping.exited;
    await waitFor(() => sequence(remotes[0]!).length >= count, { what: "all frames at the one that stays" });
    expect(sequence(remotes[0]!)).toEqual(Array.from({ length: count }, (_, n) => n + 1));
    for (const remote of remotes.slice(1)) expect(new Set(sequence(remote)).size).toBe(sequence(remote).length);
    expect(daemon.vtepctl("flood", "show", "ov0").stdout).toMatch(/^dst 192\.0\.2\.2\ndst 192\.0\.2\.4 vni 7\n$/);
  });

  it("is as it was when the new one is refused", async () => {
    await start("");
    const before = daemon.vtepctl("flood", "show", "ov0").stdout;
    for (const [body, complaint] of [
      [
        [{ dst: "192.0.2.3" }, { dst: "192.0.2.3" }],
        "1.dst: expected each member of the flood list once, got 192.0.2.3 again",
      ],
      [
        [{ dst: "192.0.2.3" }, { dst: "2001:db8::3" }],
        "1.dst: expected an IPv4 address as the local address 192.0.2.1 is one, got 2001:db8::3",
      ],
      [[{ dst: "192.0.2" }], "0.dst: expected a unicast IPv4 or IPv6 address or a host name, got "],
    ] as const) {
      const answer = await put(body);
      expect(answer.status).toBe(400);
      expect(answer.text).toContain(complaint);
      expect(daemon.vtepctl("flood", "show", "ov0").stdout).toBe(before);
    }
  });
});

describe("a burst of flooded frames", () => {
  it("reaches every member whole, once and in order", async () => {
    await start("");
    await put([{ dst: "192.0.2.2" }, { dst: "192.0.2.3" }, { dst: "192.0.2.4" }]);
    const count = 200;
    left.exec("ping", ["-b", "-q", "-l", String(count), "-c", String(count), "-W", "0.1", "10.42.0.255"]);
    const numbers = Array.from({ length: count }, (_, n) => n + 1);
    for (const remote of remotes) {
      await waitFor(() => sequence(remote).length >= count, { what: "all frames" });
      expect(sequence(remote)).toEqual(numbers);
    }
    expect(daemon.stats().links[0]).toMatchObject({ flooded: count, tx: { packets: 3 * count }, drops: { encap: {} } });
  });
});

describe("vtepctl flood", () => {
  it("changes single members and the whole list while frames are flooded, without loss to who stays", async () => {
    await start("");
    const count = 400;
    const ping = broadcast(count);
    const run = (...words: string[]): void => {
      expect(daemon.vtepctl("flood", ...words)).toEqual({ status: 0, stdout: "", stderr: "" });
    };
    for (let n = 0; n < 4; n++) {
      run("add", "ov0", "dst", "192.0.2.3");
      run("add", "ov0", "dst", "192.0.2.4", "vni", "7");
      run("del", "ov0", "dst", "192.0.2.3");
      run("set", "ov0", "dst", "192.0.2.4", "dst", "192.0.2.2");
      run("del", "ov0", "dst", "192.0.2.4");
    }
    await ping.exited;
    await waitFor(() => sequence(remotes[0]!).length >= count, { what: "all frames at the one that stays" });
    expect(sequence(remotes[0]!)).toEqual(Array.from({ length: count }, (_, n) => n + 1));
    for (const remote of remotes.slice(1)) {
      expect(sequence(remote).length).toBeGreaterThan(0);
      expect(new Set(sequence(remote)).size).toBe(sequence(remote).length);
    }
    expect(daemon.vtepctl("flood", "show", "ov0").stdout).toBe("dst 192.0.2.2\n");
    expect(daemon.vtepctl("flood", "del", "ov0", "dst", "192.0.2.2", "vni", "7").stderr).toContain(
      "expected a member of the flood list, there is none at 192.0.2.2 port 4789 vni 7",
    );
    run("set", "ov0", "none");
    expect(daemon.fdb("ov0")).toEqual([]);
  });
});

describe("unknown unicast", () => {
  it("is dropped and counted where the tunnel does not flood it, broadcasts are not", async () => {
    await start("unknown-unicast: drop");
    left.ip("neigh", "add", "10.42.0.9", "lladdr", "02:00:00:00:00:09", "dev", "ov0");
    left.exec("ping", ["-c", "3", "-i", "0.05", "-W", "0.1", "10.42.0.9"]);
    await waitFor(() => daemon.drops("encap")["unknown_unicast"] === 3, { what: "three drops" });
    left.exec("ping", ["-b", "-c", "1", "-W", "0.1", "10.42.0.255"]);
    await waitFor(() => sequence(remotes[0]!).length === 1, { what: "the broadcast" });
  });
});

describe("fdb flush", () => {
  it("takes learned entries, and static ones only when asked for", async () => {
    await start("fdb: [{ mac: 02:00:00:00:00:0a, dst: 192.0.2.3 }]");
    expect(daemon.vtepctl("fdb", "add", "02:00:00:00:00:0b", "dev", "ov0", "dst", "192.0.2.4", "vni", "7").status).toBe(
      0,
    );
    const macs = (): string[] => daemon.fdb("ov0").map(({ mac }) => mac.slice(-2));
    const flush = (...words: string[]): string => daemon.vtepctl("fdb", "flush", "dev", "ov0", ...words).stdout;
    const owner = (end: string): unknown => daemon.fdb("ov0").find(({ mac }) => mac.endsWith(end))?.vtepd?.owner;
    expect([owner("0a"), owner("0b")]).toEqual(["config", "control"]);
    expect(flush()).toBe("flushed 0\n");
    expect(flush("state", "static", "dst", "192.0.2.4", "vni", "8")).toBe("flushed 0\n");
    expect(flush("state", "static", "dst", "192.0.2.4", "vni", "7")).toBe("flushed 1\n");
    expect(macs()).toEqual(["00", "0a"]);
    expect(flush("state", "all", "idle", "1000")).toBe("flushed 0\n");
    expect(flush("state", "all")).toBe("flushed 1\n");
    expect(macs()).toEqual(["00"]);
  });
});

/** What a policer of 10 a second lets through at most while the ping runs: a second's worth at once, and some to spare. */
const mostOf = async (ping: Child): Promise<number> => {
  const since = performance.now();
  await ping.exited;
  return 25 + Math.ceil((performance.now() - since) / 100);
};

describe("policers per source MAC", () => {
  it("hold back one station that floods, and no other", async () => {
    await start("policers: { per-source: { broadcast: 10 } }");
    // A second station of the overlay, with a MAC of its own behind the same device.
    left.ip("link", "add", "station", "link", "ov0", "type", "macvlan", "mode", "bridge");
    left.address("station", "10.43.0.1/24");
    const most = await mostOf(broadcast(200));
    const policed = (): number => daemon.drops("encap")["policed_source"] ?? 0;
    await waitFor(() => sequence(remotes[0]!).length + policed() >= 200, { what: "every frame" });
    expect(sequence(remotes[0]!).length).toBeGreaterThanOrEqual(10);
    expect(sequence(remotes[0]!).length).toBeLessThanOrEqual(most);
    const before = policed();
    remotes[0]!.clear();
    left.exec("ping", ["-b", "-c", "5", "-i", "0.01", "-W", "0.1", "-I", "station", "10.43.0.255"]);
    await waitFor(() => sequence(remotes[0]!).length === 5, { what: "the other station's frames" });
    expect(policed()).toBe(before);
  });
});

describe("policers", () => {
  it("let a burst of broadcasts through, and count the rest", async () => {
    await start("policers: { broadcast: 10, per-source: { multicast: 20 } }");
    const [link] = daemon.json<{ vtepd: object }[]>("link", "show", "ov0");
    expect(link!.vtepd).toMatchObject({ policers: { broadcast: 10, "per-source": { multicast: 20 } } });
    const most = await mostOf(broadcast(200));
    const policed = (): number => daemon.drops("encap")["policed"] ?? 0;
    await waitFor(() => sequence(remotes[0]!).length + policed() >= 200, { what: "every frame" });
    expect(sequence(remotes[0]!).length).toBeGreaterThanOrEqual(10);
    expect(sequence(remotes[0]!).length).toBeLessThanOrEqual(most);
  });
});
