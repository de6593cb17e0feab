/**
 *   left: vtepd, tap "ov0" (VNI 42) --- 192.0.2.1 === 192.0.2.2, .3 (raw VTEPs) :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StatsJson } from "../../src/control/stats-json.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { udpFrame, vxlanDatagram } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { unixHttp } from "../support/unix-http.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const DEVICE_MAC = "02:00:00:00:ff:01";
const LOCAL = "192.0.2.1";

let lab: Lab;
let left: Host;
let daemon: RunningDaemon;
let second: RawVtep;
let third: RawVtep;

const start = async (options: string): Promise<void> => {
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: ${LOCAL}, flood: [192.0.2.2, 192.0.2.3], macaddress: "${DEVICE_MAC}", addresses: [10.42.0.1/24], ${options} } }`,
  );
};

beforeEach(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: [`${LOCAL}/24`, "192.0.2.2/24"] });
  right.address("eth0", "192.0.2.3/24");
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations between the frames of the test
  [second, third] = await Promise.all([
    RawVtep.start(right, { address: "192.0.2.2" }),
    RawVtep.start(right, { address: "192.0.2.3" }),
  ]);
});
afterEach(() => lab.close());

const macOf = (station: number): string =>
  `02:00:00:01:${(station >> 8).toString(16).padStart(2, "0")}:${(station & 255).toString(16).padStart(2, "0")}`;

/** A frame of a station behind a raw VTEP to the device. */
const send = (vtep: RawVtep, station: number): void =>
  vtep.send(
    LOCAL,
    vxlanDatagram(
      42,
      udpFrame({
        src: macOf(station),
        dst: DEVICE_MAC,
        srcIp: "10.42.0.5",
        dstIp: "10.42.0.1",
        srcPort: 1000,
        dstPort: 2000,
        payload: "hello",
      }),
    ),
  );

/** Asks the socket itself, since starting vtepctl takes longer than what is waited for. */
const received = (count: number): Promise<boolean> =>
  waitFor(
    async () => {
      const { text } = await unixHttp({ socket: daemon.socket, path: "/v1/stats" });
      return (JSON.parse(text) as StatsJson).links[0]!.rx.packets === count;
    },
    { what: `${count} frames`, intervalMs: 5 },
  );

/** Learned entries behind each remote VTEP. */
const learned = (): Record<string, number> =>
  Object.fromEntries(daemon.stats().links[0]!.remotes.map((remote) => [remote.address, remote.learned]));

const pause = 1100; // longer than the second in which hits are told apart

describe("eviction", () => {
  it("makes room for a VTEP with few MACs by the oldest of the one with most, while that one goes on flooding", async () => {
    await start('limit: 12, fdb: [{ mac: "02:00:00:00:00:99", dst: 192.0.2.2 }]');
    for (let station = 0; station < 12; station++) send(second, station);
    await received(12);
    await sleep(pause);
    // In use, so the others go first.
    for (const station of [3, 7]) send(second, station);
    await received(14);
    let sent = 14;
    const retry = async (vtep: RawVtep, station: number): Promise<boolean> => {
      send(vtep, station);
      for (let n = 0; n < 10; n++) send(second, 100 + sent + n);
      sent += 11;
      await received(sent);
      return daemon.learned("ov0").includes(`${macOf(station)} 192.0.2.3`);
    };
    for (let station = 50; station < 54; station++) {
      await waitFor(() => retry(third, station), { what: `station ${station}`, intervalMs: 50 });
    }
    const now = daemon.learned("ov0");
    expect(now.length).toBeLessThanOrEqual(12);
    for (const station of [3, 7]) expect(now).toContain(`${macOf(station)} 192.0.2.2`);
    expect(learned()["192.0.2.3"]).toBe(4);
    const { evicted, full, learns } = daemon.stats().links[0]!.fdb;
    expect([evicted, learns]).toEqual([4, 16]);
    expect(full).toBeGreaterThan(4);
    expect(daemon.fdb("ov0").some(({ mac }) => mac === "02:00:00:00:00:99")).toBe(true);
  });

  it("does not happen where it is switched off", async () => {
    await start("limit: 4, eviction: none");
    for (let station = 0; station < 4; station++) send(second, station);
    await received(4);
    for (let n = 0; n < 5; n++) {
      send(third, 50);
      await received(5 + n);
      await sleep(150);
    }
    expect(learned()).toEqual({ "192.0.2.2": 4, "192.0.2.3": 0 });
    expect(daemon.stats().links[0]!.fdb).toMatchObject({ evicted: 0, full: 5 });
  });
});

describe("move damping", () => {
  it("holds a MAC that is behind two VTEPs for five seconds, counts and says so, and then lets it move", async () => {
    await start("");
    const isAt = (address: string): boolean => daemon.learned("ov0").includes(`${macOf(1)} ${address}`);
    const since = performance.now();
    for (let n = 0; n < 10; n++) {
      send(n % 2 === 0 ? second : third, 1);
      await received(n + 1);
    }
    expect(isAt("192.0.2.3")).toBe(true);
    expect(daemon.stats().links[0]!.fdb).toMatchObject({ learns: 1, moves: 5, moves_damped: 2 });
    await daemon.child.waitForOutput(/MAC moves too often/);
    const warnings = daemon.child.stdout.split("\n").filter((line) => line.includes("MAC moves too often"));
    expect(warnings.map((line) => JSON.parse(line))).toMatchObject([
      { level: "warn", link: "ov0", mac: macOf(1), remoteVtep: "192.0.2.3", alsoAt: "192.0.2.2" },
    ]);
    let sent = 10;
    const moves = async (): Promise<boolean> => {
      send(second, 1);
      await received(++sent);
      return isAt("192.0.2.2");
    };
    await waitFor(moves, { what: "the end of the hold", intervalMs: 200 });
    expect(performance.now() - since).toBeGreaterThan(3500);
  });
});

