/**
 * vtepctl's words against a running daemon, next to the kernel's.
 *
 *   left: vtepd, tunnels made by hand --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { temporaryDirectory } from "../support/control-fixture.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { ExecResult, Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;

/** A line as in a tutorial, with the program's name swapped. */
const vtepctl = (line: string): ExecResult => daemon.vtepctl(...line.split(" "));
const ok = (line: string): string => {
  const { status, stdout, stderr } = vtepctl(line);
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: "" });
  return stdout;
};
const ip = (line: string): void => void left.ip(...line.split(" "));
const pings = (address: string): boolean =>
  left.exec("ping", ["-c", "2", "-i", "0.2", "-W", "1", address]).stdout.includes("bytes from");

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip(..."link add vx40 type vxlan id 40 dstport 4789 remote 192.0.2.1 local 192.0.2.2".split(" "));
  right.address("vx40", "172.18.1.3/24");
  daemon = await RunningDaemon.start(left, "{ file0: { mode: vxlan, id: 7, local: 192.0.2.1, remote: 192.0.2.2 } }");
});
afterAll(() => lab.close());

describe("link", () => {
  it("add, set, del: the tutorial's line, and the device is a real one for the real `ip`", () => {
    ok("link add vxlan0 type vxlan id 40 dstport 4789 remote 192.0.2.2 local 192.0.2.1 dev eth0");
    expect(left.ipJson("link", "show", "vxlan0")[0]).toMatchObject({ ifname: "vxlan0", mtu: 1450, operstate: "DOWN" });
    const shown = (): unknown => JSON.parse(ok("-br -j link show vxlan0"))[0];
    const kernel = (): unknown => JSON.parse(left.exec("ip", ["-br", "-j", "link", "show", "vxlan0"]).stdout)[0];
    expect(shown()).toEqual(kernel());
    ip("addr add 172.18.1.2/24 dev vxlan0");
    ip("link set vxlan0 up");
    expect(shown()).toEqual(kernel());
    expect(pings("172.18.1.3")).toBe(true);

    ok("link set vxlan0 type vxlan ageing 77 nolearning");
    expect(daemon.json("link", "show", "vxlan0")).toMatchObject([
      { linkinfo: { info_data: { ageing: 77, learning: false } } },
    ]);
    ok("link set dev vxlan0 mtu 1300 address 02:00:00:00:00:42");
    expect(left.ipJson("link", "show", "vxlan0")[0]).toMatchObject({ mtu: 1300, address: "02:00:00:00:00:42" });
    ok("link del vxlan0");
    expect(left.exec("ip", ["link", "show", "vxlan0"]).status).not.toBe(0);
  });

  it("add never has the device up, as the kernel never has its own, unless it is asked to", async () => {
    const monitor = left.spawn("ip", ["-o", "monitor", "link"]);
    try {
      ok("link add quiet0 type vxlan id 44 dstport 4789 remote 192.0.2.2 local 192.0.2.1");
      ok("link add loud0 up type vxlan id 45 dstport 4789 remote 192.0.2.2 local 192.0.2.1");
      await waitFor(() => /loud0: <[^>]*,UP/.test(monitor.stdout), { what: "loud0 to be up" });
      expect(monitor.stdout).toMatch(/quiet0: <BROADCAST,MULTICAST>/);
      expect(monitor.stdout).not.toMatch(/quiet0: <[^>]*,UP/);
    } finally {
      await monitor.stop();
      ok("link del quiet0");
      ok("link del loud0");
    }
  });

  it("add puts it into a bridge, or leaves nothing behind", () => {
    ip("link add br0 type bridge");
    ok("link add vx1 master br0 up type vxlan id 1 dstport 4789 local 192.0.2.1 remote 192.0.2.2");
    expect(left.ipJson("link", "show", "vx1")[0]).toMatchObject({ master: "br0" });
    expect(JSON.parse(ok("-j -br link show master br0"))).toMatchObject([{ ifname: "vx1" }]);
    const { status, stderr } = vtepctl("link add vx2 master nope type vxlan id 2 dstport 4789 local 192.0.2.1");
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringMatching(/^vtepctl: .*nope/) });
    expect(JSON.parse(ok("-j -br link show type vxlan")).map(({ ifname }: { ifname: string }) => ifname)).toEqual([
      "file0",
      "vx1",
    ]);
    expect(left.exec("ip", ["link", "show", "vx2"]).status).not.toBe(0);
    ok("link del vx1 type vxlan");
  });

  it("refuses to change what is the file's, and what the configuration refuses", () => {
    expect(vtepctl("link set file0 type vxlan ttl 9")).toMatchObject({ status: 2 });
    expect(vtepctl("link del file0")).toMatchObject({ status: 2 });
    const twice = vtepctl("link add vx3 type vxlan id 7 dstport 4789 local 192.0.2.1 remote 192.0.2.2");
    expect(twice.status).toBe(1);
    expect(twice.stderr).toContain("tunnels.file0.id");
  });

  it.each([
    ["gre", "gre remote 192.0.2.2 local 192.0.2.1 key 7 seq csum ttl 64"],
    ["gretap", "gretap remote 192.0.2.2 local 192.0.2.1 key 8"],
    ["ipip", "ipip remote 192.0.2.2 local 192.0.2.1 encap gue encap-sport auto encap-dport 5555"],
    ["sit", "sit remote 192.0.2.2 local 192.0.2.1 nopmtudisc"],
    ["sit", "sit local 192.0.2.1 isatap"],
    ["geneve", "geneve id 9 remote 192.0.2.2 ttl inherit"],
    ["erspan", "erspan key 5 remote 192.0.2.2 local 192.0.2.1 seq"],
    ["ip6gre", "ip6gre remote 2001:db8::2 local 2001:db8::1 hoplimit 9"],
    ["ip6gretap", "ip6gretap remote 2001:db8::2 local 2001:db8::1"],
    ["ip6tnl", "ip6tnl mode ip6ip6 remote 2001:db8::2 local 2001:db8::1"],
  ])("add type %s: the daemon takes %s", (kind, words) => {
    left.ip("-6", "addr", "replace", "2001:db8::1/64", "dev", "eth0", "nodad");
    ok(`link add t0 type ${words}`);
    expect(daemon.json("link", "show", "t0")).toMatchObject([{ linkinfo: { info_kind: kind } }]);
    ok("link del t0");
  });
});

