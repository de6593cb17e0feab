import { describe, expect, it } from "vitest";
import { plainChange } from "../../src/control/change-list.ts";
import { ChangeSchema } from "../../src/control/change-routes.ts";
import { controlFixture, twoTunnels } from "../support/control-fixture.ts";
import { FakeVtep } from "../support/fake-vtep.ts";
import { unixHttp } from "../support/unix-http.ts";

const MAC = "02:00:00:00:00:05";
const fdb = { op: "fdb", dev: "vx42", verb: "add", mac: MAC, dst: "192.0.2.2" };
const neighbour = { op: "neighbour", dev: "vx42", verb: "replace", address: "10.0.0.1", mac: MAC };
const PLAIN = [
  fdb,
  { ...fdb, mac: "00:00:00:00:00:00", verb: "append" },
  { ...fdb, dst: "2001:db8::2", verb: "replace" },
  { ...fdb, dst: "239.0.0.1" },
  { ...fdb, dst: "vtep.example" },
  { op: "fdb-del", dev: "vx42", mac: MAC },
  { op: "fdb-del", dev: "vx42", mac: MAC, dst: "192.0.2.2" },
  neighbour,
  { op: "neighbour-del", dev: "vx42", address: "2001:db8::1" },
];
/** Right or wrong: for the schema to say. */
const OTHER = [
  null,
  "fdb",
  [],
  {},
  { ...fdb, op: "constructor" },
  { ...fdb, op: 1 },
  { ...fdb, dev: 1 },
  { ...fdb, verb: "del" },
  { ...fdb, mac: "02:00:00:00:00:0A" },
  { ...fdb, mac: "03:00:00:00:00:05" },
  { ...fdb, mac: "02:00:00:00:00" },
  { ...fdb, dst: "2001:DB8::2" },
  { ...fdb, dst: "192.0.2" },
  { ...fdb, dst: "0.0.0.0" },
  { ...fdb, dst: "VTEP.example" },
  { ...fdb, dst: undefined },
  { ...fdb, port: 4790 },
  { ...fdb, sticky: true },
  { ...fdb, more: 1 },
  { op: "fdb", dev: "vx42", verb: "add", mac: MAC, more: "192.0.2.2" },
  { op: "fdb-del", dev: "vx42", mac: MAC, more: 1 },
  { op: "fdb-del", dev: "vx42", mac: MAC, dst: "nothing/8" },
  { ...neighbour, mac: "00:00:00:00:00:00" },
  { ...neighbour, address: "vtep.example" },
  { ...neighbour, router: true },
  { op: "neighbour-del", dev: "vx42", address: "10.0.0.1", mac: MAC },
  { op: "link-del", name: "vx42" },
];

describe("a change that is written plainly", () => {
  it.each(PLAIN)("is taken, and the schema would return it as it is: %j", (change) => {
    expect(plainChange()(change)).toBe(true);
    expect(ChangeSchema.parse(change)).toEqual(change);
  });

  it.each(OTHER)("is not: %j", (change) => expect(plainChange()(change)).toBe(false));
});

describe("many changes in one call", () => {
  const post = async (service: FakeVtep, text: string, type = "application/json") => {
    const control = await controlFixture(service);
    try {
      const headers = { "content-type": type };
      return await unixHttp({ socket: control.socket, method: "POST", path: "/v1/changes", headers, body: text });
    } finally {
      await control.close();
    }
  };

  it("are told with their number when one of them is wrong, whatever came before", async () => {
    const changes = [...Array.from({ length: 5000 }, () => fdb), { ...fdb, dst: "192.0.2" }];
    const answer = await post(twoTunnels(), JSON.stringify({ changes }));
    expect(JSON.parse(answer.text)).toMatchObject({
      code: "ERR_CONFIG_VALUE",
      path: "changes.5000.dst",
      detail: expect.stringContaining('got "192.0.2"'),
    });
  });

  it.each([
    ["no JSON", "{", "application/json", 400],
    ["JSON that is not called so", JSON.stringify({ changes: [] }), "text/plain", 400],
    ["no list", "{}", "application/json", 400],
    ["a key more", JSON.stringify({ changes: [], more: 1 }), "application/json", 400],
    ["nothing to do", JSON.stringify({ changes: [] }), "application/json", 204],
  ])("may be %s", async (_, text, type, status) => {
    expect((await post(new FakeVtep(), text, type)).status).toBe(status);
  });
});
