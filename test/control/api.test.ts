import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ERROR_CODES } from "../../src/errors.ts";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { type UnixAnswer, unixHttp, unixJson } from "../support/unix-http.ts";

let control: ControlFixture;

const get = (path: string, headers: Record<string, string> = {}): Promise<UnixAnswer> =>
  unixHttp({ socket: control.socket, path, headers });
const getJson = async (path: string): Promise<unknown> => {
  const answer = await get(path);
  expect(answer.status).toBe(200);
  expect(answer.type).toContain("application/json");
  return JSON.parse(answer.text);
};
const post = (path: string, body: unknown): Promise<UnixAnswer> => unixJson(control.socket, "POST", path, body);
const remove = (path: string): Promise<UnixAnswer> => unixHttp({ socket: control.socket, path, method: "DELETE" });

/** The members of a problem that are contract; checks that the others are there. */
const problemOf = (answer: UnixAnswer): { status: number; code: string; detail: string; path?: string } => {
  expect(answer.type).toBe("application/problem+json");
  const problem = JSON.parse(answer.text);
  expect(problem.status).toBe(answer.status);
  expect(problem.type).toBe(`urn:vtepd:error:${problem.code}`);
  expect(problem.title).toBe(ERROR_CODES[problem.code as keyof typeof ERROR_CODES].meaning);
  expect(typeof problem.detail).toBe("string");
  return problem;
};

beforeEach(async () => {
  control = await controlFixture();
});

afterEach(() => control.close());

