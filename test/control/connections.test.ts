/** Clients of the control socket that ask for too much, too slowly, or for nothing. */
import { createConnection, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { unixHttp, unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const LIMIT = 256;

let control: ControlFixture;
let clients: Socket[];

const connect = (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const client = createConnection(control.socket, () => resolve(client));
    client.on("error", reject);
    clients.push(client);
  });
/** Connected, sent, and what came back so far. */
const say = async (text: string): Promise<{ client: Socket; heard: () => string }> => {
  const client = await connect();
  client.on("error", () => {});
  let heard = "";
  client.on("data", (chunk) => {
    heard += chunk;
  });
  client.write(text);
  return { client, heard: () => heard };
};
const head = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "host: vtepd", ...fields, "", ""].join("\r\n");
const isOpen = (client: Socket): boolean => !client.destroyed && !client.readableEnded;
const answers = async (): Promise<number> => (await unixHttp({ socket: control.socket, path: "/healthz" })).status;

beforeEach(async () => {
  control = await controlFixture();
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await control.close();
});

describe("the control socket's connections", () => {
  it("that are idle keep nobody out: the oldest go, and the log says so once", async () => {
    for (let n = 0; n < 2000; n++) (await connect()).on("error", () => {}).resume();
    expect(await answers()).toBe(200);
    await waitFor(() => clients.filter(isOpen).length <= LIMIT, { what: "the oldest to be closed" });
    expect(clients.slice(-LIMIT + 1).every(isOpen)).toBe(true);
    expect(control.lines.filter(({ msg }) => /connections/.test(String(msg)))).toHaveLength(1);
  });

  it("that are all in use are told from: one more is answered 503, and its request is not done", async () => {
    const streams: Awaited<ReturnType<typeof say>>[] = [];
    for (let n = 0; n < LIMIT; n++) streams.push(await say(head("GET", "/v1/events")));
    await waitFor(() => streams.every(({ heard }) => heard().includes("200 OK")), { what: "all streams" });
    const answer = await unixJson(control.socket, "POST", "/v1/links/vx42/flood", { dst: "192.0.2.77" });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({ code: "ERR_CONTROL_SOCKET" });
    expect(JSON.stringify(control.service.flood("vx42"))).not.toContain("192.0.2.77");
    streams[0]!.client.destroy();
    await waitFor(async () => (await answers()) === 200, { what: "room for one" });
    expect(streams.slice(1).every(({ client }) => isOpen(client))).toBe(true);
  });

  it("carry requests one behind the other, answered in order", async () => {
    const paths = Array.from({ length: 200 }, (_, n) => (n % 2 === 0 ? "/healthz" : "/nothing"));
    const { heard } = await say(paths.map((path) => head("GET", path)).join(""));
    await waitFor(() => heard().split("HTTP/1.1 ").length === 201, { what: "200 answers" });
    expect([...heard().matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(
      paths.map((path) => (path === "/healthz" ? "200" : "404")),
    );
  });

  it.each([
    ["garbage", "\x16\x03\x01\x02\x00 not HTTP\r\n\r\n", "400"],
    ["a head without end", `GET / HTTP/1.1\r\nx: ${"a".repeat(64 * 1024)}`, "431"],
    ["a body that is too long", `${head("POST", "/v1/links/vx42/fdb", "content-length: 99999999999")}{`, "413"],
    [
      "a body without length that is too long",
      `${head("POST", "/v1/links/vx42/fdb", "content-type: application/json", "transfer-encoding: chunked")}200000\r\n${"1".repeat(0x200000)}\r\n`,
      "413",
    ],
  ])("with %s are answered and do not stay", async (_, text, status) => {
    const { client, heard } = await say(text);
    await waitFor(() => heard().startsWith(`HTTP/1.1 ${status} `), { what: () => `${status}, got ${heard()}` });
    client.on("end", () => client.end());
    await waitFor(() => !isOpen(client), { what: "the end" });
    expect(await answers()).toBe(200);
  });

  it("that are closed on one side are answered all the same", async () => {
    const { client, heard } = await say(head("GET", "/v1/links"));
    client.end();
    await waitFor(() => heard().includes("vx43"), { what: "the answer" });
    await waitFor(() => !isOpen(client), { what: "the end" });
  });

  it("serve other clients while one sends a byte now and then", async () => {
    const slow = await say("POST /v1/links/vx42/flood HTTP/1.1\r\n");
    for (const byte of "content-le") {
      slow.client.write(byte);
      expect(await answers()).toBe(200);
    }
    expect(isOpen(slow.client)).toBe(true);
  });
});
