/**
 * Disks that are full or cannot be written to, wherever the daemon writes: the log, the control socket's directory, the state
 * directory. That of the journal while it grows is in state.test.ts.
 *
 *   left: vtepd, ov0 --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const VTEPD = fileURLToPath(new URL("../../dist/vtepd.js", import.meta.url));
const TUNNELS = "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }";
const ENTRY = { mac: "02:00:00:00:00:05", dst: "192.0.2.2", verb: "add" };

let lab: Lab;
let left: Host;
let folder: string;
/** On a disk of its own. */
let disk: string;

const mount = (...options: readonly string[]): void =>
  void execFileSync("mount", ["-t", "tmpfs", "-o", options.join(","), "tmpfs", disk]);

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  const right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip("link", "add", "vx42", "type", "vxlan", "id", "42", "dstport", "4789", "remote", "192.0.2.1");
  right.address("vx42", "10.42.0.2/24");
  folder = temporaryDirectory();
  disk = join(folder, "disk");
  mkdirSync(disk);
});
afterEach(async () => {
  await lab.close();
  execFileSync("umount", ["--quiet", "--lazy", disk]);
  rmSync(folder, { recursive: true, force: true });
});

const pings = (): boolean => left.exec("ping", ["-c", "1", "-W", "1", "10.42.0.2"]).status === 0;

describe("a log that cannot be written", () => {
  it("stops nothing, neither that of changes nor that of errors, and goes on when there is room", async () => {
    mount("size=64k");
    const [log, socket, file] = [join(disk, "log"), join(folder, "control.sock"), join(folder, "vtepd.yaml")];
    const write = (tunnels: string): void =>
      writeFileSync(
        file,
        `version: 1\ndaemon: { workers: 1, state-directory: ${folder}/state, control: { socket: ${socket} } }\ntunnels: ${tunnels}\n`,
      );
    write(TUNNELS);
    const program = [process.execPath, VTEPD, "--config", file];
    const child: Child = left.spawn("bash", ["-c", 'exec "$@" >>"$0" 2>&1', log, ...program]);
    const call = (method: string, path: string, body?: unknown) => unixJson(socket, method, path, body);
    await waitFor(() => readFileSync(log, "utf8").includes("vtepd is forwarding"), {
      timeoutMs: 30_000,
      what: "the start",
    });
    writeFileSync(join(disk, "rest"), ""); // has its inode before
    execFileSync("bash", ["-c", `cat /dev/zero 2>/dev/null >>${join(disk, "rest")}; true`]);
    // What is left of the log's last page.
    for (let n = 0; n < 40; n++) expect((await call("POST", "/v1/links/ov0/trace", { frame: "zz" })).status).toBe(400);
    const before = readFileSync(log, "utf8").length;
    expect((await call("POST", "/v1/links/ov0/fdb", ENTRY)).status).toBe(204);
    write("{ ov0: { mode: vxlan, id: 16777216 } }");
    child.signal("SIGHUP"); // told on stderr
    const reload = async (): Promise<unknown> => JSON.parse((await call("GET", "/v1/status")).text).reload.successful;
    await waitFor(async () => (await reload()) === false, { what: "the reload" });
    await waitFor(pings, { what: "a ping", timeoutMs: 10_000 });
    expect(readFileSync(log, "utf8")).toHaveLength(before);
    rmSync(join(disk, "rest"));
    expect((await call("DELETE", "/v1/links/ov0/fdb/02:00:00:00:00:05")).status).toBe(204);
    await waitFor(() => /"lost":\d+,"msg":"lines of the log could not be written"/.test(readFileSync(log, "utf8")), {
      what: () => readFileSync(log, "utf8").slice(before),
    });
    expect(await child.stop()).toEqual({ code: 0, signal: null });
    expect(left.ipJson("link", "show")).toHaveLength(2);
  }, 60_000);
});

describe("a control socket that cannot be made", () => {
  it("ends the start, which says why", async () => {
    mount("nr_inodes=1");
    const { child } = RunningDaemon.launch(left, TUNNELS, { socket: join(disk, "control.sock") });
    expect((await child.wait(20_000)).code).toBe(2);
    expect(child.stderr).toMatch(/ERR_CONTROL_SOCKET: cannot listen on the control socket .*ENOSPC/);
    expect(left.ipJson("link", "show")).toHaveLength(2);
  }, 60_000);
});

describe("a state directory that cannot be written to", () => {
  it("is told at the start, and every change is refused with the reason, until it can", async () => {
    mount("size=4m", "ro");
    const daemon = `state-directory: ${disk}/state, keep-devices: true`;
    const settings = { daemon, socket: join(folder, "control.sock") };
    const { child, socket } = await RunningDaemon.start(left, TUNNELS, settings);
    expect(child.stdout).toMatch(
      /"code":"ERR_JOURNAL","reason":"[^"]*EROFS[^"]*","msg":"changes over the control socket/,
    );
    expect(child.stdout).toMatch(/EROFS.*"msg":"devices cannot be kept"/);
    const call = (method: string, path: string, body?: unknown) => unixJson(socket, method, path, body);
    const status = async () => JSON.parse((await call("GET", "/v1/status")).text) as { journal: { failure?: string } };
    expect((await status()).journal.failure).toContain("EROFS");
    const link = { name: "ov1", mode: "vxlan", id: 43, remote: "192.0.2.2" };
    for (const [path, body] of [
      ["/v1/links/ov0/fdb", ENTRY],
      ["/v1/links", link],
    ] as const) {
      const { status: code, text } = await call("POST", path, body);
      expect({ httpStatus: code, ...JSON.parse(text) }).toMatchObject({
        httpStatus: 503,
        code: "ERR_JOURNAL",
        detail: expect.stringContaining("EROFS"),
      });
    }
    expect(left.ipJson("link", "show")).toHaveLength(3);
    await waitFor(pings, { what: "a ping", timeoutMs: 10_000 });
    execFileSync("mount", ["-o", "remount,rw", disk]);
    expect((await call("POST", "/v1/links", link)).status).toBe(201);
    expect((await status()).journal.failure).toBeUndefined();
    expect(await child.stop()).toEqual({ code: 0, signal: null });
    // The device of before could not be written down as ours, so it went; the other one stays.
    expect(left.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname)).toEqual(["lo", "eth0", "ov1"]);
    execFileSync("mount", ["-o", "remount,ro", disk]);
    const fresh = RunningDaemon.launch(left, TUNNELS, { ...settings, flags: ["--fresh"] });
    expect((await fresh.child.wait(20_000)).code).toBe(2);
    expect(fresh.child.stderr).toMatch(/ERR_JOURNAL: cannot forget what is in .*EROFS/);
  }, 60_000);
});
