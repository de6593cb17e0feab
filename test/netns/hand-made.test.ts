/**
 * What is said of tunnels by hand beside what their settings say: whose word it is after a reload and after a restart, and what
 * becomes of it when the tunnel becomes another one.
 *
 *   left: vtepd, ov0 (of the file) --- 192.0.2.1, fd00:192::1
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readJournal } from "../../src/daemon/journal.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { type UnixAnswer, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let daemon: RunningDaemon;
let folder: string;

const MEMBER = "00:00:00:00:00:00";
const FILE_MACS = ["02:00:00:00:01:01", "02:00:00:00:01:02"] as const;
const HAND_MAC = "02:00:00:00:02:01";
const file = (more = "", local = "192.0.2.1"): string => `{ ov0: { mode: vxlan, id: 42, local: "${local}"${more} } }`;
const entries = FILE_MACS.map((mac) => `{ mac: "${mac}", dst: 192.0.2.21 }`).join();
const FULL = file(`, flood: [192.0.2.21, 192.0.2.22], fdb: [${entries}]`);

const start = async (tunnels: string): Promise<void> => {
  const more = `state-directory: ${join(folder, "state")}`;
  daemon = await RunningDaemon.start(left, tunnels, { daemon: more, socket: join(folder, "control.sock") });
};
const kill = async (): Promise<void> => {
  daemon.child.signal("SIGKILL");
  await daemon.child.exited;
};
const call = (method: string, path: string, body?: unknown): Promise<UnixAnswer> =>
  unixJson(daemon.socket, method, path, body);
const run = async (...changes: readonly object[]): Promise<number> =>
  (await call("POST", "/v1/changes", { changes })).status;
const reload = (tunnels: string): Promise<UnixAnswer> => {
  daemon.rewrite(tunnels);
  return call("POST", "/v1/config/reload");
};
const waiting = async (): Promise<number> =>
  (JSON.parse((await call("GET", "/v1/status")).text) as { journal: { waiting: number } }).journal.waiting;
const fdb = (): string[] =>
  daemon
    .fdb("ov0")
    .map(({ mac, dst, port, vtepd }) => `${mac} ${dst} ${port ?? "-"} ${vtepd!.owner}`)
    .sort();

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  lab.wire(left, "eth0", lab.host("right"), "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.address("eth0", "fd00:192::1/64");
  folder = temporaryDirectory();
});
afterEach(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

it("the file's word holds when it is read, by a reload and by a start alike", async () => {
  const ofFile = [
    `${MEMBER} 192.0.2.21 - config`,
    `${MEMBER} 192.0.2.22 - config`,
    ...FILE_MACS.map((mac) => `${mac} 192.0.2.21 - config`),
  ];
  const alter = async (): Promise<void> => {
    expect(
      await run(
        { op: "fdb-del", dev: "ov0", mac: FILE_MACS[0] },
        { op: "fdb", dev: "ov0", verb: "replace", mac: FILE_MACS[1], dst: "192.0.2.61" },
        { op: "fdb", dev: "ov0", verb: "replace", mac: HAND_MAC, dst: "192.0.2.61", port: 4789 },
        { op: "flood-set", dev: "ov0", members: [{ dst: "192.0.2.22" }, { dst: "192.0.2.62", port: 7000 }] },
      ),
    ).toBe(204);
    expect(fdb()).toEqual([
      `${MEMBER} 192.0.2.22 - config`,
      `${MEMBER} 192.0.2.62 7000 control`,
      `${FILE_MACS[1]} 192.0.2.61 - control`,
      `${HAND_MAC} 192.0.2.61 - control`,
    ]);
  };
  await start(FULL);
  await alter();
  expect(JSON.parse((await reload(FULL)).text)).toMatchObject({ unchanged: 1, changed: {} });
  const both = [...ofFile, `${MEMBER} 192.0.2.62 7000 control`, `${HAND_MAC} 192.0.2.61 - control`].sort();
  expect(fdb()).toEqual(both);
  await alter();
  await kill();
  await start(FULL);
  expect(fdb()).toEqual(both);
  // What the file has taken over goes with the file, and a port that was the tunnel's own stays that.
  for (const step of [(text: string) => reload(text), async (text: string) => kill().then(() => start(text))]) {
    await step(FULL);
    await alter();
    await step(file(", port: 5000"));
    expect(fdb()).toEqual([
      `${MEMBER} 192.0.2.62 7000 control`,
      `${FILE_MACS[1]} 192.0.2.61 - control`,
      `${HAND_MAC} 192.0.2.61 - control`,
    ]);
    expect(await run({ op: "fdb-del", dev: "ov0", mac: FILE_MACS[1] })).toBe(204);
  }
});

it("a reload that it would not fit is refused, and after a start it waits until it fits", async () => {
  await start(file(", arp-proxy: true"));
  const neighbour = { op: "neighbour", dev: "ov0", verb: "add", address: "10.42.0.9", mac: HAND_MAC };
  expect(await run({ op: "fdb", dev: "ov0", verb: "add", mac: HAND_MAC, dst: "192.0.2.61" }, neighbour)).toBe(204);
  const said = [`${HAND_MAC} 192.0.2.61 - control`];
  const six = file(", arp-proxy: true", "fd00:192::1");
  for (const text of [six, file()]) {
    const { status, text: problem } = await reload(text);
    expect(status).toBe(400);
    expect(JSON.parse(problem)).toMatchObject({ code: "ERR_CONFIG_CONFLICT", path: "tunnels.ov0" });
    expect(problem).toContain("expected what was made by hand to fit");
    expect(fdb()).toEqual(said);
  }
  await kill();
  await start(six);
  expect([fdb(), await waiting()]).toEqual([[], 1]);
  expect(daemon.vtepctl("status").stdout).toMatch(/^journal .* waiting 1$/m);
  await kill();
  await start(file(", arp-proxy: true"));
  expect([fdb(), await waiting()]).toEqual([said, 0]);
  await kill();
  await start(six);
  expect((await reload(file(", arp-proxy: true"))).status).toBe(200);
  await waitFor(() => fdb().length > 0, { what: "the entry" });
  expect([fdb(), await waiting()]).toEqual([said, 0]);
  // What waits can be deleted.
  await kill();
  await start(six);
  expect(await run({ op: "fdb-del", dev: "ov0", mac: HAND_MAC })).toBe(204);
  expect(await waiting()).toBe(0);
  await kill();
  await start(file(", arp-proxy: true"));
  expect(fdb()).toEqual([]);
  expect(daemon.vtepctl("neigh").stdout).toContain("10.42.0.9");
});

it("stays with its underlay interface when the tunnel is made anew, and waits for it after a start", async () => {
  const plug = (): void => {
    left.ip("link", "add", "eth9", "type", "veth", "peer", "name", "eth9p");
    left.ip("link", "set", "eth9p", "up");
    left.address("eth9", "198.51.100.1/24");
  };
  plug();
  await start(file());
  expect(await run({ op: "fdb", dev: "ov0", verb: "add", mac: HAND_MAC, dst: "192.0.2.61", via: "eth9" })).toBe(204);
  expect(JSON.parse((await reload(file(", fwmark: 7"))).text)).toMatchObject({ remade: ["ov0"] });
  const said = [`${HAND_MAC} 192.0.2.61 - control`];
  expect([fdb(), daemon.fdb("ov0")[0]!.viaIf]).toEqual([said, "eth9"]);
  await kill();
  left.ip("link", "del", "eth9");
  await start(file());
  expect([fdb(), await waiting()]).toEqual([[], 1]);
  plug();
  await waitFor(() => fdb().length > 0, { what: "the entry", timeoutMs: 12_000 });
  expect([fdb(), await waiting()]).toEqual([said, 0]);
});

it("is kept as far as it is understood when a later version has written the journal", async () => {
  await start(file());
  expect(await run({ op: "fdb", dev: "ov0", verb: "add", mac: HAND_MAC, dst: "192.0.2.61" })).toBe(204);
  await kill();
  const state = join(folder, "state");
  const path = join(state, readdirSync(state).find((name) => name.endsWith(".journal"))!);
  const { bytes } = await readJournal(path);
  const records = ['[{"op":"mirror","dev":"ov0"},{"op":"flood","dev":"ov0","dst":"192.0.2.62"}]', "{}"].map((text) => {
    const header = Buffer.alloc(8);
    header.writeUInt32LE(text.length, 0);
    header.writeUInt32LE(crc32(text), 4);
    return Buffer.concat([header, Buffer.from(text)]);
  });
  const before = Buffer.concat([readFileSync(path).subarray(0, bytes), ...records]);
  writeFileSync(path, before);
  await start(file());
  expect(daemon.child.stdout + daemon.child.stderr).toMatch(/"unknown":2.*changes of another version/);
  const kept = [`${MEMBER} 192.0.2.62 - control`, `${HAND_MAC} 192.0.2.61 - control`];
  expect(fdb()).toEqual(kept);
  expect(readFileSync(`${path}.damaged`).equals(before)).toBe(true);
  rmSync(`${path}.damaged`);
  await kill();
  await start(file());
  expect([fdb(), existsSync(`${path}.damaged`)]).toEqual([kept, false]);
});
