/**
 * What outlives the daemon: tunnels and entries made over the control socket, through stops, kills and full disks, and what was
 * learned.
 *
 *   left: vtepd, ov0 (of the file) --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync as readdir, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { type UnixAnswer, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
let folder: string;
let state: string;

const OV0 =
  "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24], arp-proxy: true } }";
const VX = { mode: "vxlan", id: 43, local: "192.0.2.1", remote: "192.0.2.2" };

const start = async (flags: readonly string[] = [], tunnels = OV0): Promise<void> => {
  const more = `state-directory: ${state}`;
  daemon = await RunningDaemon.start(left, tunnels, { daemon: more, flags, socket: join(folder, "control.sock") });
};
const again = async (flags: readonly string[] = [], tunnels = OV0): Promise<void> => {
  await daemon.stop();
  await start(flags, tunnels);
};
const kill = async (): Promise<void> => {
  daemon.child.signal("SIGKILL");
  await daemon.child.exited;
};
const call = (method: string, path: string, body?: unknown): Promise<UnixAnswer> =>
  unixJson(daemon.socket, method, path, body);
const run = async (changes: readonly object[]): Promise<UnixAnswer> => call("POST", "/v1/changes", { changes });
const macOf = (n: number): string =>
  `02:00:${[24, 16, 8, 0].map((shift) => ((n >> shift) & 255).toString(16).padStart(2, "0")).join(":")}`;
const entry = (n: number, dev = "ov0") => ({ op: "fdb", dev, verb: "add", mac: macOf(n), dst: "192.0.2.2" });

/** What was made by hand, as text. */
const byHand = (): string[] =>
  daemon
    .json<{ ifname: string; mac: string; dst: string; vtepd: { owner: string } }[]>("fdb", "show")
    .filter(({ vtepd }) => vtepd.owner === "control")
    .map(({ ifname, mac, dst }) => `${ifname} ${mac} ${dst}`)
    .sort();