describe("GET", () => {
  it("/v1/status tells the daemon's state", async () => {
    expect(await getJson("/v1/status")).toEqual({
      version: "0.1.0-test",
      node: "v20.20.2",
      pid: 4711,
      netns: expect.any(String),
      uptime: 3725,
      config: "/etc/vtepd/vtepd.yaml",
      links: 2,
      fdb: { entries: 4, capacity: 131072 },
      offload: {
        tier: "socket",
        in_use: ["udp-segment"],
        not_in_use: { "tap-uso": "TUNSETOFFLOAD: EINVAL" },
        segment_refused: 3,
        segment_lost: 1,
      },
      workers: [{ id: 0, wakeups: 10, batches: 20, frames: 300, overflow: 4, errors: 0 }],
      journal: { path: "/var/lib/vtepd/control.journal", bytes: 4096, waiting: 2 },
      reload: { successful: true, succeeded: 1_700_000_000 },
    });
  });

  it("/v1/links/{name} has iproute2's shape", async () => {
    const link = await getJson("/v1/links/vx42");
    expect(link).toEqual({
      ifindex: 4,
      ifname: "vx42",
      flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
      mtu: 1450,
      operstate: "UNKNOWN",
      link_type: "ether",
      address: "02:00:00:00:00:01",
      linkinfo: {
        info_kind: "vxlan",
        info_data: {
          id: 42,
          remote: "192.0.2.2",
          local: "192.0.2.1",
          link: "eth0",
          port_range: { low: 0, high: 0 },
          port: 4789,
          learning: true,
          ttl: 0,
          df: "unset",
          ageing: 300,
          limit: 65536,
          udp_csum: true,
          udp_zero_csum6_tx: false,
          udp_zero_csum6_rx: false,
        },
      },
      stats64: {
        rx: { bytes: 700, packets: 7, errors: 5, dropped: 6, over_errors: 0, multicast: 0 },
        tx: { bytes: 900, packets: 9, errors: 3, dropped: 4, carrier_errors: 2, collisions: 0 },
      },
      vtepd: {
        state: "up",
        queues: 1,
        offload: "socket",
        receive: "socket",
        kernel_modules: [],
        netns: null,
        netns_inode: expect.stringMatching(/^\d+$/),
        underlay_netns: null,
        underlay: { state: "up" },
        accept: "known",
        fwmark: null,
        unknown_unicast: "flood",
        policers: {},
        oversize: "icmp",
        mss_clamp: "off",
        vlan: "pass",
        flood: ["192.0.2.2"],
        routes: [],
        names: [],
        fdb: { learned: 1, static: 2 },
        limit_per_remote: null,
        eviction: "fair",
        move_damping: true,
      },
    });
    expect(Object.keys((link as { linkinfo: { info_data: object } }).linkinfo.info_data).slice(0, 4)).toEqual([
      "id",
      "remote",
      "local",
      "link",
    ]);
  });

  it("/v1/links lists all, names IPv6 addresses as iproute2 does and leaves absent values out", async () => {
    const links = (await getJson("/v1/links")) as { ifname: string; linkinfo: { info_data: object }; vtepd: object }[];
    expect(links.map(({ ifname }) => ifname)).toEqual(["vx42", "vx43"]);
    expect(links[1]!.linkinfo.info_data).toEqual({
      id: 43,
      local6: "2001:db8::1",
      port_range: { low: 0, high: 0 },
      port: 4790,
      learning: false,
      ttl: 0,
      df: "unset",
      ageing: 300,
      udp_csum: true,
      udp_zero_csum6_tx: false,
      udp_zero_csum6_rx: false,
    });
    expect(links[1]!.vtepd).toMatchObject({ netns: "blue", queues: 2 });
  });

  it("/v1/links/{name} shows a device that was deleted as not present", async () => {
    control.service.addLink({ ...control.service.link("vx43"), state: "gone", ifindex: 0 });
    expect(await getJson("/v1/links/vx43")).toMatchObject({
      ifindex: 0,
      flags: [],
      operstate: "NOTPRESENT",
      vtepd: { state: "gone" },
    });
  });

  const vx42 = [
    {
      mac: "00:00:00:00:00:00",
      dst: "192.0.2.2",
      viaIf: "eth0",
      used: 3,
      updated: 10,
      flags: ["self"],
      state: "permanent",
      vtepd: { owner: "config" },
    },
    {
      mac: "02:00:00:00:00:05",
      dst: "192.0.2.2",
      port: 4790,
      vni: 43,
      used: 3,
      updated: 10,
      flags: ["self"],
      state: "permanent",
      vtepd: { owner: "control" },
    },
    {
      mac: "02:00:00:00:00:06",
      dst: "192.0.2.2",
      used: 1,
      updated: 20,
      flags: ["self"],
      state: "",
      vtepd: { owner: "learned" },
    },
  ];

  it("/v1/links/{name}/fdb and /v1/fdb?dev= have iproute2's shape without the device", async () => {
    expect(await getJson("/v1/links/vx42/fdb")).toEqual(vx42);
    expect(await getJson("/v1/fdb?dev=vx42")).toEqual(vx42);
  });

  it("/v1/fdb names the device of each entry", async () => {
    const entries = (await getJson("/v1/fdb")) as { ifname: string; mac: string }[];
    expect(entries.map(({ ifname, mac }) => `${ifname} ${mac}`)).toEqual([
      "vx42 00:00:00:00:00:00",
      "vx42 02:00:00:00:00:05",
      "vx42 02:00:00:00:00:06",
      "vx43 02:00:00:00:00:07",
    ]);
    expect(Object.keys(entries[0]!)).toEqual([
      "mac",
      "ifname",
      "dst",
      "viaIf",
      "used",
      "updated",
      "flags",
      "state",
      "vtepd",
    ]);
  });

  it("/v1/fdb gives one entry a line to whoever accepts NDJSON", async () => {
    const answer = await get("/v1/fdb?dev=vx42", { accept: "application/x-ndjson" });
    expect(answer.type).toBe("application/x-ndjson");
    expect(answer.text.endsWith("}\n")).toBe(true);
    expect(
      answer.text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    ).toEqual(vx42);
  });

  it("an empty FDB is an empty array, or no line at all", async () => {
    await remove("/v1/links/vx43/fdb/02:00:00:00:00:07");
    expect(await getJson("/v1/links/vx43/fdb")).toEqual([]);
    expect((await get("/v1/links/vx43/fdb", { accept: "application/x-ndjson" })).text).toBe("");
  });

  it("/v1/stats has the counters of all tunnels and sockets", async () => {
    const stats = (await getJson("/v1/stats")) as { links: unknown[]; sockets: unknown };
    expect(stats.links).toHaveLength(2);
    expect(stats.links[0]).toEqual({
      ifname: "vx42",
      rx: { packets: 7, bytes: 700 },
      tx: { packets: 9, bytes: 900 },
      flooded: 2,
      neighbour_answers: 0,
      keepalives: 0,
      reserved_bits: 0,
      fdb: { learns: 3, moves: 1, moves_damped: 0, aged: 0, full: 0, remote_full: 0, evicted: 0 },
      drops: { encap: { ip_outnoroutes: 2, tx_error: 3, no_tx_target: 4 }, decap: { hdr_trunc: 5, unknown_vtep: 6 } },
      remotes: [
        {
          address: "192.0.2.2",
          port: 4789,
          vni: 42,
          path_mtu: 1500,
          learned: 1,
          rx: { packets: 7, bytes: 700 },
          tx: { packets: 9, bytes: 900 },
        },
      ],
    });
    expect(stats.sockets).toEqual([{ socket: "192.0.2.1:4789", drops: { vxlan_vni_not_found: 8 } }]);
  });

  it("/v1/stats?dev= has one tunnel and no sockets", async () => {
    const stats = (await getJson("/v1/stats?dev=vx43")) as { links: { ifname: string }[] };
    expect(stats.links.map(({ ifname }) => ifname)).toEqual(["vx43"]);
    expect(stats).not.toHaveProperty("sockets");
  });

  it("/metrics is what the metrics function gives, in the exposition format's type", async () => {
    const answer = await get("/metrics");
    expect(answer).toMatchObject({
      status: 200,
      type: "text/plain; version=0.0.4; charset=utf-8",
      text: "vtepd_test 1\n",
    });
  });

  it("/healthz answers", async () => {
    expect(await get("/healthz")).toMatchObject({ status: 200, text: "ok\n" });
  });

  it("/readyz says what is missing until nothing is", async () => {
    control.service.unreadyReasons = ["vx42: its device is gone", "vx43: no route"];
    expect(await get("/readyz")).toMatchObject({ status: 503, text: "vx42: its device is gone\nvx43: no route\n" });
    control.service.unreadyReasons = [];
    expect(await get("/readyz")).toMatchObject({ status: 200, text: "ok\n" });
  });

  const LINK = "#/components/schemas/Link";

  it("/openapi.json describes every route and the shape of a problem", async () => {
    const document = (await getJson("/openapi.json")) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: Record<string, unknown>; requestBody?: unknown }>>;
      components: { schemas: Record<string, unknown> };
    };
    expect(document.openapi).toBe("3.1.0");
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(routes.sort()).toEqual([
      "delete /v1/capture/{number}",
      "delete /v1/links/{name}",
      "delete /v1/links/{name}/fdb",
      "delete /v1/links/{name}/fdb/{mac}",
      "delete /v1/links/{name}/flood",
      "delete /v1/links/{name}/neighbours",
      "delete /v1/links/{name}/neighbours/{address}",
      "get /healthz",
      "get /metrics",
      "get /readyz",
      "get /v1/config",
      "get /v1/events",
      "get /v1/fdb",
      "get /v1/links",
      "get /v1/links/{name}",
      "get /v1/links/{name}/fdb",
      "get /v1/links/{name}/flood",
      "get /v1/neighbours",
      "get /v1/routes",
      "get /v1/stats",
      "get /v1/status",
      "patch /v1/links/{name}",
      "post /v1/capture",
      "post /v1/changes",
      "post /v1/config/reload",
      "post /v1/links",
      "post /v1/links/{name}/fdb",
      "post /v1/links/{name}/flood",
      "post /v1/links/{name}/neighbours",
      "post /v1/links/{name}/trace",
      "put /v1/config",
      "put /v1/links/{name}/associations",
      "put /v1/links/{name}/flood",
    ]);
    expect(document.paths["/v1/links/{name}"]!["get"]!.responses).toHaveProperty("default");
    // A tunnel that is made has a name beside its settings; one that is changed has only some of them.
    const { responses, requestBody } = document.paths["/v1/links"]!["post"]!;
    expect(responses).toHaveProperty(["201", "content", "application/json", "schema", "$ref"], LINK);
    expect(responses).not.toHaveProperty("200");
    expect(requestBody).toHaveProperty(
      ["content", "application/json", "schema", "$ref"],
      "#/components/schemas/NewLink",
    );
    expect(document.components.schemas["NewLink"]).toMatchObject({ required: ["name", "mode"] });
    expect(document.components.schemas["LinkChange"]).not.toHaveProperty("required");
  });
});

