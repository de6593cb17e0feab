import { describe, expect, it } from "vitest";
import { differenceOf, needsRemake } from "../../src/config/difference.ts";
import { parseConfig } from "../../src/config/load.ts";

const config = (tunnels: string, daemon = "") =>
  parseConfig(`version: 1\n${daemon}\ntunnels: { ${tunnels} }\n`, "f.yaml");
const VX = "mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2";

describe("the difference between two configurations", () => {
  it("names what came, went, changed and must be made anew, in the words of the file", () => {
    const before = config(
      `a: { ${VX} }, b: { mode: vxlan, id: 7, local: 192.0.2.1 }, c: { mode: vxlan, id: 8, local: 192.0.2.1 }`,
    );
    const after = config(
      `a: { ${VX}, ageing: 60 }, c: { mode: vxlan, id: 9, local: 192.0.2.1 }, d: { mode: host-gw, link: eth0, routes: [] }`,
      "daemon: { workers: 3 }",
    );
    expect(differenceOf(before, after)).toEqual({
      added: ["d"],
      removed: ["b"],
      changed: { a: { ageing: { from: undefined, to: 60 } }, c: { id: { from: 8, to: 9 } } },
      remade: ["c"],
      unchanged: 0,
      daemon: { workers: { from: undefined, to: 3 } },
    });
  });

  it("is empty where only the writing differs", () => {
    const after = config(`a: { ${VX}, port: 4789, mac-learning: true }`);
    expect(differenceOf(config(`a: { ${VX} }`), after)).toMatchObject({ changed: {}, remade: [], unchanged: 1 });
  });
});

describe("a tunnel is made anew", () => {
  const tunnel = (keys: string) =>
    config(`a: { mode: vxlan, id: 42, local: [192.0.2.1, "2001:db8::1"], ${keys} }`).tunnels[0]!;
  const before = tunnel("flood: [192.0.2.2]");

  it.each([
    ["mac-learning: false"],
    ["ageing: 5"],
    ["ttl: 9"],
    ["mtu: 1300"],
    ["addresses: [10.0.0.1/24]"],
    ["flood: [192.0.2.3]"],
    ["flood: [host.example]"],
    ["policers: { broadcast: 5 }"],
    ["arp-proxy: true"],
    ['fdb: [{ mac: "02:00:00:00:00:01", dst: 192.0.2.9 }]'],
  ])("not for %s", (keys) => {
    const kept = keys.startsWith("flood") ? "" : "flood: [192.0.2.2], ";
    expect(needsRemake(before, tunnel(`${kept}${keys}`))).toBe(false);
  });

  it.each([
    ["port: 4790"],
    ["fwmark: 1"],
    ["do-not-fragment: true"],
    ["accept: any"],
    ["queues: 1"],
    ["netns: blue"],
    ["macaddress: 02:00:00:00:00:77"],
  ])("for %s", (keys) => {
    expect(needsRemake(before, tunnel(`flood: [192.0.2.2], ${keys}`))).toBe(true);
  });

  it("for remote VTEPs of a family that has no sockets yet", () => {
    const found = (flood: string) => config(`a: { mode: vxlan, id: 42, flood: [${flood}] }`).tunnels[0]!;
    expect(needsRemake(found("192.0.2.2"), found("192.0.2.3, 192.0.2.4"))).toBe(false);
    expect(needsRemake(found("192.0.2.2"), found('192.0.2.2, "2001:db8::2"'))).toBe(true);
  });
});
