/**
 * Lines for `ip`, `bridge` and `brctl` that concern no tunnel, and whom a line of ours reaches: the wrappers of `vtepctl shim`
 * before programs that only tell how they were called. What becomes of lines about tunnels: test/interop/tutorials.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ExecResult } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const PROGRAMS = ["ip", "bridge", "brctl"];

let folder: string;
let shim: string;
let env: NodeJS.ProcessEnv;

const vtepctl = (...argv: string[]): ExecResult => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [VTEPCTL, ...argv], { encoding: "utf8", env });
  return { status: status ?? -1, stdout, stderr };
};

/** A line of a script. */
const sh = (line: string, input?: string): ExecResult => {
  const { status, stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8", env, input });
  return { status: status ?? -1, stdout, stderr };
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "front-"));
  const real = join(folder, "real");
  shim = join(folder, "it's a shim");
  mkdirSync(real);
  for (const program of PROGRAMS) {
    const file = join(real, program);
    writeFileSync(file, `#!/bin/bash\nprintf '<%s>' ${program} "$@"\necho\nexit 7\n`);
    chmodSync(file, 0o755);
  }
  env = {
    ...process.env,
    PATH: `${shim}:${real}:${process.env["PATH"]}`,
    VTEPD_SOCKET: join(folder, "run", "control.sock"),
    VTEPD_NO_START: "1",
  };
});

it.each(["bridge monitor fdb", "bridge -t -n blue monitor", "ip monitor", "ip -ts monitor link"])(
  "`%s` becomes the real program, so that signals reach it",
  (line) => {
    vtepctl("shim", shim);
    writeFileSync(join(folder, "real", line.split(" ")[0]!), "#!/bin/bash\necho $$\n");
    const pids = sh(`${line} & echo $!; wait`).stdout.trim().split("\n");
    expect(pids).toHaveLength(2);
    expect(pids[0]).toBe(pids[1]);
  },
);

describe.each(["wrapper", "vtepctl"])("by the %s", (way) => {
  /** The line for the wrapper in PATH, or for vtepctl alone. */
  const run = (line: string): ExecResult => {
    if (way === "vtepctl") return sh(`${process.execPath} ${VTEPCTL} ${line}`);
    vtepctl("shim", shim);
    return sh(line);
  };

  it.each([
    "ip",
    "ip a",
    "ip route add default via 192.0.2.1",
    "ip -4 -o addr show dev vxlan0",
    "ip link",
    "ip -br l",
    "ip li sh vxlan0",
    "ip -d link show",
    "ip link set vxlan0 up",
    "ip link set dev vxlan0 netns 1",
    "ip link add name veth0 type veth peer veth1",
    "ip link add link eth0 name m0 type macvlan mode bridge",
    "ip link del veth0",
    "ip -n ns1 route",
    "ip tuntap add t0 mode tap",
    "ip tunnel show",
    "ip tunnel del t0",
    "ip netns exec ns1 ping 192.0.2.1",
    "ip -all netns exec true",
    "ip vrf exec v0 true",
    "ip --json address",
    "ip help",
    "ip -V",
    "bridge link",
    "bridge fdb",
    "bridge fdb add 02:00:00:00:00:01 dev eth0 master",
    "bridge -j vlan show",
    "brctl show",
    "brctl addbr br0",
  ])("`%s` is the real program's, with its output and status", (line) => {
    const told = line.split(" ").map((word) => `<${word}>`);
    expect(run(line)).toEqual({ status: 7, stdout: `${told.join("")}\n`, stderr: "" });
  });

  it.each([
    "ip link add vxlan0 type vxlan id 42 dstport 4789 remote 192.0.2.2",
    "ip l a name t0 ty gretap remote 192.0.2.2 local 192.0.2.1",
    "ip tunnel add t0 mode sit remote 192.0.2.2 local 192.0.2.1",
    "ip tun add t0 mode gre remote 192.0.2.2",
  ])("`%s` asks for a tunnel, and so for the daemon", (line) => {
    const { status, stdout, stderr } = run(line);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(`no vtepd answers at ${env["VTEPD_SOCKET"]}, and VTEPD_NO_START forbids to start one`);
  });

  it("help for a type of ours needs no daemon", () => {
    for (const line of ["ip link add type vxlan help", "ip link add vxlan0 type vxlan help"]) {
      expect(run(line)).toMatchObject({ status: 0, stdout: expect.stringContaining("[ id VNI ]"), stderr: "" });
    }
  });

  it("a batch without tunnels is handed on whole", () => {
    const file = join(folder, "batch");
    writeFileSync(file, "route add default via 192.0.2.1\naddr show\n");
    expect(run(`ip -b "${file}"`)).toEqual({ status: 7, stdout: `<ip><-b><${file}>\n`, stderr: "" });
    const mixed = join(folder, "mixed");
    writeFileSync(mixed, "link set v0 up\nlink show\n");
    const forced = run(`ip -force -b "${mixed}"`);
    expect([forced.status, forced.stdout]).toEqual([1, "<ip><link><set><v0><up>\n<ip><link><show>\n"]);
    expect(forced.stderr).toBe(`Command failed ${mixed}:1\nCommand failed ${mixed}:2\n`);
  });
});

