import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ControlServer, startControl } from "../../src/control/server.ts";
import { groupId } from "../../src/control/unix-group.ts";
import { Child } from "../support/child.ts";
import { controlFixture, temporaryDirectory } from "../support/control-fixture.ts";
import { FakeChanges } from "../support/fake-changes.ts";
import { FakeDesired } from "../support/fake-desired.ts";
import { FakeVtep } from "../support/fake-vtep.ts";
import { captureLog } from "../support/log-capture.ts";
import { unixHttp } from "../support/unix-http.ts";

let directory: string;
let open: ControlServer[];

const start = async (socket: string, group?: string, fileMode?: number): Promise<ControlServer> => {
  const { log } = captureLog();
  const service = new FakeVtep();
  const desired = new FakeDesired(service);
  const server = await startControl({
    socket,
    group,
    mode: fileMode,
    service,
    desired,
    changes: new FakeChanges(service, desired),
    metrics: async () => "",
    log,
  });
  open.push(server);
  return server;
};

const mode = (path: string): number => statSync(path).mode & 0o7777;

beforeEach(() => {
  directory = temporaryDirectory();
  open = [];
});

afterEach(async () => {
  for (const server of open) await server.close();
  rmSync(directory, { recursive: true });
});

describe("control socket", () => {
  it("is mode 0660 in a directory of mode 0755 that it made, whatever the umask", async () => {
    const socket = join(directory, "a", "b", "control.sock");
    const before = process.umask(0o022);
    try {
      await start(socket);
      expect(mode(socket)).toBe(0o660);
      expect(mode(join(directory, "a", "b"))).toBe(0o755);
      expect(process.umask()).toBe(0o022);
    } finally {
      process.umask(before);
    }
  });

  it("lets everybody connect, or only its user, when told so", async () => {
    for (const wanted of [0o666, 0o600]) {
      const socket = join(directory, `${wanted}.sock`);
      await start(socket, undefined, wanted);
      expect(mode(socket)).toBe(wanted);
    }
  });

  it("leaves the mode of a directory that exists alone", async () => {
    mkdirSync(join(directory, "run"), { mode: 0o700 });
    await start(join(directory, "run", "control.sock"));
    expect(mode(join(directory, "run"))).toBe(0o700);
  });

  it("is removed on close", async () => {
    const socket = join(directory, "control.sock");
    const server = await start(socket);
    expect(existsSync(socket)).toBe(true);
    await server.close();
    open = [];
    expect(existsSync(socket)).toBe(false);
  });

  it("replaces the file of a daemon that was killed", async () => {
    const socket = join(directory, "control.sock");
    const script = `require("net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`;
    const child = new Child(process.execPath, ["-e", script]);
    expect((await child.exited).signal).toBe("SIGKILL");
    expect(statSync(socket).isSocket()).toBe(true);
    await start(socket);
    expect((await unixHttp({ socket, path: "/healthz" })).text).toBe("ok\n");
  });

  it("never replaces the socket of a living daemon", async () => {
    const socket = join(directory, "control.sock");
    await start(socket);
    await expect(start(socket)).rejects.toMatchObject({
      code: "ERR_CONTROL_SOCKET",
      message: `another vtepd answers on ${socket}`,
    });
    expect((await unixHttp({ socket, path: "/healthz" })).status).toBe(200);
  });

  it("never replaces a file that is no socket", async () => {
    const socket = join(directory, "control.sock");
    writeFileSync(socket, "precious");
    await expect(start(socket)).rejects.toMatchObject({ code: "ERR_CONTROL_SOCKET" });
    expect(readFileSync(socket, "utf8")).toBe("precious");
  });

  it("refuses a path that sun_path cannot hold", async () => {
    const socket = join(directory, "x".repeat(120));
    await expect(start(socket)).rejects.toMatchObject({ code: "ERR_CONFIG_VALUE" });
  });

  it("says why when the directory cannot be made", async () => {
    writeFileSync(join(directory, "file"), "");
    await expect(start(join(directory, "file", "control.sock"))).rejects.toMatchObject({
      code: "ERR_CONTROL_SOCKET",
      message: expect.stringMatching(/ENOTDIR|EEXIST/),
    });
  });

  it("closes within its time limit although a client holds a connection open", async () => {
    const socket = join(directory, "control.sock");
    const server = await start(socket);
    const { createConnection } = await import("node:net");
    const client = createConnection(socket);
    const ended = new Promise((resolve) => client.once("close", resolve));
    await new Promise((resolve) => client.once("connect", resolve));
    client.write("GET /healthz HTTP/1.1\r\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = performance.now();
    await server.close();
    open = [];
    await ended;
    expect(performance.now() - before).toBeLessThan(5000);
  });
});

describe("a change over the control socket", () => {
  it("is logged with who asked for it", async () => {
    const fixture = await controlFixture();
    try {
      const { socket, lines } = fixture;
      await unixHttp({ socket, path: "/v1/links" });
      await unixHttp({ socket, path: "/v1/no-such-route", method: "POST" });
      const requests = lines.filter(({ msg }) => msg === "control request");
      expect(requests[0]).not.toHaveProperty("peer");
      expect(requests[1]).toMatchObject({
        method: "POST",
        peer: {
          uid: process.getuid!(),
          gid: process.getgid!(),
          pid: process.pid,
          process: readFileSync("/proc/self/comm", "utf8").trimEnd(),
        },
      });
    } finally {
      await fixture.close();
    }
  });
});

const JSON_BODY = { "content-type": "application/json" };

describe("every route that changes anything", () => {
  it("is logged with who asked for it, done or refused", async () => {
    const fixture = await controlFixture();
    try {
      const { socket, lines } = fixture;
      const { paths } = JSON.parse((await unixHttp({ socket, path: "/openapi.json" })).text);
      const values: Record<string, string> = { name: "vx42", mac: "02:00:00:00:00:05", address: "10.0.0.1" };
      const routes = Object.entries(paths as Record<string, object>).flatMap(([template, methods]) => {
        const path = template.replaceAll(/\{(\w+)\}/g, (_, parameter: string) => values[parameter]!);
        return Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path }));
      });
      const writes = routes.filter(({ method }) => method !== "GET");
      expect(writes).toEqual(
        expect.arrayContaining([
          { method: "PUT", path: "/v1/links/vx42/flood" },
          { method: "DELETE", path: "/v1/links/vx42/fdb" },
          { method: "POST", path: "/v1/config/reload" },
          { method: "PUT", path: "/v1/config" },
          { method: "POST", path: "/v1/capture" },
          { method: "POST", path: "/v1/changes" },
        ]),
      );
      const peer = { uid: process.getuid!(), gid: process.getgid!(), pid: process.pid };
      for (const { method, path } of writes) {
        const { length } = lines;
        const body = method === "DELETE" ? {} : { headers: JSON_BODY, body: '{"nonsense":1}' };
        const { status } = await unixHttp({ socket, method, path, ...body });
        const logged = lines.slice(length).filter(({ msg }) => msg === "control request");
        expect(logged).toEqual([expect.objectContaining({ level: 30, method, path, status })]);
        expect(logged[0]!["peer"]).toMatchObject(peer);
      }
    } finally {
      await fixture.close();
    }
  });
});

