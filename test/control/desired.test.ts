import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ControlFixture, controlFixture } from "../support/control-fixture.ts";
import { unixHttp, unixJson } from "../support/unix-http.ts";

let control: ControlFixture;

beforeEach(async () => {
  control = await controlFixture();
});
afterEach(() => control.close());

const call = async (method: string, path: string, body?: unknown) => {
  const { status, text } = await unixJson(control.socket, method, path, body);
  return { status, body: text === "" ? undefined : JSON.parse(text) };
};

const VX = { mode: "vxlan", id: 7, local: "192.0.2.1" };

describe("tunnels over the control socket", () => {
  it("are made, changed and deleted", async () => {
    expect(await call("POST", "/v1/links", { name: "vx7", ...VX })).toMatchObject({
      status: 201,
      body: { ifname: "vx7" },
    });
    expect(control.desired.byHand.get("vx7")).toEqual(VX);
    expect(await call("PATCH", "/v1/links/vx7", { ageing: 60, local: "192.0.2.9" })).toMatchObject({ status: 200 });
    expect(await call("PATCH", "/v1/links/vx7", { ageing: null })).toMatchObject({ status: 200 });
    expect(control.desired.byHand.get("vx7")).toEqual({ ...VX, local: "192.0.2.9" });
    expect((await call("GET", "/v1/config")).body).toEqual({
      version: 1,
      daemon: {},
      tunnels: { vx7: { ...VX, local: "192.0.2.9" } },
      owners: { vx7: "control" },
    });
    expect(await call("DELETE", "/v1/links/vx7")).toMatchObject({ status: 204 });
    expect(await call("DELETE", "/v1/links/vx7")).toMatchObject({ status: 404, body: { code: "ERR_LINK_NOT_FOUND" } });
  });

  it.each([
    [{ ...VX, name: "a/b" }, "ERR_CONFIG_VALUE", 'tunnels."a/b"'],
    [VX, "ERR_CONFIG_VALUE", 'tunnels.""'],
    [{ ...VX, name: "vx7", id: "42x" }, "ERR_CONFIG_VALUE", "tunnels.vx7.id"],
    [{ ...VX, name: "vx7", idd: 42 }, "ERR_CONFIG_KEY", "tunnels.vx7.idd"],
    [{ name: "vx7", mode: "vxlam" }, "ERR_CONFIG_VALUE", "tunnels.vx7.mode"],
    [[1], "ERR_USAGE", undefined],
  ])("are refused as in the file: %j", async (body, code, path) => {
    const answer = await call("POST", "/v1/links", body);
    expect(answer.status).toBe(400);
    expect({ code: answer.body.code, path: answer.body.path }).toEqual({ code, path });
    expect(answer.body.detail).not.toContain("undefined");
  });
});

describe("the configuration over the control socket", () => {
  const NEXT = "version: 1\ntunnels: { vx1: { mode: vxlan, id: 1, local: 192.0.2.1 } }\n";
  const put = (text: string, query = "") =>
    unixHttp({
      socket: control.socket,
      method: "PUT",
      path: `/v1/config${query}`,
      headers: { "content-type": "application/yaml" },
      body: text,
    });

  it("is read again, or given as a text, and what differs is the answer", async () => {
    control.desired.file = NEXT;
    const dry = await call("POST", "/v1/config/reload?dry-run=true");
    expect(dry).toMatchObject({ status: 200, body: { added: ["vx1"] } });
    expect(await call("POST", "/v1/config/reload")).toEqual(dry);
    expect(await call("POST", "/v1/config/reload")).toMatchObject({ body: { added: [], unchanged: 1 } });
    expect(JSON.parse((await put("version: 1\n", "?dry-run=true")).text)).toMatchObject({ removed: ["vx1"] });
    expect(JSON.parse((await put("version: 1\n")).text)).toMatchObject({ removed: ["vx1"] });
    const wrong = await put("version: 2\n");
    expect(wrong.status).toBe(400);
    expect(JSON.parse(wrong.text)).toMatchObject({ code: "ERR_CONFIG_VALUE", path: "version" });
  });

  it("may be larger than other requests, and not without end", async () => {
    expect((await put(`${NEXT}# ${"x".repeat(2_000_000)}\n`)).status).toBe(200);
    expect((await put(`# ${"x".repeat(34_000_000)}\n`)).status).toBe(413);
    expect((await call("POST", "/v1/config/reload?dry-run=yes")).body).toMatchObject({ path: "query.dry-run" });
  });
});
