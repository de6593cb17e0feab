/** Clients of the control socket that do not go on: with their head, their body, their answer, or at all. */
import { createConnection, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ControlLimits } from "../../src/control/server.ts";
import type { FdbEntryView } from "../../src/dataplane/view.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { FakeVtep } from "../support/fake-vtep.ts";
import { unixHttp } from "../support/unix-http.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const SHORT_MS = 600;
const LONG_MS = 600_000;
/** Each test shortens one of them: the others would be reasons, too, for a connection to end. */
const PATIENT: Partial<ControlLimits> = { headMs: LONG_MS, requestMs: LONG_MS, stalledMs: LONG_MS, lookMs: 50 };
const MIB = 1 << 20;
const LONG_BODIES = 4;

let control: ControlFixture;
let clients: Socket[] = [];

/** An FDB that does not end before its reader. */
class EndlessVtep extends FakeVtep {
  override *fdb(dev = "vx42"): Iterable<FdbEntryView> {
    const mac = "02:00:00:00:00:05";
    for (;;) yield { dev, mac, dst: "192.0.2.2", origin: "learned", owner: "learned", usedS: 0, updatedS: 0 };
  }
}

interface Talk {
  readonly client: Socket;
  readonly heard: () => string;
  /** Milliseconds after the beginning; undefined = it is open. */
  readonly endedMs: () => number | undefined;
}

const say = async (text: string): Promise<Talk> => {
  const client = createConnection(control.socket);
  clients.push(client);
  const since = performance.now();
  let heard = "";
  let endedMs: number | undefined;
  client.on("error", () => {});
  client.on("data", (chunk) => {
    heard += chunk;
  });
  for (const event of ["end", "close"]) {
    client.on(event, () => {
      endedMs ??= performance.now() - since;
    });
  }
  client.write(text);
  return { client, heard: () => heard, endedMs: () => endedMs };
};
const head = (method: string, path: string, ...fields: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "host: vtepd", ...fields, "", ""].join("\r\n");
const answers = async (): Promise<number> => (await unixHttp({ socket: control.socket, path: "/healthz" })).status;
const ended = (talk: Talk): Promise<unknown> => waitFor(() => talk.endedMs() !== undefined, { what: "the end" });

afterEach(async () => {
  for (const client of clients) client.destroy();
  clients = [];
  await control.close();
});

describe("a client", () => {
  it.each([
    ["that says nothing at all", ""],
    ["whose head does not end", "GET /v1/links HTTP/1.1\r\nhost: vtepd\r\n"],
  ])("%s is cut when its head should be there", async (_, text) => {
    control = await controlFixture(undefined, { ...PATIENT, headMs: SHORT_MS });
    const talk = await say(text);
    await ended(talk);
    expect(talk.endedMs()).toBeGreaterThanOrEqual(SHORT_MS - 50);
    expect(talk.heard()).toMatch(/^HTTP\/1\.1 408 /);
    expect(await answers()).toBe(200);
  });

  it("that sends its body a byte at a time is cut when all of it should be there", async () => {
    control = await controlFixture(undefined, { ...PATIENT, headMs: SHORT_MS, requestMs: SHORT_MS });
    const talk = await say(head("POST", "/v1/changes", "content-type: application/json", "content-length: 9999"));
    const drip = setInterval(() => talk.client.write("["), 50);
    await ended(talk);
    clearInterval(drip);
    expect(talk.endedMs()).toBeGreaterThanOrEqual(SHORT_MS - 50);
    expect(await answers()).toBe(200);
  });

  it("that takes nothing of its answer is cut, and one that takes it slowly is not", async () => {
    control = await controlFixture(new EndlessVtep(), { ...PATIENT, stalledMs: SHORT_MS });
    const [stuck, slow] = [await say(head("GET", "/v1/fdb")), await say(head("GET", "/v1/fdb"))];
    await waitFor(() => stuck.heard() !== "" && slow.heard() !== "", { what: "the beginning" });
    stuck.client.pause();
    slow.client.pause();
    const sip = setInterval(() => void slow.client.read(64 * 1024), SHORT_MS / 20);
    await sleep(2.5 * SHORT_MS);
    clearInterval(sip);
    expect(slow.client.destroyed || slow.client.readableEnded).toBe(false);
    stuck.client.resume();
    await ended(stuck);
    expect(await answers()).toBe(200);
  });

  it("that waits for events stays until it goes, or closes its own side", async () => {
    control = await controlFixture(undefined, {
      ...PATIENT,
      stalledMs: SHORT_MS,
      headMs: SHORT_MS,
      requestMs: SHORT_MS,
    });
    const { service } = control;
    const [talk, half] = [await say(head("GET", "/v1/events")), await say(head("GET", "/v1/events"))];
    await waitFor(() => service.listeners.size === 2, { what: "two listeners" });
    await sleep(2.5 * SHORT_MS);
    for (const listener of service.listeners) listener({ event: "l3-miss", dev: "vx42", address: "10.42.0.9" });
    await waitFor(() => [talk, half].every(({ heard }) => heard().includes("10.42.0.9")), { what: "an event" });
    half.client.end();
    await waitFor(() => service.listeners.size === 1, { what: "one listener" });
    talk.client.destroy();
    await waitFor(() => service.listeners.size === 0, { what: "no listener" });
  });
});

describe("long bodies", () => {
  it("may be few at a time, which holds up no short one", async () => {
    control = await controlFixture(undefined, PATIENT);
    const fields = ["content-type: application/json", `content-length: ${20 * MIB}`];
    const long: Talk[] = [];
    for (let n = 0; n < LONG_BODIES; n++) long.push(await say(`${head("POST", "/v1/changes", ...fields)}[`));
    const tooMany = await waitFor(
      async () => {
        const talk = await say(`${head("POST", "/v1/changes", ...fields)}[`);
        await waitFor(() => talk.heard() !== "" || talk.endedMs() !== undefined, { what: "a refusal", timeoutMs: 500 });
        return talk;
      },
      { what: "one too many" },
    );
    expect(tooMany.heard()).toMatch(/^HTTP\/1\.1 503 .*"ERR_CONTROL_SOCKET"/s);
    const chunked = await say(
      head("PUT", "/v1/config", "content-type: application/yaml", "transfer-encoding: chunked"),
    );
    await waitFor(() => chunked.heard().startsWith("HTTP/1.1 503 "), { what: "the same of one without a length" });
    const short = { socket: control.socket, method: "POST", path: "/v1/changes", body: '{"changes":[]}' };
    const headers = { "content-type": "application/json" };
    expect((await unixHttp({ ...short, headers })).status).toBe(204);
    expect(long.every(({ heard, endedMs }) => heard() === "" && endedMs() === undefined)).toBe(true);
    long[0]!.client.destroy();
    await waitFor(
      async () => (await unixHttp({ ...short, body: " ".repeat(2 * MIB) + short.body, headers })).status === 204,
      {
        what: "room for one",
      },
    );
  });
});