const links = (): string[] => daemon.json<{ ifname: string }[]>("link", "show").map(({ ifname }) => ifname);

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  folder = temporaryDirectory();
  state = join(folder, "state");
});
afterEach(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("what was made by hand", () => {
  it("is there after a stop, a kill and a reload, and after --fresh it is not", async () => {
    await start();
    expect((await call("POST", "/v1/links", { name: "ov43", ...VX, addresses: ["10.43.0.1/24"] })).status).toBe(201);
    expect((await call("PATCH", "/v1/links/ov43", { ageing: 77 })).status).toBe(200);
    expect((await run([entry(1), entry(2, "ov43")])).status).toBe(204);
    expect(daemon.vtepctl("flood", "add", "ov43", "dst", "192.0.2.7").status).toBe(0);
    expect(daemon.vtepctl("neigh", "add", "10.42.0.9", "lladdr", "02:00:00:00:00:09", "dev", "ov0").status).toBe(0);
    expect((await call("POST", "/v1/links", { name: "ov44", ...VX, id: 44 })).status).toBe(201);
    expect((await call("DELETE", "/v1/links/ov44")).status).toBe(204);
    const made = byHand();
    expect(made).toEqual([
      `ov0 ${macOf(1)} 192.0.2.2`,
      "ov43 00:00:00:00:00:00 192.0.2.7",
      `ov43 ${macOf(2)} 192.0.2.2`,
    ]);
    const same = (): void => {
      expect(byHand()).toEqual(made);
      expect(links()).toEqual(["ov0", "ov43"]);
      expect(daemon.json("link", "show", "ov43")).toMatchObject([{ linkinfo: { info_data: { ageing: 77 } } }]);
      expect(daemon.vtepctl("neigh").stdout).toContain("10.42.0.9 dev ov0 lladdr 02:00:00:00:00:09 PERMANENT");
      expect(left.ip("addr", "show", "ov43")).toContain("10.43.0.1/24");
    };
    await again();
    same();
    await kill();
    await start();
    same();
    expect((await call("POST", "/v1/config/reload")).status).toBe(200);
    same();
    // The file comes to have one of them: it is the file's, now and later; what was said of it stays.
    const both = OV0.replace(/ }$/, ", ov43: { mode: vxlan, id: 50, local: 192.0.2.1 } }");
    daemon.rewrite(both);
    expect((await call("POST", "/v1/config/reload")).status).toBe(200);
    expect((await call("DELETE", "/v1/links/ov43")).status).toBe(409);
    expect(byHand()).toEqual(made);
    await again([], both);
    expect(byHand()).toEqual(made);
    await again(["--fresh"]);
    expect(byHand()).toEqual([]);
    expect(links()).toEqual(["ov0"]);
    await again();
    expect(byHand()).toEqual([]);
    // Who makes by hand what the daemon has restored finds it as after a start of the host, once: not there.
    const line = "link add ov45 type vxlan id 45 dstport 4789 local 192.0.2.1".split(" ");
    expect(daemon.vtepctl(...line)).toMatchObject({ status: 0, stderr: "" });
    expect((await run([entry(1, "ov45")])).status).toBe(204);
    await again();
    expect(byHand()).toEqual([`ov45 ${macOf(1)} 192.0.2.2`]);
    expect(daemon.vtepctl(...line)).toMatchObject({ status: 0, stderr: "" });
    expect(byHand()).toEqual([]);
    expect(daemon.vtepctl(...line)).toMatchObject({ status: 2, stderr: expect.stringContaining("File exists: ") });
  });

  it("is there though the end of the journal is not, and what cannot be made yet waits", async () => {
    const plug = (): void => {
      left.ip("link", "add", "eth9", "type", "veth", "peer", "name", "eth9p");
      left.ip("link", "set", "eth9p", "up");
      left.address("eth9", "198.51.100.1/24");
    };
    plug();
    await start();
    const ends = { local: "198.51.100.1", remote: "198.51.100.2", link: "eth9" };
    expect((await call("POST", "/v1/links", { name: "ov9", ...VX, id: 9, ...ends })).status).toBe(201);
    expect((await run([entry(1), entry(2, "ov9")])).status).toBe(204);
    expect((await run([entry(3)])).status).toBe(204);
    await kill();
    const journal = join(state, readdir(state).find((name) => name.endsWith(".journal"))!);
    const text = readFileSync(journal);
    const last = text.lastIndexOf(macOf(3));
    truncateSync(journal, last + 3);
    left.ip("link", "del", "eth9");
    await start();
    expect(daemon.child.stdout + daemon.child.stderr).toContain("the journal ends in a record that a crash has cut");
    expect(byHand()).toEqual([`ov0 ${macOf(1)} 192.0.2.2`]);
    expect(links()).toEqual(["ov0"]);
    for (const line of ["link show ov9", "link set ov9 up", "link set ov9 type vxlan ttl 9"]) {
      expect(daemon.vtepctl(...line.split(" "))).toMatchObject({
        status: 2,
        stderr: expect.stringMatching(/^vtepctl: .*ov9 was made by hand and waits, until then .*: .*eth9/),
      });
    }
    // Changes go on, and what waits is not lost by them.
    expect((await run([entry(4)])).status).toBe(204);
    await again();
    expect(byHand()).toEqual([`ov0 ${macOf(1)} 192.0.2.2`, `ov0 ${macOf(4)} 192.0.2.2`]);
    plug();
    await waitFor(() => links().includes("ov9"), { what: "ov9 to be made" });
    expect(byHand()).toContain(`ov9 ${macOf(2)} 192.0.2.2`);
  });
});

describe("what was said of a tunnel of the file", () => {
  it("ends with the tunnel, also when the file has it again later", async () => {
    const both = OV0.replace(/ }$/, ", ov43: { mode: vxlan, id: 43, local: 192.0.2.1 } }");
    await start([], both);
    expect((await run([entry(1), entry(2, "ov43")])).status).toBe(204);
    daemon.rewrite(OV0);
    expect((await call("POST", "/v1/config/reload")).status).toBe(200);
    await again([], both);
    expect(byHand()).toEqual([`ov0 ${macOf(1)} 192.0.2.2`]);
    // The same while vtepd is away.
    expect((await run([entry(3, "ov43")])).status).toBe(204);
    await again();
    await again([], both);
    expect(byHand()).toEqual([`ov0 ${macOf(1)} 192.0.2.2`]);
  });
});

