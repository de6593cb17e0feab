/** vtepd as a service: what it tells the service manager, and when. */
import { readdirSync, readlinkSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freezeWorker } from "../support/frozen-thread.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { Service } from "../support/service-manager.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const VTEPCTL = fileURLToPath(new URL("../../dist/vtepctl.js", import.meta.url));
const WATCHDOG_MS = 600;
const TUNNEL = "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2 } }";

let lab: Lab;
let host: Host;

beforeEach(() => {
  lab = Lab.create();
  host = lab.host("left");
  const other = lab.host("right");
  lab.wire(host, "eth0", other, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
});
afterEach(() => lab.close());

/** The `ip monitor` of a daemon, which lasts: other children may end meanwhile, or have not got to their program yet. */
const monitorsOf = (pid: number): string[] => {
  const pids = host.run("pgrep", ["-P", String(pid), "-f", "^ip .*monitor"]);
  return pids.trim().split("\n");
};

describe("a service manager", () => {
  it("is told of start, life and stop, by the daemon itself, and nobody else inherits its address", async () => {
    const service = await Service.start(host, TUNNEL, { variables: [`WATCHDOG_USEC=${WATCHDOG_MS * 1000}`] });
    expect(service.notified.find(({ READY }) => READY === "1")).toEqual({
      READY: "1",
      STATUS: "forwarding, tunnels: 1, workers: 2",
    });
    await waitFor(() => service.count("WATCHDOG") >= 3, { what: "WATCHDOG=1 three times" });
    const [pid] = service.pids;
    for (const child of monitorsOf(pid!)) {
      expect(host.run("cat", [`/proc/${child}/environ`])).not.toMatch(/NOTIFY_SOCKET|WATCHDOG_USEC|LISTEN_/);
    }
    service.configure("{}");
    service.command("kill SIGHUP");
    await service.ready(2);
    expect(service.notified.find(({ RELOADING }) => RELOADING === "1")?.["MONOTONIC_USEC"]).toMatch(/^\d+$/);
    expect(service.notified.findLast(({ READY }) => READY === "1")?.["STATUS"]).toContain("tunnels: 0");
    expect(await service.end("SIGTERM")).toBe(0);
    expect(service.count("STOPPING")).toBe(1);
    expect(service.senders).toEqual([pid]);
    expect(service.log).not.toContain("the service manager cannot be told");
  });

  it("is told of each reload, and how things are, whoever asks for it", async () => {
    const service = await Service.start(host, TUNNEL);
    const told = () => service.notified.filter(({ READY, RELOADING }) => READY === "1" || RELOADING === "1");
    /** Runs a reload and returns what was told since. */
    const during = async (count: number, reload: () => void): Promise<typeof service.notified> => {
      const { length } = told();
      reload();
      await waitFor(() => told().length >= length + count, { what: () => JSON.stringify(told()), timeoutMs: 20_000 });
      return told().slice(length);
    };
    const config = (...words: readonly string[]): { status: number; stderr: string } => {
      const { status, stderr } = service.vtepctl("config", ...words);
      return { status, stderr };
    };
    const reloading = { RELOADING: "1", MONOTONIC_USEC: expect.stringMatching(/^\d+$/) };
    const ways = [
      () => service.command("kill SIGHUP"),
      () => expect(config("reload").status).toBe(0),
      () => expect(config("apply", service.file).status).toBe(0),
    ];
    for (const [n, way] of ways.entries()) {
      service.configure(n % 2 === 0 ? "{}" : TUNNEL);
      const STATUS = `forwarding, tunnels: ${n % 2}, workers: 2`;
      expect(await during(2, way)).toEqual([reloading, { READY: "1", STATUS }]);
    }

    service.configure("{ ov0: { mode: vxlan, id: 16777216 } }");
    const failure =
      /^forwarding, tunnels: 0, workers: 2, the last reload failed: .*tunnels\.ov0\.id: expected .*16777216/;
    const refused = await during(2, () =>
      expect(config("reload")).toMatchObject({ stderr: expect.stringContaining("16777216") }),
    );
    expect(refused).toEqual([reloading, { READY: "1", STATUS: expect.stringMatching(failure) }]);
    expect(await during(2, () => service.command("kill SIGHUP"))).toEqual(refused.with(0, reloading));
    expect(service.log).toMatch(/vtepd: ERR_CONFIG_VALUE: .*tunnels\.ov0\.id/);
    // A dry run is none.
    const { length } = told();
    expect(config("diff").status).not.toBe(0);
    service.configure(TUNNEL);
    expect(config("diff").status).toBe(0);
    expect(told()).toHaveLength(length);

    expect(config("reload").status).toBe(0);
    await waitFor(() => service.status === "forwarding, tunnels: 1, workers: 2", { what: () => service.status ?? "" });
    host.ip("link", "set", "eth0", "down");
    await waitFor(() => service.status === "forwarding, tunnels: 1, with a degraded underlay: 1, workers: 2", {
      what: () => `a degraded underlay, got ${service.status}`,
      timeoutMs: 20_000,
    });
    expect(await service.end("SIGTERM")).toBe(0);
  }, 60_000);

  it("hears nothing while a worker stands still, and hears again when it goes on", async () => {
    const service = await Service.start(host, TUNNEL, { variables: [`WATCHDOG_USEC=${WATCHDOG_MS * 1000}`] });
    await waitFor(() => service.count("WATCHDOG") >= 2, { what: "WATCHDOG=1 twice" });
    const thaw = await freezeWorker(host, service.pids.at(-1)!);
    const said = /"worker":[01],"code":"ERR_WORKER","msg":"a worker stands still/g;
    await waitFor(() => said.test(service.log), { what: () => `the reason: ${service.log}` });
    await sleep(WATCHDOG_MS); // what was under way
    const count = service.count("WATCHDOG");
    await sleep(3 * WATCHDOG_MS);
    expect(service.count("WATCHDOG")).toBe(count);
    expect(service.vtepctl("status").status).toBe(0); // the main thread lives
    await thaw();
    await waitFor(() => service.count("WATCHDOG") >= count + 2, { what: "WATCHDOG=1 again" });
    expect(service.log.match(said)).toHaveLength(1);
    expect(await service.end("SIGTERM")).toBe(0);
  });

  it("listens for it, so that clients wait for a start, and none is refused between two", async () => {
    const service = Service.launch(host, TUNNEL, { listens: true });
    await service.ready(1);
    expect(service.vtepctl("status").status).toBe(0);
    const { ino } = statSync(service.socket);
    // Programs that the daemon runs do not have it.
    const pid = service.pids.at(-1)!;
    const own = readlinkSync(`/proc/${pid}/fd/3`);
    expect(own).toMatch(/^socket:/);
    for (const child of monitorsOf(pid)) {
      const inherited = readdirSync(`/proc/${child}/fd`).map((fd) => readlinkSync(`/proc/${child}/fd/${fd}`));
      expect(inherited).not.toContain(own);
    }
    expect(await service.end("SIGTERM")).toBe(0);
    const early = host.spawn(process.execPath, [VTEPCTL, "-socket", service.socket, "fdb", "show", "dev", "ov0"]);
    await sleep(500);
    expect(early.running).toBe(true);
    await service.startAgain();
    expect((await early.wait(10_000)).code).toBe(0);
    expect(early.stdout).toContain("dst 192.0.2.2");
    expect(statSync(service.socket).ino).toBe(ino);
    await service.end("SIGKILL");
    service.configure(TUNNEL, undefined, "/nowhere/control.sock");
    expect(await service.startInVain()).toBe(2);
    expect(service.log).toContain(
      "ERR_CONTROL_SOCKET: expected the service manager to listen on the control socket /no",
    );
  }, 60_000);

  it("that does not listen disturbs nothing", async () => {
    const service = Service.launch(host, TUNNEL, { variables: ["NOTIFY_SOCKET=/nowhere/at/all"] });
    await service.child.waitForOutput(/vtepd is forwarding/);
    await service.child.waitForOutput(/the service manager cannot be told/);
    expect(await service.end("SIGTERM")).toBe(0);
    expect(service.log.match(/the service manager cannot be told/g)).toHaveLength(1);
  });
});