describe("POST /v1/links/{name}/fdb", () => {
  const entry = { verb: "add", mac: "02:00:00:00:00:AA", dst: "192.0.2.3" };

  it("adds a static entry and answers 204 without a body", async () => {
    expect(await post("/v1/links/vx42/fdb", { ...entry, port: 8472, vni: 201 })).toMatchObject({
      status: 204,
      text: "",
    });
    expect([...control.service.fdb("vx42")].at(-1)).toEqual({
      dev: "vx42",
      mac: "02:00:00:00:00:aa",
      dst: "192.0.2.3",
      port: 8472,
      vni: 201,
      origin: "static",
      owner: "control",
      usedS: 3,
      updatedS: 10,
    });
  });

  it("refuses to add what exists and changes nothing", async () => {
    await post("/v1/links/vx42/fdb", entry);
    const before = [...control.service.fdb()];
    expect(problemOf(await post("/v1/links/vx42/fdb", { ...entry, dst: "192.0.2.9" }))).toMatchObject({
      status: 409,
      code: "ERR_FDB_ENTRY_EXISTS",
    });
    expect([...control.service.fdb()]).toEqual(before);
  });

  it("replaces, and appends flood-list members", async () => {
    await post("/v1/links/vx42/fdb", entry);
    expect((await post("/v1/links/vx42/fdb", { ...entry, verb: "replace", dst: "192.0.2.9" })).status).toBe(204);
    expect(
      (await post("/v1/links/vx42/fdb", { verb: "append", mac: "00:00:00:00:00:00", dst: "192.0.2.4" })).status,
    ).toBe(204);
    expect(control.service.link("vx42").flood).toEqual(["192.0.2.2", "192.0.2.4"]);
    expect([...control.service.fdb("vx42")].find(({ mac }) => mac === "02:00:00:00:00:aa")?.dst).toBe("192.0.2.9");
  });

  it("logs the write", async () => {
    await post("/v1/links/vx42/fdb", entry);
    expect(control.lines).toContainEqual(
      expect.objectContaining({ level: 30, method: "POST", path: "/v1/links/vx42/fdb", status: 204 }),
    );
  });

  it.each([
    ["a bad MAC", { ...entry, mac: "02:00:00" }, "ERR_CONFIG_VALUE", "mac"],
    ["a bad address", { ...entry, dst: "192.0.2" }, "ERR_CONFIG_VALUE", "dst"],
    ["a missing address", { verb: "add", mac: entry.mac }, "ERR_CONFIG_VALUE", "dst"],
    ["a bad verb", { ...entry, verb: "insert" }, "ERR_CONFIG_VALUE", "verb"],
    ["port 0", { ...entry, port: 0 }, "ERR_CONFIG_VALUE", "port"],
    ["port 65536", { ...entry, port: 65536 }, "ERR_CONFIG_VALUE", "port"],
    ["a port that is text", { ...entry, port: "4789" }, "ERR_CONFIG_VALUE", "port"],
    ["a VNI of 25 bits", { ...entry, vni: 1 << 24 }, "ERR_CONFIG_VALUE", "vni"],
    ["a name that no interface has", { ...entry, via: "eth/0" }, "ERR_CONFIG_VALUE", "via"],
    ["an unknown key", { ...entry, dev: "eth0" }, "ERR_USAGE", "dev"],
  ])("refuses %s and says where", async (_, body, code, path) => {
    const before = [...control.service.fdb()];
    expect(problemOf(await post("/v1/links/vx42/fdb", body))).toMatchObject({ status: 400, code, path });
    expect([...control.service.fdb()]).toEqual(before);
  });

  it("accepts VNI 0 and the highest VNI", async () => {
    expect((await post("/v1/links/vx42/fdb", { ...entry, vni: 0 })).status).toBe(204);
    expect((await post("/v1/links/vx42/fdb", { ...entry, verb: "replace", vni: 0xffffff })).status).toBe(204);
  });

  it("refuses a body that is no object", async () => {
    expect(problemOf(await post("/v1/links/vx42/fdb", [entry]))).toMatchObject({ status: 400, code: "ERR_USAGE" });
  });

  it("answers malformed JSON with 400", async () => {
    const answer = await unixHttp({
      socket: control.socket,
      method: "POST",
      path: "/v1/links/vx42/fdb",
      headers: { "content-type": "application/json" },
      body: '{"verb": "add",',
    });
    expect(problemOf(answer)).toMatchObject({
      status: 400,
      code: "ERR_USAGE",
      detail: expect.stringContaining("JSON"),
    });
  });

  it("answers another content type with 415, a missing body with 400", async () => {
    const path = "/v1/links/vx42/fdb";
    const form = await unixHttp({
      socket: control.socket,
      method: "POST",
      path,
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: "verb=add",
    });
    expect(problemOf(form)).toMatchObject({ status: 415, code: "ERR_USAGE" });
    expect(problemOf(await unixHttp({ socket: control.socket, method: "POST", path }))).toMatchObject({ status: 400 });
  });

  const huge = Buffer.alloc(1024 * 1024 + 1, 0x20);

  it("answers a body above 1 MiB with 413, announced or chunked, and lives on", async () => {
    const path = "/v1/links/vx42/fdb";
    const headers = { "content-type": "application/json" };
    const announced = await unixHttp({ socket: control.socket, method: "POST", path, headers, body: huge });
    expect(problemOf(announced)).toMatchObject({ status: 413, code: "ERR_USAGE" });
    const chunked = { ...headers, "transfer-encoding": "chunked" };
    const unannounced = await unixHttp({ socket: control.socket, method: "POST", path, headers: chunked, body: huge });
    expect(problemOf(unannounced)).toMatchObject({ status: 413, code: "ERR_USAGE" });
    expect((await get("/healthz")).status).toBe(200);
  });

  it("accepts a chunked body within the limit", async () => {
    const answer = await unixHttp({
      socket: control.socket,
      method: "POST",
      path: "/v1/links/vx42/fdb",
      headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
      body: JSON.stringify(entry),
    });
    expect(answer.status).toBe(204);
  });

  it("accepts a body just within the limit", async () => {
    const text = JSON.stringify(entry);
    const answer = await unixHttp({
      socket: control.socket,
      method: "POST",
      path: "/v1/links/vx42/fdb",
      headers: { "content-type": "application/json" },
      body: text + " ".repeat(1024 * 1024 - text.length),
    });
    expect(answer.status).toBe(204);
  });
});

