/** The unit: systemd takes it, it is confined, and the daemon works with no more rights than it gives. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const UNIT = readFileSync(file("systemd/vtepd.service"), "utf8");
const VTEPD = file("dist/vtepd.js");
/** `systemd-analyze security`, 0 = locked up, 10 = free, times ten. */
const MAX_EXPOSURE = 25;

const settingOf = (key: string): string => new RegExp(`^${key}=(.*)$`, "m").exec(UNIT)![1]!;

let folder: string;
let unit: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-unit-"));
  unit = join(folder, "vtepd.service");
  writeFileSync(unit, UNIT.replace("/usr/bin/vtepd", VTEPD).replace("/usr/bin/vtepctl", file("dist/vtepctl.js")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const analyze = (...args: readonly string[]): { status: number | null; text: string } => {
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { encoding: "utf8" });
  return { status, text: `${stdout}${stderr}` };
};

describe("systemd/vtepd.service", () => {
  it.each([false, true])("is understood by systemd, with the drop-in for namespaces: %s", (withDropIn) => {
    if (withDropIn) {
      mkdirSync(`${unit}.d`);
      copyFileSync(file("systemd/vtepd.service.d/50-netns.conf"), join(`${unit}.d`, "50-netns.conf"));
    }
    expect(analyze("verify", unit)).toEqual({ status: 0, text: "" });
  });

  it(`is exposed to at most ${MAX_EXPOSURE / 10} of 10`, () => {
    const { status, text } = analyze("security", "--offline=true", `--threshold=${MAX_EXPOSURE}`, unit);
    expect(text).toContain("Overall exposure level");
    expect({ status, text }).toMatchObject({ status: 0 });
  });

  it("does not forbid what a JavaScript engine needs", () => {
    expect(UNIT).not.toMatch(/^MemoryDenyWriteExecute=/m);
  });
});

describe("systemd/vtepd.socket", () => {
  it("is understood by systemd, and is where the daemon listens by default", () => {
    const socket = join(folder, "vtepd.socket");
    copyFileSync(file("systemd/vtepd.socket"), socket);
    expect(analyze("verify", socket)).toEqual({ status: 0, text: "" });
    const [, path] = /^ListenStream=(.*)$/m.exec(readFileSync(socket, "utf8"))!;
    expect(readFileSync(file("config/README.md"), "utf8")).toContain(`\`${path}\``);
  });
});

describe("the daemon with the rights of the unit", () => {
  let lab: Lab;
  beforeEach(() => {
    lab = Lab.create();
  });
  afterEach(() => lab.close());

  it("carries a ping as a user without other rights", async () => {
    const [left, right] = [lab.host("left"), lab.host("right")];
    lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
    right.ip("link", "add", "vx42", "type", "vxlan", "id", "42", "dstport", "4789", "remote", "192.0.2.1");
    right.address("vx42", "10.42.0.2/24");
    const config = join(folder, "vtepd.yaml");
    const daemon = `{ workers: 1, control: { socket: ${folder}/run/control.sock } }`;
    const tunnel = "{ mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] }";
    writeFileSync(config, `version: 1\ndaemon: ${daemon}\ntunnels: { ov0: ${tunnel} }\n`);
    chmodSync(folder, 0o777);
    const capabilities = settingOf("CapabilityBoundingSet").toLowerCase().replaceAll("cap_", "+").split(" ").join(",");
    expect(settingOf("AmbientCapabilities")).toBe(settingOf("CapabilityBoundingSet"));
    const rights = ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"];
    const sets = [`--inh-caps=-all,${capabilities}`, `--ambient-caps=-all,${capabilities}`];
    const bounding = `--bounding-set=-all,${capabilities}`;
    // As udev makes it: for everybody, since making a device needs a capability anyway. A container's may be root's alone.
    const tun = `mknod -m 666 ${folder}/tun c 10 200 && mount --bind ${folder}/tun /dev/net/tun && exec "$@"`;
    const program = ["setpriv", ...rights, ...sets, bounding, process.execPath, VTEPD, "--config", config];
    const child = left.spawn("unshare", ["--mount", "bash", "-c", tun, "bash", ...program]);
    await child.waitForOutput(/vtepd is forwarding/);
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    expect(status).toMatch(/^CapEff:\t0000000000003000$/m); // CAP_NET_ADMIN is bit 12, CAP_NET_RAW 13
    const ping = (): boolean => left.exec("ping", ["-c", "1", "-W", "1", "10.42.0.2"]).status === 0;
    await waitFor(ping, { what: "a ping" });
    expect(await child.stop()).toEqual({ code: 0, signal: null });
  });
});
