/**
 * Tunnels that come, change and go while others carry traffic: over the control socket and by a reload of the file.
 *
 *   left: vtepd, ov0 (VNI 42, of the file) --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan, VNIs 42 to 45
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { type UnixAnswer, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;

const OV0 = "mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24]";

/** The kernel's end of a tunnel. */
const peer = (vni: number): void => {
  const name = `vx${vni}`;
  const remote = ["local", "192.0.2.2", "remote", "192.0.2.1", "dstport", "4789"];
  right.ip("link", "add", name, "type", "vxlan", "id", String(vni), ...remote);
  right.address(name, `10.${vni}.0.2/24`);
};

/** Twice, because the first may still wait for a neighbour that was not there a moment ago. */
const pings = (vni: number): boolean =>
  left.exec("ping", ["-c", "2", "-i", "0.2", "-W", "1", `10.${vni}.0.2`]).stdout.includes("bytes from");
const call = (method: string, path: string, body?: unknown): Promise<UnixAnswer> =>
  unixJson(daemon.socket, method, path, body);
/** How the last reload went, as `vtepctl status` has it. */
const reloaded = (successful: boolean): { succeeded: number } => {
  const { reload } = daemon.json<{ reload: { successful: boolean; succeeded: number } }>("status");
  expect(reload.successful).toBe(successful);
  return reload;
};
const add = (vni: number, more: object = {}): Promise<UnixAnswer> =>
  call("POST", "/v1/links", {
    name: `ov${vni}`,
    mode: "vxlan",
    id: vni,
    local: "192.0.2.1",
    remote: "192.0.2.2",
    addresses: [`10.${vni}.0.1/24`],
    ...more,
  });

/** Pings ov0's peer without a pause. Returns what ends that and tells how many answers are missing before the last one. */
const watched = () => {
  const ping = left.spawn("ping", ["-i", "0.002", "-W", "1", "10.42.0.2"]);
  return async (): Promise<number> => {
    ping.signal("SIGINT");
    await ping.exited;
    const answered = [...ping.stdout.matchAll(/icmp_seq=(\d+)/g)].map(([, sequence]) => Number(sequence));
    expect(answered.length).toBeGreaterThan(5);
    return answered.at(-1)! - answered.length;
  };
};

beforeEach(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const vni of [42, 43]) peer(vni);
  daemon = await RunningDaemon.start(left, `{ ov0: { ${OV0} } }`, { workers: 2 });
  expect(pings(42)).toBe(true);
});
afterEach(() => lab.close());