describe("DELETE /v1/links/{name}/fdb/{mac}", () => {
  it("deletes one member of the flood list with dst, all without", async () => {
    const add = (dst: string): Promise<UnixAnswer> =>
      post("/v1/links/vx42/fdb", { verb: "append", mac: "00:00:00:00:00:00", dst });
    await add("192.0.2.3");
    await add("192.0.2.4");
    expect((await remove("/v1/links/vx42/fdb/00:00:00:00:00:00?dst=192.0.2.3")).status).toBe(204);
    expect(control.service.link("vx42").flood).toEqual(["192.0.2.2", "192.0.2.4"]);
    expect((await remove("/v1/links/vx42/fdb/00:00:00:00:00:00")).status).toBe(204);
    expect(control.service.link("vx42").flood).toEqual([]);
  });

  it("takes a MAC in any case and with escaped colons", async () => {
    await post("/v1/links/vx42/fdb", { verb: "add", mac: "02:00:00:00:00:aa", dst: "192.0.2.3" });
    expect((await remove("/v1/links/vx42/fdb/02%3A00%3A00%3A00%3A00%3AAA")).status).toBe(204);
  });

  it("answers 404 when there is no such entry, 400 when there can be none", async () => {
    expect(problemOf(await remove("/v1/links/vx42/fdb/02:00:00:00:00:99"))).toMatchObject({
      status: 404,
      code: "ERR_FDB_ENTRY_NOT_FOUND",
    });
    expect(problemOf(await remove("/v1/links/vx42/fdb/nonsense"))).toMatchObject({
      status: 400,
      code: "ERR_CONFIG_VALUE",
      path: "param.mac",
    });
    expect(problemOf(await remove("/v1/links/vx42/fdb/02:00:00:00:00:05?dst=x_y"))).toMatchObject({
      status: 400,
      path: "query.dst",
    });
  });
});