describe("vtepctl shim", () => {
  it("makes a folder and takes it away again, and touches nothing that is not its own", () => {
    expect(vtepctl("shim", shim)).toEqual({
      status: 0,
      stdout: `export PATH='${shim.replace("'", "'\\''")}':$PATH\n`,
      stderr: "",
    });
    expect(readdirSync(shim).sort()).toEqual([".vtepctl-shim", "brctl", "bridge", "ip"]);
    for (const program of PROGRAMS) expect(spawnSync("sh", ["-n", join(shim, program)]).status).toBe(0);
    expect(vtepctl("shim", "--remove", shim).status).toBe(0);
    expect(existsSync(shim)).toBe(false);
    const real = join(folder, "real");
    const before = readFileSync(join(real, "ip"), "utf8");
    expect(vtepctl("shim", real)).toMatchObject({ status: 1, stderr: expect.stringContaining("not made by vtepctl") });
    expect(vtepctl("shim", "--remove", real).status).toBe(1);
    expect(readFileSync(join(real, "ip"), "utf8")).toBe(before);
    expect(vtepctl("shim")).toMatchObject({ status: 1, stderr: "vtepctl: Usage: vtepctl shim [ --remove ] DIR\n" });
  });

  it("finds the real program behind two folders of wrappers, and says when there is none", () => {
    const second = join(folder, "second");
    vtepctl("shim", shim);
    vtepctl("shim", second);
    env["PATH"] = `${second}:${env["PATH"]}`;
    expect(sh("ip route").stdout).toBe("<ip><route>\n");
    expect(sh("ip link del eth9").stdout).toBe("<ip><link><del><eth9>\n");
    env["PATH"] = shim;
    const node = spawnSync(join(shim, "ip"), ["route"], { encoding: "utf8", env });
    expect([node.status, node.stderr]).toEqual([2, "vtepctl: ip: not found in PATH\n"]);
  });

  it("costs a script nothing like a start of node for lines that are never ours", () => {
    vtepctl("shim", shim);
    // A node that fails shows that none was needed.
    const wrapper = join(shim, "ip");
    writeFileSync(wrapper, readFileSync(wrapper, "utf8").replace(/^exec '.*$/m, "exit 99"));
    for (const line of [
      "ip route",
      "ip link set v0 up",
      "ip -n ns1 addr",
      "ip link",
      "ip netns exec a ip link add v type vxlan",
    ]) {
      expect([line, sh(line).status]).toEqual([line, 7]);
    }
    expect(sh("ip link del v0").status).toBe(99);
  });
});

describe("a daemon on demand", () => {
  let lab: Lab;
  const pids = new Set<number>();

  beforeAll(() => {
    lab = Lab.create();
  });

  afterAll(async () => {
    for (const pid of pids) process.kill(pid, "SIGTERM");
    await waitFor(() => [...pids].every((pid) => !existsSync(`/proc/${pid}`)), { what: "its end", timeoutMs: 20_000 });
    await lab.close();
  });

  it("is one, though several lines at once need it", async () => {
    const host = lab.host("a");
    host.ip("tuntap", "add", "eth0", "mode", "tap");
    host.address("eth0", "192.0.2.1/24");
    const socket = join(folder, "run", "control.sock");
    const holder = host.spawn("sleep", ["infinity"]);
    const own = { VTEPD_SOCKET: socket, VTEPD_HOME: String(holder.pid) };
    const lines = [1, 2, 3, 4].map((n) =>
      host.spawn(
        process.execPath,
        [
          VTEPCTL,
          ..."ip link add".split(" "),
          `v${n}`,
          ...`type vxlan id ${n} dstport 4789 remote 192.0.2.2`.split(" "),
        ],
        { env: own },
      ),
    );
    const ends = await Promise.all(lines.map(async (line) => [(await line.exited).code, line.stderr]));
    expect(ends).toEqual(lines.map(() => [0, ""]));
    const status = host.run(process.execPath, [VTEPCTL, "-socket", socket, "-j", "status"]);
    const { pid } = JSON.parse(status) as { pid: number };
    pids.add(pid);
    const log = readFileSync(join(folder, "run", "control.log"), "utf8");
    expect(log.match(/"msg":"offload"/g)).toHaveLength(1); // none but one has begun to start
    expect(log.match(/vtepd is forwarding/g)).toHaveLength(1);
    expect(host.ip("-br", "link").match(/^v[1-4] /gm)).toHaveLength(4);
    const line = (...words: string[]): ExecResult =>
      host.exec(process.execPath, [VTEPCTL, ...words.flatMap((text) => text.split(" "))], { env: own });
    // A complaint shows the line as it was written, and a device without a name gets the first that is free.
    expect(line("ip -br link add vx type vxlan idd 5").stderr).toMatch(
      /^vtepctl: vxlan: unknown command "idd"\? Did you mean "id"\?\n {2}ip -br link add vx type vxlan idd 5\n {32}\^\^\^ /,
    );
    expect(line("ip link add", "a-name-that-is-too-long", "type vxlan id 5")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('"a-name-that-is-too-long" is wrong: not a valid ifname'),
    });
    host.ip("tuntap", "add", "vxlan0", "mode", "tap");
    expect(line("ip link add type vxlan id 5 dstport 4789 remote 192.0.2.2")).toMatchObject({ status: 0, stderr: "" });
    expect(host.ip("-br", "link", "show", "vxlan1")).toMatch(/^vxlan1 /);
    expect(line("ip link add v1 type vxlan id 6 dstport 1").stderr).toMatch(/^vtepctl: File exists: /);
    // Words that select entries do so for ours, too.
    const shown = (...words: string[]): string => line("bridge fdb show dev v1", ...words).stdout;
    expect(shown()).toContain("00:00:00:00:00:00 dst 192.0.2.2 self permanent\n");
    for (const words of ["dynamic", "vlan 3", "state reachable"]) expect(shown(words)).not.toContain("dst");
  });

  it("that cannot start is told with the end of its log", () => {
    const host = lab.host("b");
    const holder = host.spawn("sleep", ["infinity"]);
    const words = "ip link add v1 type vxlan id 1 dstport 4789 remote 192.0.2.2".split(" ");
    const own = {
      VTEPD_SOCKET: join(folder, "run", "control.sock"),
      VTEPD_HOME: String(holder.pid),
      VTEPD_OFFLOAD: "nonsense",
    };
    const { status, stderr } = host.exec(process.execPath, [VTEPCTL, ...words], { env: own, timeoutMs: 30_000 });
    expect(status).toBe(2);
    expect(stderr).toMatch(/one did not start \(.*control\.log\):\n.*VTEPD_OFFLOAD: expected auto/s);
  });
});
