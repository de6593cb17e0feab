import { request } from "node:http";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/vtepctl.ts";
import { captureIo } from "../support/capture-io.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { unixJson } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

let control: ControlFixture;

beforeEach(async () => {
  control = await controlFixture();
  control.service.hear("vx42", "10.42.0.6", "02:00:00:00:00:06");
});

afterEach(() => control.close());

const vtepctl = async (line: string) => {
  const io = captureIo({ VTEPD_SOCKET: control.socket });
  const status = await run(line.split(" "), io);
  return { status, stdout: io.stdout, stderr: io.stderr };
};

const ok = async (line: string): Promise<string> => {
  const outcome = await vtepctl(line);
  expect(outcome).toMatchObject({ status: 0, stderr: "" });
  return outcome.stdout;
};

const LEARNED = "10.42.0.6 dev vx42 lladdr 02:00:00:00:00:06 REACHABLE\n";

describe("vtepctl neigh", () => {
  it("names neighbours, changes, shows and deletes them, in the words of `ip neigh`", async () => {
    await ok("neigh add 10.42.0.7 lladdr 02:00:00:00:00:07 nud permanent dev vx42");
    await ok("neighbour add fd00:0::8 dev vx42 lladdr 02:00:00:00:00:AA router");
    expect(await ok("neigh")).toBe(
      `${LEARNED}10.42.0.7 dev vx42 lladdr 02:00:00:00:00:07 PERMANENT\nfd00::8 dev vx42 lladdr 02:00:00:00:00:aa router PERMANENT\n`,
    );
    await ok("neigh replace 10.42.0.7 lladdr 02:00:00:00:00:09 dev vx42");
    await ok("neigh del fd00::8 dev vx42");
    expect(await ok("-s neigh show dev vx42")).toBe(
      "10.42.0.6 dev vx42 lladdr 02:00:00:00:00:06 used 1/20 REACHABLE\n10.42.0.7 dev vx42 lladdr 02:00:00:00:00:09 used 3/10 PERMANENT\n",
    );
    expect(await ok("neigh show dev vx43")).toBe("");
  });

  it("prints the JSON of `ip -j neigh`", async () => {
    expect(JSON.parse(await ok("-j neigh"))).toEqual([
      { dst: "10.42.0.6", dev: "vx42", lladdr: "02:00:00:00:00:06", state: ["REACHABLE"] },
    ]);
    expect(JSON.parse(await ok("-s -j neigh"))).toMatchObject([{ used: 1, updated: 20 }]);
  });

  it("flushes the learned ones, or all", async () => {
    await ok("neigh add 10.42.0.7 lladdr 02:00:00:00:00:07 dev vx42");
    expect(await ok("neigh flush dev vx42")).toBe("flushed 1\n");
    expect(await ok("-j neigh flush dev vx42 state all")).toBe('{"flushed":1}\n');
    expect(await ok("neigh")).toBe("");
  });

  it.each([
    ["neigh add 10.42.0.7 lladdr 02:00:00:00:00:07", 1, '"dev" is required: dev DEV'],
    ["neigh add 10.42.0 lladdr 02:00:00:00:00:07 dev vx42", 1, 'any valid address is expected rather than "10.42.0".'],
    ["neigh add 10.42.0.7 lladdr 02:00 dev vx42", 1, "Invalid mac address 02:00"],
    [
      "neigh add 10.42.0.7 lladdr 01:00:5e:00:00:07 dev vx42",
      1,
      "mac: expected a unicast MAC such as 02:00:00:00:00:01, got",
    ],
    ["neigh add 10.42.0.7 lladdr 02:00:00:00:00:07 dev vx9", 2, 'Cannot find device "vx9"'],
    ["neigh del 10.42.0.9 dev vx42", 2, "no neighbour 10.42.0.9 dev vx42"],
    ["neigh flush dev vx42 state static", 1, 'argument "static" is wrong: invalid state'],
    ["monitor dev vx9", 2, 'Cannot find device "vx9"'],
  ])("refuses %j", async (line, status, complaint) => {
    const outcome = await vtepctl(line);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain(complaint);
    expect(await ok("neigh")).toBe(LEARNED);
  });

  it("does not name a neighbour twice", async () => {
    await ok("neigh add 10.42.0.7 lladdr 02:00:00:00:00:07 dev vx42");
    expect(await vtepctl("neigh add 10.42.0.7 lladdr 02:00:00:00:00:08 dev vx42")).toMatchObject({ status: 2 });
    await ok("neigh add 10.42.0.6 lladdr 02:00:00:00:00:08 dev vx42"); // over a learned one
  });
});

