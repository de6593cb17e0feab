/** A start that cannot succeed says why, with a code and an exit status, and leaves nothing behind. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { ExecResult, Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";

const VTEPD = fileURLToPath(new URL("../../dist/vtepd.js", import.meta.url));
const GOOD = "id: 42, local: 192.0.2.1, remote: 192.0.2.2";

let lab: Lab;
let left: Host;
let right: Host;
let folder: string;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
});
afterEach(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs vtepd on the left host until it ends, which it must by itself. */
const start = (tunnels: string, prefix: readonly string[] = []): ExecResult => {
  const file = join(folder, "vtepd.yaml");
  writeFileSync(
    file,
    `version: 1\ndaemon: { workers: 1, control: { socket: ${join(folder, "control.sock")} } }\ntunnels: ${tunnels}\n`,
  );
  const [command, ...args] = [...prefix, process.execPath, VTEPD, "--config", file] as unknown as [string, ...string[]];
  return left.exec(command, args, { timeoutMs: 15_000 });
};

const linksOf = (host: Host): string[] => host.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname);
const nothingLeft = (): void => {
  expect(linksOf(left)).toEqual(["lo", "eth0"]);
  expect(left.run("ss", ["-Huln"])).toBe("");
  expect(readdirSync(folder)).toEqual(["vtepd.yaml"]);
};