describe("many changes in one call", () => {
  it("that cannot be made leave tunnels that had gone before as they were, with what was said and learned", async () => {
    await start();
    const made = { op: "link-add", name: "ov43", settings: { ...VX, addresses: ["10.43.0.1/24"] } };
    expect((await run([made, entry(1, "ov43")])).status).toBe(204);
    const { ifindex } = left.ipJson("link", "show", "ov43")[0];
    const nothing = { op: "fdb-del", dev: "ov0", mac: macOf(9) };
    expect((await run([{ op: "link-del", name: "ov43" }, nothing])).status).toBe(404);
    const other = { op: "link-set", name: "ov43", settings: { fwmark: 7, addresses: ["10.44.0.1/24"] } };
    expect((await run([other, nothing])).status).toBe(404);
    expect(byHand()).toEqual([`ov43 ${macOf(1)} 192.0.2.2`]);
    const addresses = (): string[] =>
      left.ipJson("-4", "addr", "show", "ov43")[0].addr_info.map(({ local }: { local: string }) => local);
    expect(addresses()).toEqual(["10.43.0.1"]);
    // Deleted and made in one call: nothing was said of the new one, now and later.
    const anew = [{ op: "link-del", name: "ov43" }, made];
    expect((await run([...anew, nothing])).status).toBe(404);
    expect(byHand()).toEqual([`ov43 ${macOf(1)} 192.0.2.2`]);
    expect((await run([...anew, entry(2, "ov43")])).status).toBe(204);
    expect(byHand()).toEqual([`ov43 ${macOf(2)} 192.0.2.2`]);
    expect((await run([other])).status).toBe(204);
    expect(addresses()).toEqual(["10.44.0.1"]);
    expect(left.ipJson("link", "show", "ov43")[0]).toMatchObject({ ifindex });
  });

  it("happen all or not at all, and the error says which was wrong", async () => {
    await start();
    const add = { op: "link-add", name: "ov43", settings: VX };
    const flood = { op: "flood", dev: "ov43", dst: "192.0.2.7" };
    for (const [changes, code, path] of [
      [[entry(1), { ...entry(2), dst: "nonsense/" }], "ERR_CONFIG_VALUE", "changes.1.dst"],
      [[entry(1), { ...entry(2), bogus: 1 }], "ERR_USAGE", "changes.1.bogus"],
      [[entry(1), { ...entry(2), dst: "192.0.2.1" }], "ERR_CONFIG_CONFLICT", "changes.1.dst"],
      [[entry(1), entry(2), entry(1)], "ERR_FDB_ENTRY_EXISTS", "changes.2.mac"],
      [[add, flood, entry(2, "nosuch")], "ERR_LINK_NOT_FOUND", "changes.2"],
      [[add, { ...add, name: "ov45" }], "ERR_CONFIG_CONFLICT", "tunnels.ov45.id"],
      [[{ op: "link-del", name: "ov0" }, entry(1)], "ERR_LINK_OWNER", "changes.0"],
      [[entry(1), add], "ERR_USAGE", "changes"],
      [[entry(1), { op: "nonsense" }], "ERR_CONFIG_VALUE", "changes.1.op"],
    ] as const) {
      const answer = await run(changes);
      expect({ status: answer.status >= 400, ...JSON.parse(answer.text) }).toMatchObject({ code, path });
      expect(byHand()).toEqual([]);
      expect(links()).toEqual(["ov0"]);
    }
    expect((await run([add, flood, entry(1, "ov43"), { op: "flood-set", dev: "ov0", members: [] }])).status).toBe(204);
    expect(byHand()).toHaveLength(2);
    expect(daemon.json("flood", "show", "ov0")).toEqual([]);
    const made = byHand();
    const undone = [
      { ...entry(1, "ov43"), verb: "replace", dst: "192.0.2.3" },
      { op: "fdb-del", dev: "ov43", mac: macOf(1) },
      entry(2, "ov43"),
      { ...flood, op: "flood-del" },
      entry(3, "nosuch"),
    ];
    expect((await run(undone)).status).toBe(404);
    expect(byHand()).toEqual(made);
    await again();
    expect(byHand()).toHaveLength(2);
  });
});