describe("link add without local, remote and group", () => {
  it("takes the address of dev, or of the default route's interface, as flannel's and the tutorial's lines need", () => {
    ok("link add vxd type vxlan id 70 dev eth0 dstport 4789");
    left.ip("route", "add", "default", "via", "192.0.2.2");
    ok("link add vxe type vxlan id 71 dstport 8472");
    for (const name of ["vxd", "vxe"]) {
      expect(daemon.json("link", "show", name)).toMatchObject([{ linkinfo: { info_data: { local: "192.0.2.1" } } }]);
    }
    ok("link del vxd");
    ok("link del vxe");
    left.ip("route", "del", "default");
    expect(vtepctl("link add vxg type vxlan id 72 dstport 4789")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("tunnels.vxg.local: expected an address"),
    });
  });
});

describe("a client in another network namespace", () => {
  it("has its tunnels there: device and underlay", () => {
    const far = lab.host("far");
    const near = lab.host("near");
    lab.wire(far, "eth0", near, "eth0", { addresses: ["198.51.100.1/24", "198.51.100.2/24"] });
    const line = "link add vxf type vxlan id 50 dstport 4789 remote 198.51.100.2 local 198.51.100.1 dev eth0";
    const [program, ...argv] = ["vtepctl", "-socket", daemon.socket, ...line.split(" ")];
    expect(program).toBe("vtepctl");
    const made = far.exec(process.execPath, ["dist/vtepctl.js", ...argv]);
    expect({ status: made.status, stderr: made.stderr }).toEqual({ status: 0, stderr: "" });
    far.address("vxf", "10.50.0.1/24");
    near.ip(..."link add vxn type vxlan id 50 dstport 4789 remote 198.51.100.1 local 198.51.100.2".split(" "));
    near.address("vxn", "10.50.0.2/24");
    const ping = far.exec("ping", ["-c", "3", "-i", "0.2", "-W", "1", "10.50.0.2"]);
    expect(ping.stdout).toContain("bytes from");
    ok("link set vxf mtu 1280");
    expect(far.ipJson("link", "show", "vxf")[0]).toMatchObject({ mtu: 1280 });
    ok("link del vxf");
  });
});