const body = { verb: "add", address: "10.42.0.7", mac: "02:00:00:00:00:07" };

it.each([
  [{ ...body, address: "10.42.0" }, "address"],
  [{ ...body, mac: "00:00:00:00:00:00" }, "mac"],
  [{ ...body, verb: "append" }, "verb"],
  [{ ...body, state: "x" }, "state"],
])("POST neighbours names the wrong value of %j", async (wrong, path) => {
  const answer = await unixJson(control.socket, "POST", "/v1/links/vx42/neighbours", wrong);
  expect(answer.status).toBe(400);
  expect(`${JSON.parse(answer.text).path} ${JSON.parse(answer.text).detail}`).toContain(path);
});

describe("events", () => {
  const emit = (event: Parameters<Parameters<ControlFixture["service"]["listen"]>[0]>[0]): void => {
    for (const listener of control.service.listeners) listener(event);
  };
  const listening = () => waitFor(() => control.service.listeners.size === 1, { what: "a listener" });

  it("are printed by `vtepctl monitor` as they happen, until the daemon ends", async () => {
    const monitor = vtepctl("monitor dev vx42");
    await listening();
    emit({ event: "l2-miss", dev: "vx42", mac: "02:00:00:00:00:99" });
    emit({ event: "l2-miss", dev: "vx43", mac: "02:00:00:00:00:98" });
    emit({ event: "l3-miss", dev: "vx42", address: "10.42.0.9" });
    emit({ event: "neighbour", dev: "vx42", change: "moved", address: "fd00::9", mac: "02:00:00:00:00:09" });
    emit({ event: "neighbour", dev: "vx42", change: "aged", address: "fd00::9" });
    await control.close();
    expect((await monitor).stdout).toBe(
      "miss dev vx42 lladdr 02:00:00:00:00:99\nmiss 10.42.0.9 dev vx42\nneigh fd00::9 dev vx42 lladdr 02:00:00:00:00:09 moved\nneigh fd00::9 dev vx42 aged\n",
    );
    control = await controlFixture();
  });

  it("are server-sent events for who asks for such, and nobody listens when nobody does", async () => {
    let text = "";
    const headers = { accept: "text/event-stream" };
    const client = request({ socketPath: control.socket, path: "/v1/events", headers }, (response) => {
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", () => {}); // it is cut below
    });
    client.on("error", () => {});
    client.end();
    await listening();
    emit({ event: "l3-miss", dev: "vx42", address: "10.42.0.9" });
    await waitFor(() => text.endsWith("}\n\n"), { what: "an event" });
    const [comment, event, data] = text.split("\n").filter((line) => line !== "");
    expect([comment, event]).toEqual([":", "event: l3-miss"]);
    expect(JSON.parse(data!.replace("data: ", ""))).toMatchObject({ event: "l3-miss", address: "10.42.0.9" });
    client.destroy();
    await waitFor(() => control.service.listeners.size === 0, { what: "no listener" });
  });

  it.each(["application/x-ndjson", "text/event-stream"])(
    "that a slow reader cannot take are counted: %s",
    async (accept) => {
      const MANY = 50_000;
      let text = "";
      let read = (): void => {};
      const client = request({ socketPath: control.socket, path: "/v1/events", headers: { accept } }, (response) => {
        response.setEncoding("utf8").pause();
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", () => {});
        read = () => response.resume();
      });
      client.on("error", () => {});
      client.end();
      await listening();
      for (let n = 0; n < MANY; n++) emit({ event: "l3-miss", dev: "vx42", address: "10.42.0.9" });
      await new Promise((resolve) => setTimeout(resolve, 100)); // as much as the sockets take
      for (let n = 0; n < MANY; n++) emit({ event: "l3-miss", dev: "vx42", address: "10.42.0.9" });
      read();
      // Nothing more happens, and the loss is told all the same; nothing else than the queue was kept for the reader.
      const told = (): number =>
        [...text.matchAll(/"event":"lost","count":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0) +
        text.split('"event":"l3-miss"').length -
        1;
      await waitFor(() => told() === 2 * MANY, { what: () => `all events: ${told()}` });
      expect(text.length).toBeLessThan(3 << 20);
      client.destroy();
      await waitFor(() => control.service.listeners.size === 0, { what: "no listener" });
    },
  );
});