describe("a full disk", () => {
  it("refuses changes before they have an effect, disturbs nothing else, and is no harm once there is room", async () => {
    mkdirSync(state);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", state]);
    try {
      await start();
      const batch = (n: number) => Array.from({ length: 400 }, (_, index) => entry(n * 1000 + index));
      let count = 0;
      let answer = await run(batch(0));
      for (; answer.status === 204 && count < 20; answer = await run(batch(count))) count++;
      expect({ count: count > 0, status: answer.status }).toEqual({ count: true, status: 503 });
      expect(JSON.parse(answer.text)).toMatchObject({ code: "ERR_JOURNAL", detail: expect.stringContaining("ENOSPC") });
      expect(byHand()).toHaveLength(count * 400);
      expect(daemon.vtepctl("status").stdout).toMatch(/^journal \S+ bytes \d+ failed: .*ENOSPC/m);
      expect((await call("GET", "/metrics")).text).toMatch(/^vtepd_journal_failed 1$/m);
      // Tunnels, too: here 40 of them in one call, each with a long flood list.
      const { remote: _, ...plain } = VX;
      const flood = Array.from({ length: 250 }, (_, n) => `198.51.100.${n + 1}`);
      const many = Array.from({ length: 40 }, (_, n) => ({
        op: "link-add",
        name: `ov${50 + n}`,
        settings: { ...plain, id: 50 + n, flood },
      }));
      expect((await run(many)).status).toBe(503);
      expect(links()).toEqual(["ov0"]);
      execFileSync("mount", ["-o", "remount,size=4m", state]);
      expect((await run(batch(count))).status).toBe(204);
      await kill();
      await start();
      expect(byHand()).toHaveLength((count + 1) * 400);
    } finally {
      await daemon.stop();
      execFileSync("umount", [state]);
    }
  });

  it("keeps no half of a shorter journal, which would be what fills it", async () => {
    mkdirSync(state);
    // Room for the journal to grow until it is to be rewritten, not for it and 1.4 MB more of what is in it.
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", state]);
    try {
      await start();
      const batch = (n: number) => Array.from({ length: 500 }, (_, index) => entry(n * 1000 + index));
      let count = 0;
      while ((await run(batch(count))).status === 204) count++;
      expect(count).toBeGreaterThan(20);
      expect(byHand()).toHaveLength(count * 500);
      expect(readdir(state).filter((name) => name.endsWith(".new"))).toEqual([]);
      await kill();
      await start();
      expect(byHand()).toHaveLength(count * 500);
    } finally {
      await daemon.stop();
      execFileSync("umount", [state]);
    }
  });
});

describe("a state directory that cannot be written to", () => {
  it("gives back what is there, refuses changes and --fresh, and takes changes when it can be written to", async () => {
    mkdirSync(state);
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", state]);
    try {
      await start();
      expect((await run([entry(1)])).status).toBe(204);
      await daemon.stop();
      execFileSync("mount", ["-o", "remount,ro", state]);
      await start();
      expect(byHand()).toEqual([`ov0 ${macOf(1)} 192.0.2.2`]);
      const refused = await run([{ op: "link-add", name: "ov43", settings: VX }, entry(2)]);
      expect(refused.status).toBe(503);
      expect(JSON.parse(refused.text)).toMatchObject({ code: "ERR_JOURNAL", detail: expect.stringContaining("EROFS") });
      expect(links()).toEqual(["ov0"]);
      expect((await call("POST", "/v1/config/reload")).status).toBe(200);
      execFileSync("mount", ["-o", "remount,rw", state]);
      expect((await run([entry(2)])).status).toBe(204);
      await kill();
      execFileSync("mount", ["-o", "remount,ro", state]);
      const fresh = RunningDaemon.launch(left, OV0, {
        daemon: `state-directory: ${state}`,
        flags: ["--fresh"],
        socket: daemon.socket,
      });
      expect(await fresh.child.exited).toMatchObject({ code: 2 });
      expect(fresh.child.stderr + fresh.child.stdout).toContain("ERR_JOURNAL");
      await start();
      expect(byHand()).toHaveLength(2);
    } finally {
      await daemon.stop();
      execFileSync("umount", [state]);
    }
  });
});