describe("tunnel", () => {
  it("add, change, show, del: the lines of `ip tunnel`", () => {
    ok("tunnel add tunl1 mode ipip remote 192.0.2.2 local 192.0.2.1");
    ip("link set tunl1 up");
    expect(left.ipJson("link", "show", "tunl1")[0]).toMatchObject({ mtu: 1480 });
    expect(ok("tunnel show tunl1")).toBe("tunl1: ip/ip remote 192.0.2.2 local 192.0.2.1 ttl inherit\n");
    ok("tunnel change tunl1 ttl 64");
    expect(ok("tunnel show")).toBe("tunl1: ip/ip remote 192.0.2.2 local 192.0.2.1 ttl 64\n");
    ok("tunnel del tunl1");
    expect(ok("tunnel")).toBe("");
  });
});

describe("fdb show", () => {
  type Entry = Record<string, unknown>;

  /** The same lines for a kernel's device on `right` and for ours; what each shows of it. */
  const both = (more: string): { kernel: Entry[]; ours: Entry[] } => {
    const make = `link add fdb0 type vxlan id 60 dstport 4789 ${more}`;
    const lines = [
      "fdb append 00:00:00:00:00:00 dev fdb0 dst 203.0.113.9",
      "fdb append 00:00:00:00:00:00 dev fdb0 dst 203.0.113.9 port 8472 vni 61",
      "fdb add 02:00:00:00:00:05 dev fdb0 dst 203.0.113.5",
      "fdb add 02:00:00:00:00:06 dev fdb0 dst 203.0.113.6 port 8472 vni 61",
      "fdb append 02:00:00:00:00:07 dev fdb0 dst 203.0.113.7",
      "fdb replace 02:00:00:00:00:05 dev fdb0 dst 203.0.113.6 self permanent",
      // The interface that a device is pinned to anyway is not told apart from none.
      ...(more.includes("dev") ? [] : ["fdb add 02:00:00:00:00:08 dev fdb0 dst 203.0.113.7 via eth0"]),
      "fdb del 02:00:00:00:00:07 dev fdb0",
    ];
    right.ip(...`${make} local 192.0.2.2`.split(" "));
    ok(`${make} local 192.0.2.1`);
    for (const host of [left, right]) host.ip("route", "replace", "203.0.113.0/24", "dev", "eth0");
    for (const line of lines) {
      expect(right.exec("bridge", line.split(" ")), line).toMatchObject({ status: 0 });
      ok(line);
    }
    const byKey = (a: Entry, b: Entry): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
    const kernel = JSON.parse(right.exec("bridge", ["-j", "fdb", "show", "dev", "fdb0"]).stdout) as Entry[];
    const ours = daemon.json<Entry[]>("fdb", "show", "dev", "fdb0");
    ok("link del fdb0");
    right.ip("link", "del", "fdb0");
    return { kernel: kernel.sort(byKey), ours: ours.sort(byKey) };
  };

  it.each(["nolearning", "nolearning dev eth0", "nolearning remote 203.0.113.1 dev eth0"])(
    "has the kernel's JSON, key by key, in its order of keys: %s",
    (more) => {
      const { kernel, ours } = both(more);
      const shared = ours.map(({ vtepd: _, ...entry }) => entry);
      expect(shared).toEqual(kernel);
      expect(shared.map((entry) => Object.keys(entry))).toEqual(kernel.map((entry) => Object.keys(entry)));
      expect(kernel.length).toBeGreaterThan(3);
    },
  );
});