describe("a tunnel made over the control socket", () => {
  it("carries frames, is changed in place, and goes with its device, while others lose nothing", async () => {
    const end = watched();
    const made = await add(43);
    expect(made.status).toBe(201);
    expect(JSON.parse(made.text)).toMatchObject({ ifname: "ov43", linkinfo: { info_kind: "vxlan" } });
    expect(pings(43)).toBe(true);
    const { ifindex } = left.ipJson("link", "show", "ov43")[0];

    expect((await call("PATCH", "/v1/links/ov43", { ageing: 77, "mac-learning": false, mtu: 1300 })).status).toBe(200);
    const [changed] = left.ipJson("link", "show", "ov43");
    expect(changed).toMatchObject({ ifindex, mtu: 1300 });
    expect(daemon.json("link", "show", "ov43")).toMatchObject([
      { linkinfo: { info_data: { ageing: 77, learning: false } } },
    ]);
    // Other sockets, the same interface; what was learned comes along.
    expect((await call("PATCH", "/v1/links/ov43", { "mac-learning": null, fwmark: 7 })).status).toBe(200);
    expect(left.ipJson("link", "show", "ov43")[0]).toMatchObject({ ifindex });
    expect(pings(43)).toBe(true);

    // Somebody gives it another name: both are understood, and addresses go to the device.
    left.ip("link", "set", "dev", "ov43", "down");
    left.ip("link", "set", "dev", "ov43", "name", "wan0", "up");
    left.ip("addr", "replace", "10.43.0.1/24", "dev", "wan0");
    expect(pings(43)).toBe(true);
    expect(daemon.json("link", "show")).toMatchObject([
      { ifname: "ov0" },
      { ifname: "wan0", vtepd: { tunnel: "ov43" } },
    ]);
    expect(daemon.vtepctl("link", "set", "wan0", "type", "vxlan", "ageing", "88").stderr).toBe("");
    daemon.vtepctl("fdb", "add", "02:00:00:00:00:09", "dev", "wan0", "dst", "192.0.2.2");
    expect(daemon.vtepctl("fdb", "show", "dev", "ov43").stdout).toContain(
      "02:00:00:00:00:09 dst 192.0.2.2 self permanent",
    );
    expect((await call("PATCH", "/v1/links/ov43", { fwmark: 8, addresses: ["10.43.0.7/24"] })).status).toBe(200);
    expect(left.ip("addr", "show", "dev", "wan0")).toContain("10.43.0.7/24");

    expect((await call("DELETE", "/v1/links/wan0")).status).toBe(204);
    expect(left.exec("ip", ["link", "show", "wan0"]).status).not.toBe(0);
    expect((await call("GET", "/v1/links/ov43")).status).toBe(404);
    expect(await end()).toBe(0);
  });

  it("is refused with the path of what is wrong, and nothing is left of it", async () => {
    for (const [body, code, path] of [
      [{ id: 99_999_999 }, "ERR_CONFIG_VALUE", "tunnels.ov43.id"],
      [{ id: 42 }, "ERR_CONFIG_CONFLICT", "tunnels.ov43.id"],
      [{ idd: 1 }, "ERR_CONFIG_KEY", "tunnels.ov43.idd"],
      [{ link: "nosuch" }, "ERR_INTERFACE_NOT_FOUND", undefined],
      [{ name: "no/name" }, "ERR_CONFIG_VALUE", 'tunnels."no/name"'],
      [{ name: "eth0" }, "ERR_DEVICE_EXISTS", undefined],
      [{ addresses: ["10.43.0.1/24"], routes: undefined, "key-file": "x" }, "ERR_CONFIG_KEY", "tunnels.ov43.key-file"],
    ] as const) {
      const { status, text } = await add(43, body);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(JSON.parse(text)).toMatchObject({ code, ...(path === undefined ? {} : { path }) });
    }
    expect(daemon.json<unknown[]>("link", "show")).toHaveLength(1);
    expect(pings(42)).toBe(true);
    expect((await add(43)).status).toBe(201);
    expect(JSON.parse((await add(43)).text)).toMatchObject({ code: "ERR_DEVICE_EXISTS", path: "name" });
    expect(pings(43)).toBe(true);
  });

  it("is forgotten when somebody deletes its device, and the file's is made again", async () => {
    expect((await add(43)).status).toBe(201);
    left.ip("link", "del", "ov43");
    await waitFor(() => daemon.json<unknown[]>("link", "show").length === 1, { what: "the tunnel to go" });
    left.ip("link", "del", "ov0");
    await daemon.child.waitForOutput(/device is back/);
    expect(pings(42)).toBe(true);
  });

  it("is the only kind that can be changed and deleted there", async () => {
    for (const answer of [await call("DELETE", "/v1/links/ov0"), await call("PATCH", "/v1/links/ov0", { ageing: 9 })]) {
      expect(answer.status).toBe(409);
      expect(JSON.parse(answer.text)).toMatchObject({ code: "ERR_LINK_OWNER" });
    }
    expect((await call("DELETE", "/v1/links/nosuch")).status).toBe(404);
  });
});