describe("kill -9", () => {
  it("at any moment loses nothing that was answered", async () => {
    await start();
    const model = new Set<string>();
    for (let round = 0; round < 8; round++) {
      let isOver = false;
      const unsure = new Set<string>();
      const hammer = async (lane: number): Promise<void> => {
        for (let n = 0; !isOver; n++) {
          const mac = macOf(lane * 1_000_000 + (n % 50));
          const text = `ov0 ${mac} 192.0.2.2`;
          unsure.add(text);
          const isThere = model.has(text);
          const change = isThere ? { op: "fdb-del", dev: "ov0", mac } : { ...entry(0), mac };
          const { status } = await run([change]).catch(() => ({ status: 0 }));
          if (status === 0) return;
          expect(status).toBe(204);
          if (isThere) model.delete(text);
          else model.add(text);
          unsure.delete(text);
        }
      };
      const lanes = [1, 2, 3].map(hammer);
      await new Promise((resolve) => setTimeout(resolve, 50 + 37 * round));
      await kill();
      isOver = true;
      await Promise.all(lanes);
      await start();
      const now = new Set(byHand());
      const sure = (all: Iterable<string>): string[] => [...all].filter((text) => !unsure.has(text)).sort();
      expect(sure(now)).toEqual(sure(model));
      for (const text of unsure)
        if (now.has(text)) model.add(text);
        else model.delete(text);
    }
    expect(model.size).toBeGreaterThan(10);
  });
});

describe("what was learned", () => {
  it("comes back with its age, if its remote VTEP does and it is not too old", async () => {
    right.ip(
      "link",
      "add",
      "vx42",
      "type",
      "vxlan",
      "id",
      "42",
      "local",
      "192.0.2.2",
      "remote",
      "192.0.2.1",
      "dstport",
      "4789",
    );
    right.address("vx42", "10.42.0.2/24");
    await start();
    left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]);
    const learned = daemon.learned("ov0");
    expect(learned).toHaveLength(1);
    right.ip("link", "set", "vx42", "down");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await again();
    expect(daemon.learned("ov0")).toEqual(learned);
    const [entryBack] = daemon
      .json<{ state: string; used: number }[]>("-s", "fdb", "show", "dev", "ov0")
      .filter(({ state: kind }) => kind === "");
    expect(entryBack!.used).toBeGreaterThanOrEqual(1);
    // A kill keeps what was written last; half a file is none.
    await kill();
    await start();
    expect(daemon.learned("ov0")).toEqual(learned);
    await kill();
    const path = join(state, readdir(state).find((name) => name.endsWith(".learned"))!);
    const text = readFileSync(path);
    for (const spoilt of [text.subarray(0, -2), Buffer.from(text.toString().replace("learned 1", "learned 2"))]) {
      writeFileSync(path, spoilt);
      await start();
      expect(daemon.child.stdout + daemon.child.stderr).toContain("damaged or of another version; it is not used");
      expect(daemon.learned("ov0")).toEqual([]);
      await kill();
    }
    writeFileSync(path, text);
    await start();
    expect(daemon.learned("ov0")).toEqual(learned);
    await again([], OV0.replace("arp-proxy: true", "ageing: 1"));
    expect(daemon.learned("ov0")).toEqual([]);
    await again(["--fresh"]);
    expect(daemon.learned("ov0")).toEqual([]);
  });
});
