import { createServer } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { type MetricsServer, startMetrics } from "../../src/metrics/server.ts";
import { captureLog, type LogLine } from "../support/log-capture.ts";

let server: MetricsServer | undefined;
let lines: LogLine[] = [];
let unready: string[] = [];

const start = async (
  render: () => Promise<string> = async () => "vtepd_test 1\n",
  host = "127.0.0.1",
  port = 0,
): Promise<string> => {
  const captured = captureLog();
  lines = captured.lines;
  server = await startMetrics({ listen: { host, port }, render, unready: () => unready, log: captured.log });
  return `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
};

afterEach(async () => {
  await server?.close();
  server = undefined;
});

describe("metrics server", () => {
  it("serves /metrics in the exposition format's type, whatever the query", async () => {
    const answer = await fetch(`${await start()}/metrics?name[]=x`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(await answer.text()).toBe("vtepd_test 1\n");
  });

  it("serves /healthz, and answers HEAD without a body", async () => {
    const base = await start();
    expect(await (await fetch(`${base}/healthz`)).text()).toBe("ok\n");
    const head = await fetch(`${base}/metrics`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe("13");
    expect(await head.text()).toBe("");
  });

  it("serves /readyz: 503 with the reasons until there are none", async () => {
    const base = await start();
    unready = ["vx42: its device is gone", "vx43: no route"];
    const answer = await fetch(`${base}/readyz`);
    expect([answer.status, await answer.text()]).toEqual([503, "vx42: its device is gone\nvx43: no route\n"]);
    unready = [];
    expect(await (await fetch(`${base}/readyz`)).text()).toBe("ok\n");
  });

  it("has nothing else: no control API over TCP", async () => {
    const base = await start();
    for (const path of ["/", "/v1/links", "/openapi.json", "/metrics/", "//metrics"]) {
      expect((await fetch(`${base}${path}`)).status, path).toBe(404);
    }
    expect((await fetch(`${base}/metrics`, { method: "POST", body: "x" })).status).toBe(405);
  });

  it("listens on IPv6", async () => {
    expect((await fetch(`${await start(undefined, "::1")}/healthz`)).status).toBe(200);
  });

  it("answers a failing scrape with 500, without the cause, logs it, and lives on", async () => {
    let fail = true;
    const base = await start(async () => {
      if (fail) throw new Error("the secret cause");
      return "vtepd_test 1\n";
    });
    const answer = await fetch(`${base}/metrics`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain("secret");
    expect(lines).toContainEqual(expect.objectContaining({ level: 50, code: "ERR_INTERNAL" }));
    fail = false;
    expect((await fetch(`${base}/metrics`)).status).toBe(200);
  });

  it("says which address is taken", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as { port: number };
    await expect(start(undefined, "127.0.0.1", port)).rejects.toMatchObject({
      code: "ERR_ADDRESS_IN_USE",
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    await new Promise((resolve) => other.close(resolve));
  });

  it("says that an address is not on this host", async () => {
    await expect(start(undefined, "192.0.2.200")).rejects.toMatchObject({ code: "ERR_ADDRESS_NOT_LOCAL" });
  });

  it("is closed after close, also with an idle connection open", async () => {
    const base = await start();
    await (await fetch(`${base}/healthz`)).text();
    await server!.close();
    server = undefined;
    await expect(fetch(`${base}/healthz`)).rejects.toThrow();
  });
});