describe("a reload", () => {
  const GEN = (id: number, more = "") =>
    `ov43: { mode: vxlan, id: ${id}, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.43.0.1/24]${more} }`;

  it("adds, changes, makes anew and removes, and does not touch the rest", async () => {
    const end = watched();
    expect(daemon.vtepctl("fdb", "add", "02:00:00:00:00:09", "dev", "ov0", "dst", "192.0.2.2").status).toBe(0);
    daemon.rewrite(`{ ov0: { ${OV0} }, ${GEN(44)} }`);
    const dry = JSON.parse((await call("POST", "/v1/config/reload?dry-run=true")).text);
    expect(dry).toEqual({ added: ["ov43"], removed: [], changed: {}, remade: [], unchanged: 1, daemon: {} });
    expect(daemon.json<unknown[]>("link", "show")).toHaveLength(1);

    daemon.child.signal("SIGHUP");
    await waitFor(() => daemon.json<unknown[]>("link", "show").length === 2, { what: "ov43" });
    const { ifindex } = left.ipJson("link", "show", "ov43")[0];
    expect(daemon.json("link", "show", "ov43")).toMatchObject([{ linkinfo: { info_data: { id: 44 } } }]);

    daemon.rewrite(`{ ov0: { ${OV0} }, ${GEN(43, ", ageing: 60")} }`);
    const before = reloaded(true);
    const changed = JSON.parse((await call("POST", "/v1/config/reload")).text);
    expect(reloaded(true).succeeded).toBeGreaterThan(before.succeeded);
    expect(changed).toEqual({
      added: [],
      removed: [],
      changed: { ov43: { id: { from: 44, to: 43 }, ageing: { to: 60 } } },
      remade: ["ov43"],
      unchanged: 1,
      daemon: {},
    });
    expect(left.ipJson("link", "show", "ov43")[0]).toMatchObject({ ifindex });
    expect(pings(43)).toBe(true);

    daemon.rewrite(`{ ov0: { ${OV0} } }`);
    expect(JSON.parse((await call("POST", "/v1/config/reload")).text)).toMatchObject({
      removed: ["ov43"],
      unchanged: 1,
    });
    expect(left.exec("ip", ["link", "show", "ov43"]).status).not.toBe(0);
    expect(await end()).toBe(0);
    // Learned and made by hand, both still there.
    expect(daemon.fdb("ov0").map(({ state }) => state)).toContain("");
    expect(daemon.fdb("ov0").map(({ mac }) => mac)).toContain("02:00:00:00:00:09");
  });

  it("that cannot be done changes nothing, whatever it had done before that", async () => {
    expect((await add(43)).status).toBe(201);
    expect(daemon.vtepctl("fdb", "add", "02:00:00:00:00:09", "dev", "ov43", "dst", "192.0.2.2").status).toBe(0);
    expect(pings(43)).toBe(true);
    const before = daemon.json("link", "show");
    const learned = daemon.learned("ov0");
    expect(learned).toHaveLength(1);
    const end = watched();
    // ov0 is changed in place, ov43 is made anew by the file, and eth0 is no name for a device of ours.
    daemon.rewrite(
      `{ ov0: { ${OV0}, ageing: 60 }, ${GEN(45)}, eth0: { mode: vxlan, id: 99, local: 192.0.2.1, remote: 192.0.2.2 } }`,
    );
    const answer = await call("POST", "/v1/config/reload");
    expect(answer.status).toBe(409);
    expect(JSON.parse(answer.text)).toMatchObject({ code: "ERR_DEVICE_EXISTS" });
    expect(await end()).toBe(0);
    const { succeeded } = reloaded(false);
    expect(Math.abs(Date.now() / 1000 - succeeded)).toBeLessThan(120);
    expect(daemon.json("link", "show")).toEqual(before);
    expect(daemon.learned("ov0")).toEqual(learned);
    expect(daemon.fdb("ov43").map(({ mac }) => mac)).toContain("02:00:00:00:00:09");
    expect(pings(43)).toBe(true);

    daemon.rewrite("{ ov0: { mode: vxlan, idd: 42 } }");
    daemon.child.signal("SIGHUP");
    await daemon.child.waitForOutput(
      /vtepd\.yaml:3:\d+: tunnels\.ov0\.idd: unknown key `idd`, did you mean `id`\?/,
      5000,
    );
    expect(pings(42)).toBe(true);
  });

  it("changes addresses, remotes, static entries and policies of a running tunnel", async () => {
    const entry = (n: number): string => `{ mac: "02:00:00:00:00:0${n}", dst: 192.0.2.2 }`;
    const reload = async (keys: string): Promise<void> => {
      daemon.rewrite(`{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, ${keys} } }`);
      const answer = JSON.parse((await call("POST", "/v1/config/reload")).text);
      expect(answer).toMatchObject({ remade: [], unchanged: 0 });
    };
    await reload(
      `flood: [192.0.2.2, 192.0.2.9], addresses: [10.42.0.1/24, 10.42.1.1/24], fdb: [${entry(1)}, ${entry(2)}]`,
    );
    const addresses = (): string[] =>
      left
        .ipJson("-4", "addr", "show", "ov0")[0]
        .addr_info.map(({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`);
    const permanent = (): string[] =>
      daemon
        .fdb("ov0")
        .filter(({ state }) => state === "permanent")
        .map(({ mac, dst }) => `${mac} ${dst}`);
    expect(addresses()).toEqual(["10.42.0.1/24", "10.42.1.1/24"]);
    expect(permanent().sort()).toEqual([
      "00:00:00:00:00:00 192.0.2.2",
      "00:00:00:00:00:00 192.0.2.9",
      "02:00:00:00:00:01 192.0.2.2",
      "02:00:00:00:00:02 192.0.2.2",
    ]);
    expect(pings(42)).toBe(true);
    await reload(
      `remote: 192.0.2.2, addresses: [10.42.0.1/24], fdb: [${entry(2)}, ${entry(3)}], policers: { broadcast: 10 }`,
    );
    expect(addresses()).toEqual(["10.42.0.1/24"]);
    expect(permanent().sort()).toEqual([
      "00:00:00:00:00:00 192.0.2.2",
      "02:00:00:00:00:02 192.0.2.2",
      "02:00:00:00:00:03 192.0.2.2",
    ]);
    expect(daemon.json("link", "show", "ov0")).toMatchObject([{ vtepd: { policers: { broadcast: 10 } } }]);
    expect(pings(42)).toBe(true);
  });
});