describe("vtepd refuses to start:", () => {
  it.each([
    [
      "an unknown underlay interface",
      `{ ov0: { mode: vxlan, ${GOOD}, link: eth7 } }`,
      "ERR_INTERFACE_NOT_FOUND",
      "eth7",
    ],
    [
      "a local address of another host",
      "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.77, remote: 192.0.2.2 } }",
      "ERR_ADDRESS_NOT_LOCAL",
      "192.0.2.77:4789",
    ],
    [
      "a remote VTEP without route",
      "{ ov0: { mode: vxlan, id: 42, remote: 198.51.100.1 } }",
      "ERR_NO_ROUTE",
      "198.51.100.1",
    ],
    [
      "neither local address nor remote VTEP",
      "{ ov0: { mode: vxlan, id: 42 } }",
      "ERR_CONFIG_VALUE",
      "tunnels.ov0.local",
    ],
    [
      "a remote VTEP that is the local address found by route",
      "{ ov0: { mode: vxlan, id: 42, remote: 192.0.2.1 } }",
      "ERR_CONFIG_CONFLICT",
      "ov0",
    ],
    [
      "a network namespace that does not exist",
      `{ ov0: { mode: vxlan, ${GOOD}, netns: nowhere } }`,
      "ERR_NETNS_NOT_FOUND",
      "nowhere",
    ],
    ["a device that exists", `{ eth0: { mode: vxlan, ${GOOD} } }`, "ERR_DEVICE_EXISTS", "eth0"],
    [
      "the second of two tunnels failing",
      `{ ov0: { mode: vxlan, ${GOOD} }, ov1: { mode: vxlan, id: 43, local: 192.0.2.1, remote: 192.0.2.2, netns: nowhere } }`,
      "ERR_NETNS_NOT_FOUND",
      "nowhere",
    ],
    [
      "two tunnels with one VNI, seen only when the local address is known",
      `{ ov0: { mode: vxlan, ${GOOD} }, ov1: { mode: vxlan, id: 42, remote: 192.0.2.2 } }`,
      "ERR_CONFIG_CONFLICT",
      "port 4789 and local address 192.0.2.1",
    ],
    [
      "two formats of tunnel header on one socket, seen only when the local address is known",
      `{ ov0: { mode: vxlan, ${GOOD}, port: 6080 }, ov1: { mode: gretap, remote: 192.0.2.3, encap: { type: gue } } }`,
      "ERR_CONFIG_CONFLICT",
      "one format of tunnel header on port 6080",
    ],
    [
      "more queues than workers",
      `{ ov0: { mode: vxlan, ${GOOD}, queues: 2 } }`,
      "ERR_CONFIG_CONFLICT",
      "tunnels.ov0.queues",
    ],
    [
      "an address that cannot be assigned",
      `{ ov0: { mode: vxlan, ${GOOD}, mtu: 1000, addresses: ["2001:db8:5::1/64"] } }`,
      "ERR_HOST_COMMAND",
      "2001:db8:5::1",
    ],
  ])("%s", (_what, tunnels, code, named) => {
    const { status, stderr } = start(tunnels);
    expect(stderr).toContain(`${code}: `);
    expect(stderr).toContain(named);
    expect(status).toBe(code.startsWith("ERR_CONFIG") ? 1 : 2);
    nothingLeft();
  });

  it("the kernel's vxlan holds the port, and which device it is", () => {
    left.ip(
      "link",
      "add",
      "vxlan7",
      "type",
      "vxlan",
      "id",
      "7",
      "dstport",
      "4789",
      "local",
      "192.0.2.1",
      "dev",
      "eth0",
    );
    left.ip("link", "set", "vxlan7", "up");
    const { status, stderr } = start(`{ ov0: { mode: vxlan, ${GOOD} } }`);
    expect(stderr).toContain("ERR_ADDRESS_IN_USE: ");
    expect(stderr).toContain("the kernel's own vxlan device vxlan7");
    expect(status).toBe(2);
    left.ip("link", "del", "vxlan7");
    nothingLeft();
  });

  it("another vtepd holds the port", async () => {
    const other = await RunningDaemon.start(left, `{ ov9: { mode: vxlan, ${GOOD} } }`);
    const { status, stderr } = start(`{ ov0: { mode: vxlan, id: 43, local: 192.0.2.1, remote: 192.0.2.2 } }`);
    expect([status, stderr]).toEqual([2, expect.stringContaining("ERR_ADDRESS_IN_USE: ")]);
    expect(stderr).toContain("another program holds it");
    expect(other.child.running).toBe(true);
    await other.stop();
    nothingLeft();
  });

  it("there is no /dev/net/tun", () => {
    const hidden = ["unshare", "--mount", "bash", "-c", 'mount -t tmpfs tmpfs /dev/net && exec "$@"', "bash"];
    const { status, stderr } = start(`{ ov0: { mode: vxlan, ${GOOD} } }`, hidden);
    expect([status, stderr]).toEqual([2, expect.stringContaining("ERR_NO_TUN: ")]);
    expect(stderr).toContain("/dev/net/tun");
    nothingLeft();
  });

  it("the limit of open files is too low for its queues", () => {
    const tunnels = Array.from(
      { length: 80 },
      (_, n) => `ov${n}: { mode: vxlan, id: ${n}, local: 192.0.2.1, remote: 192.0.2.2 }`,
    );
    const { status, stderr } = start(`{ ${tunnels.join(", ")} }`, ["prlimit", "--nofile=100:100"]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("ERR_OPEN_FILES: ")]);
    expect(stderr).toContain("LimitNOFILE=");
    nothingLeft();
  });

  it("CAP_NET_ADMIN is missing", () => {
    const { status, stderr } = start(`{ ov0: { mode: vxlan, ${GOOD} } }`, [
      "setpriv",
      "--bounding-set",
      "-net_admin",
      "--inh-caps",
      "-net_admin",
    ]);
    expect([status, stderr]).toEqual([2, expect.stringContaining("ERR_PERMISSION: ")]);
    expect(stderr).toContain("CAP_NET_ADMIN");
    nothingLeft();
  });

  it("the configuration is wrong, with file, line and column", () => {
    const { status, stderr } = start("{ ov0: { mode: vxlan, id: 16777216, local: 192.0.2.1, remot: 192.0.2.2 } }");
    expect(status).toBe(1);
    expect(stderr).toMatch(/vtepd\.yaml:3:\d+: tunnels\.ov0\.id: expected .*16777215.*, got 16777216/);
    expect(stderr).toContain("`remot`, did you mean `remote`?");
    nothingLeft();
  });

  it("but not when all is well: --check says so and touches nothing", () => {
    const file = join(folder, "vtepd.yaml");
    writeFileSync(file, `version: 1\ntunnels: { ov0: { mode: vxlan, ${GOOD} } }\n`);
    expect(left.exec(process.execPath, [VTEPD, "--check", "--config", file]).status).toBe(0);
    nothingLeft();
  });
});