describe("a sticky entry", () => {
  it("stays where it is and lets its MAC's frames from elsewhere in; a static one drops them", async () => {
    const entries = [1, 2].map((station) => `{ mac: "${macOf(station)}", dst: 192.0.2.2, sticky: ${station === 1} }`);
    await start(`fdb: [${entries}]`);
    for (const station of [1, 2]) for (const vtep of [second, third]) send(vtep, station);
    await daemon.waitForDrops("decap", { vxlan_entry_exists: 1 });
    await received(3);
    const shown = daemon.vtepctl("fdb", "show", "dev", "ov0").stdout;
    expect(shown).toContain(`${macOf(1)} dst 192.0.2.2 self sticky permanent\n`);
    expect(shown).toContain(`${macOf(2)} dst 192.0.2.2 self permanent\n`);
    expect(daemon.stats().links[0]!.fdb).toMatchObject({ moves: 0, moves_damped: 1 });
  });

  it("is made of a learned one over the control socket, and is no member of the flood list", async () => {
    await start("");
    send(second, 1);
    await received(1);
    const add = (mac: string) => daemon.vtepctl("fdb", "add", mac, "dev", "ov0", "dst", "192.0.2.2", "sticky");
    expect(add(macOf(1)).status).toBe(0);
    send(third, 1);
    await received(2);
    expect(daemon.vtepctl("fdb", "show", "dev", "ov0").stdout).toContain(
      `${macOf(1)} dst 192.0.2.2 self sticky permanent\n`,
    );
    expect(learned()).toEqual({ "192.0.2.2": 0, "192.0.2.3": 0 });
    expect(add("00:00:00:00:00:00")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("sticky: expected a sticky entry for a MAC that a station can have"),
    });
  });
});

describe("limit-per-remote", () => {
  it("holds for each VTEP by itself; frames beyond it are delivered and counted", async () => {
    await start("limit-per-remote: 3");
    for (let station = 0; station < 5; station++) send(second, station);
    await received(5);
    expect(learned()).toEqual({ "192.0.2.2": 3, "192.0.2.3": 0 });
    for (let station = 4; station < 6; station++) send(third, station);
    await received(7);
    expect(learned()).toEqual({ "192.0.2.2": 3, "192.0.2.3": 2 });
    expect(daemon.stats().links[0]!.fdb).toMatchObject({ learns: 5, full: 0, remote_full: 2 });
    expect(daemon.learned("ov0")).toContain(`${macOf(4)} 192.0.2.3`);
    // What is flushed makes room.
    daemon.vtepctl("fdb", "flush", "dev", "ov0", "dst", "192.0.2.2");
    send(second, 9);
    await received(8);
    expect(learned()).toEqual({ "192.0.2.2": 1, "192.0.2.3": 2 });
    expect(daemon.vtepctl("link", "show", "ov0").stdout).toContain("limit-per-remote 3");
  });
});

describe("flush", () => {
  const flush = (...words: string[]): string => daemon.vtepctl("fdb", "flush", "dev", "ov0", ...words).stdout;
  const stations = (): string[] => daemon.learned("ov0").map((entry) => entry.slice(15, 17));
  const used = (station: number): number => {
    const entries: { mac: string; used: number }[] = JSON.parse(
      daemon.vtepctl("-s", "-j", "fdb", "show", "dev", "ov0").stdout,
    );
    return entries.find(({ mac }) => mac === macOf(station))!.used;
  };

  it("takes what was heard behind one VTEP, for long not, or is old; what is left still forwards", async () => {
    await start('fdb: [{ mac: "02:00:00:00:00:99", dst: 192.0.2.2, port: 4790 }]');
    for (const station of [1, 2]) send(second, station);
    send(third, 3);
    await received(3);
    await sleep(3 * pause);
    send(second, 1); // in use, but old
    send(third, 4);
    await received(5);
    await waitFor(() => used(1) <= 1 && used(2) >= 3, { what: "the hit" });
    expect(flush("idle", "3", "dst", "192.0.2.3")).toBe("flushed 1\n");
    expect(stations()).toEqual(["01", "02", "04"]);
    expect(flush("idle", "3")).toBe("flushed 1\n");
    expect(flush("age", "3")).toBe("flushed 1\n");
    expect(stations()).toEqual(["04"]);
    // An entry that has moved is new.
    send(second, 4);
    await received(6);
    expect(flush("dst", "192.0.2.3")).toBe("flushed 0\n");
    expect(flush("state", "all", "port", "4789")).toBe("flushed 1\n");
    expect(flush("state", "static", "port", "4790", "vni", "42")).toBe("flushed 1\n");
    expect(learned()).toEqual({ "192.0.2.2": 0, "192.0.2.3": 0 });
    // What went is flooded, and learned again.
    second.clear();
    third.clear();
    left.ip("neigh", "replace", "10.42.0.5", "lladdr", macOf(4), "dev", "ov0");
    left.exec("ping", ["-c", "1", "-W", "0.1", "10.42.0.5"]);
    await Promise.all([second.receive(), third.receive()]);
    send(third, 4);
    await received(7);
    expect(daemon.learned("ov0")).toEqual([`${macOf(4)} 192.0.2.3`]);
  });
});
