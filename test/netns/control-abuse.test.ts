/**
 * Clients of the control socket that mean no good, all at once, while a ping goes through a tunnel and other clients ask.
 *
 *   left: vtepd, ov0 --- 192.0.2.1 === 192.0.2.2 :right: the kernel's vxlan
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { unixHttp, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const ENTRIES = 20_000;
const IDLE = 2000;
const EACH = 30;
/** The daemon's limit. */
const CONNECTIONS = 256;
const MIB = 1024;
const OV0 = "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24] } }";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
const clients: Socket[] = [];

const connect = (text: string): Socket => {
  const client = createConnection(daemon.socket, () => client.write(text));
  client.on("error", () => {});
  clients.push(client);
  return client;
};
const head = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "host: vtepd", ...fields, "", ""].join("\r\n");
const memoryKiB = (name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${daemon.child.pid}/status`, "utf8"))?.[1]);
const descriptors = (): number => readdirSync(`/proc/${daemon.child.pid}/fd`).length;
const macOf = (n: number): string =>
  `02:01:00:00:${[n >> 8, n & 255].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  right.ip(
    "link",
    "add",
    "vx0",
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
  right.address("vx0", "10.42.0.2/24");
  daemon = await RunningDaemon.start(left, OV0);
  const changes = Array.from({ length: ENTRIES }, (_, n) => {
    return { op: "fdb", dev: "ov0", verb: "add", mac: macOf(n), dst: "192.0.2.2" };
  });
  expect((await unixJson(daemon.socket, "POST", "/v1/changes", { changes })).status).toBe(204);
  await waitFor(() => right.exec("ping", ["-c", "1", "-W", "1", "10.42.0.1"]).status === 0, {
    what: "the first answer",
  });
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await lab.close();
});

describe("clients that mean no good", () => {
  it("cost no frame, no other client's answer, and not much memory", async () => {
    const before = descriptors();
    const ping = await SteadyPing.start(right, "10.42.0.1");
    writeFileSync(`/proc/${daemon.child.pid}/clear_refs`, "5"); // the peak begins again
    const resident = memoryKiB("VmRSS");
    const ask = async (): Promise<void> => {
      const since = performance.now();
      expect(
        (await unixHttp({ socket: daemon.socket, path: "/v1/status", headers: { connection: "close" } })).status,
      ).toBe(200);
      expect(performance.now() - since).toBeLessThan(10_000);
    };

    const slow = Array.from({ length: EACH }, () =>
      connect("POST /v1/changes HTTP/1.1\r\nhost: vtepd\r\ncontent-length: 999\r\n\r\n"),
    );
    for (let n = 0; n < EACH; n++) {
      connect(head("GET", "/v1/fdb")).pause(); // never reads
      connect(head("GET", "/v1/events")).pause();
      connect(head("POST", "/v1/changes", "content-type: application/json", "content-length: 33000000")).write(
        "[".repeat(1 << 20),
      );
      connect(head("POST", "/v1/changes", "content-type: application/json", "transfer-encoding: chunked")).write(
        `100000\r\n${"[".repeat(1 << 20)}\r\n`.repeat(4),
      );
      connect("\x16\x03\x01 no HTTP at all\r\n\r\n").resume();
      connect(head("GET", "/v1/links").repeat(100)).end();
      for (const client of slow) client.write("{");
      await ask();
    }
    for (let n = 0; n < IDLE; n++) connect("");
    await ask();
    await ask();
    expect(descriptors()).toBeLessThan(before + CONNECTIONS + 20);
    // Half of them go in the middle of their request or answer.
    for (const [n, client] of clients.entries()) if (n % 2 === 0) client.destroy();
    await ask();
    expect(await ping.unanswered()).toEqual([]);
    expect(memoryKiB("VmHWM") - resident).toBeLessThan(64 * MIB);

    for (const client of clients) client.destroy();
    await waitFor(() => descriptors() <= before + 2, {
      what: () => `${before} descriptors, got ${descriptors()}`,
    });
    expect(daemon.fdb("ov0").filter(({ vtepd }) => vtepd?.owner === "control")).toHaveLength(ENTRIES);
    expect(daemon.child.stdout).not.toContain("ERR_INTERNAL");
  });
});
