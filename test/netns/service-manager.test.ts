/** vtepd as a service: what it tells the service manager, and when. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { Service } from "../support/service-manager.ts";
import { waitFor } from "../support/wait-for.ts";

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

describe("a service manager", () => {
  it("is told of start, life and stop, by the daemon itself, and nobody else inherits its address", async () => {
    const service = await Service.start(host, TUNNEL, { variables: [`WATCHDOG_USEC=${WATCHDOG_MS * 1000}`] });
    expect(service.notified.find(({ READY }) => READY === "1")).toEqual({
      READY: "1",
      STATUS: "forwarding, tunnels: 1, workers: 2",
    });
    await waitFor(() => service.count("WATCHDOG") >= 3, { what: "WATCHDOG=1 three times" });
    const [pid] = service.pids;
    const children = host
      .run("pgrep", ["-P", String(pid)])
      .trim()
      .split("\n");
    expect(children.length).toBeGreaterThan(0); // `ip monitor`
    for (const child of children) {
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

  it("that does not listen disturbs nothing", async () => {
    const service = Service.launch(host, TUNNEL, { variables: ["NOTIFY_SOCKET=/nowhere/at/all"] });
    await service.child.waitForOutput(/vtepd is forwarding/);
    await service.child.waitForOutput(/the service manager cannot be told/);
    expect(await service.end("SIGTERM")).toBe(0);
    expect(service.log.match(/the service manager cannot be told/g)).toHaveLength(1);
  });
});