describe("a request that fails", () => {
  it.each(["/v1/links/nope", "/v1/links/nope/fdb", "/v1/fdb?dev=nope", "/v1/stats?dev=nope"])(
    "answers 404 for an unknown tunnel at %s",
    async (path) => {
      expect(problemOf(await get(path))).toMatchObject({
        status: 404,
        code: "ERR_LINK_NOT_FOUND",
        detail: 'no tunnel "nope"',
      });
    },
  );

  it("answers 404 for writes to an unknown tunnel", async () => {
    const body = { verb: "add", mac: "02:00:00:00:00:05", dst: "192.0.2.2" };
    expect(problemOf(await post("/v1/links/nope/fdb", body)).code).toBe("ERR_LINK_NOT_FOUND");
    expect(problemOf(await remove("/v1/links/nope/fdb/02:00:00:00:00:05")).code).toBe("ERR_LINK_NOT_FOUND");
  });

  it.each([
    ["GET", "/v2/links"],
    ["GET", "/"],
    ["PUT", "/v1/links"],
    ["DELETE", "/v1/links"],
  ])("answers %s %s with a 404 problem", async (method, path) => {
    expect(problemOf(await unixHttp({ socket: control.socket, method, path }))).toMatchObject({
      status: 404,
      code: "ERR_USAGE",
      detail: expect.stringContaining(`${method} ${path}`),
    });
  });

  it("refuses an unknown query parameter", async () => {
    expect(problemOf(await get("/v1/fdb?device=vx42"))).toMatchObject({
      status: 400,
      code: "ERR_USAGE",
      path: "query.device",
    });
  });

  it("answers a bug with ERR_INTERNAL, without its text, and logs it with its stack", async () => {
    control.service.bug = new TypeError("the secret cause");
    const answer = await get("/v1/links");
    expect(problemOf(answer)).toMatchObject({ status: 500, code: "ERR_INTERNAL" });
    expect(answer.text).not.toMatch(/secret|stack|\.ts/);
    const line = control.lines.find(({ level }) => level === 50);
    expect(line).toMatchObject({ code: "ERR_INTERNAL", err: { message: "the secret cause" } });
    expect((line!["err"] as { stack: string }).stack).toContain("TypeError");
  });
});