describe("control socket group", () => {
  it("gives the file to the group", async () => {
    // Root can give it away; anybody else only to a group of theirs.
    const own = process.getgid!();
    const other = readFileSync("/etc/group", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .find(([, , gid]) => (process.getuid!() === 0 ? gid !== String(own) : gid === String(own)))!;
    const socket = join(directory, "control.sock");
    await start(socket, other[0]);
    expect(statSync(socket).gid).toBe(Number(other[2]));
    expect(mode(socket)).toBe(0o660);
  });

  it("refuses an unknown group before anything listens", async () => {
    const socket = join(directory, "control.sock");
    await expect(start(socket, "no-such-group")).rejects.toMatchObject({
      code: "ERR_CONFIG_VALUE",
      message: expect.stringContaining('"no-such-group"'),
    });
    expect(existsSync(socket)).toBe(false);
  });

  it("is looked up by whole name or by number", () => {
    const file = join(directory, "group");
    writeFileSync(file, "root:x:0:\nvtepd-admin:x:7:\nvtepd:x:991:alice,bob\n");
    expect(groupId("vtepd", file)).toBe(991);
    expect(groupId("12", file)).toBe(12);
    expect(() => groupId("vtep", file)).toThrow("vtep");
    expect(() => groupId("alice", file)).toThrow("alice");
  });
});

describe("createServer of node:net", () => {
  // socket-file.ts relies on it: the umask is back to normal when `listen` returns.
  it("has bound a unix socket when listen returns", async () => {
    const socket = join(directory, "bound.sock");
    const server = createServer();
    server.listen(socket);
    expect(existsSync(socket)).toBe(true);
    await new Promise((resolve) => server.close(resolve));
  });
});