describe("-batch", () => {
  const mac = (index: number): string =>
    `02:00:00:01:${[index >> 8, index & 255].map((octet) => octet.toString(16).padStart(2, "0")).join(":")}`;
  const adds = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, index) => `fdb add ${mac(from + index)} dev file0 dst 192.0.2.2`);
  const batch = (...lines: string[]): string => {
    const file = join(temporaryDirectory(), "lines");
    writeFileSync(file, lines.join("\n"));
    return file;
  };
  const count = (): number => daemon.fdb("file0").filter(({ mac: one }) => one.startsWith("02:00:00:01")).length;

  it("makes what stands before a line that fails, names it, and goes on when it is forced to", () => {
    ok(`-b ${batch(...adds(0, 100))}`);
    expect(count()).toBe(100);
    // Line 51 is there already.
    const file = batch(...adds(100, 150), ...adds(0, 1), ...adds(150, 200));
    const { status, stderr } = vtepctl(`-b ${file}`);
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`^vtepctl: .*${mac(0)}.*\nCommand failed ${file}:51\n$`));
    expect(count()).toBe(150);
    const again = vtepctl(`-force -b ${batch(...adds(149, 151), "fdb nonsense", ...adds(151, 200))}`);
    expect(again.stderr.match(/Command failed .*:(\d+)/g)?.map((line) => line.split(":").at(-1))).toEqual(["1", "3"]);
    expect(count()).toBe(200);
  });

  it("makes 20 000 entries in a few seconds", () => {
    const startMs = performance.now();
    ok(`-b ${batch(...adds(1000, 21_000))}`);
    expect(performance.now() - startMs).toBeLessThan(18_000);
    expect(count()).toBe(20_200);
    ok("fdb flush dev file0 permanent");
  });
});

describe("config", () => {
  it("diff, apply, reload: what differs, and brings it into effect", () => {
    const file = join(temporaryDirectory(), "next.yaml");
    const file0 = "file0: { mode: vxlan, id: 7, local: 192.0.2.1, remote: 192.0.2.2, ageing: 60 }";
    writeFileSync(file, `version: 1\ntunnels: { ${file0}, more0: { mode: vxlan, id: 8, local: 192.0.2.1 } }\n`);
    const difference = "+ more0\n~ file0\n    ageing: default -> 60\n";
    expect(ok(`config diff ${file}`)).toContain(difference);
    expect(ok("config diff")).toMatch(/^unchanged \d+\n$/);
    expect(ok(`config apply ${file} dry-run`)).toContain(difference);
    expect(ok("config show file0")).not.toContain("ageing");
    expect(ok(`config apply ${file}`)).toContain(difference);
    expect(ok("config show file0")).toContain("    ageing: 60\n");
    expect(ok("config reload")).toContain("- more0\n~ file0\n    ageing: 60 -> default\n");
    expect(ok(`config check ${file}`)).toBe(`${file}: ok\n`);
  });

  it("reload takes the files of the directory, and names the one that is wrong", () => {
    const folder = `${daemon.file}.d`;
    const write = (keys: string): void =>
      writeFileSync(
        join(folder, "50-more.yaml"),
        `tunnels:\n  more0: { mode: vxlan, id: 8, local: 192.0.2.1${keys} }\n`,
      );
    mkdirSync(folder);
    try {
      write("");
      expect(ok("config reload")).toContain("+ more0\n");
      expect(ok("link show more0")).toContain("more0");
      write(", idd: 9");
      expect(vtepctl("config reload").stderr).toContain(`${folder}/50-more.yaml:2:50: tunnels.more0.idd: unknown key`);
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(ok("config reload")).toContain("- more0\n");
  });
});
