import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { Netns } from "./netns.ts";

let netns: Netns;
let v0: number;
let v2: number;

const indexOf = (name: string): number =>
  (JSON.parse(netns.ip(`-j link show ${name}`)) as { ifindex: number }[])[0]!.ifindex;

/** v0 has 192.0.2.1/24 and 2001:db8::1/64, v2 198.51.100.1/24. */
beforeEach(() => {
  netns = new Netns();
  for (const [name, peer] of [
    ["v0", "v1"],
    ["v2", "v3"],
  ]) {
    netns.ip(`link add ${name} type veth peer name ${peer}`);
    netns.ip(`link set ${peer} up`);
    netns.ip(`link set ${name} up`);
  }
  netns.ip("addr add 192.0.2.1/24 dev v0");
  netns.ip("addr add 2001:db8::1/64 dev v0 nodad");
  netns.ip("addr add 198.51.100.1/24 dev v2");
  [v0, v2] = [indexOf("v0"), indexOf("v2")];
});
afterEach(() => netns.delete());

const PEER = Uint8Array.of(192, 0, 2, 2);
const PEER6 = Uint8Array.of(0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 2);
const ask = (address: Uint8Array, more: object = {}): number =>
  addon.routeInterface({ address, netns: netns.path, ...more });

describe("routeInterface", () => {
  it("is the interface of the route, of both families, as it is now", () => {
    expect([ask(PEER), ask(PEER6)]).toEqual([v0, v0]);
    netns.ip("route add 192.0.2.2/32 dev v2");
    netns.ip("route add 2001:db8::2/128 dev v2");
    expect([ask(PEER), ask(PEER6)]).toEqual([v2, v2]);
  });

  it("is 0 when there is no way, or one that refuses", () => {
    expect(ask(Uint8Array.of(203, 0, 113, 1))).toBe(0);
    netns.ip("route add unreachable 203.0.113.0/24");
    expect(ask(Uint8Array.of(203, 0, 113, 1))).toBe(0);
  });

  it("goes by the source address, the firewall mark and the interface, as sockets do", () => {
    netns.ip("route add default dev v2 table 7");
    netns.ip("rule add from 198.51.100.1 table 7");
    netns.ip("rule add fwmark 9 table 7");
    expect(ask(PEER, { source: Uint8Array.of(192, 0, 2, 1) })).toBe(v0);
    expect(ask(PEER, { source: Uint8Array.of(198, 51, 100, 1) })).toBe(v2);
    expect(ask(PEER, { source: Uint8Array.of(192, 0, 2, 99) })).toBe(0); // nobody has it
    expect(ask(PEER, { mark: 9 })).toBe(v2);
    expect(ask(PEER, { mark: 8 })).toBe(v0);
    netns.ip("route add 192.0.2.0/24 dev v2 metric 100");
    expect(ask(PEER, { link: v2 })).toBe(v2);
  });

  it("tells link-local addresses of two interfaces apart", () => {
    const address = Uint8Array.of(0xfe, 0x80, ...new Array(13).fill(0), 9);
    expect([ask(address, { link: v0 }), ask(address, { link: v2 })]).toEqual([v0, v2]);
  });

  const wrong: [string, object, RegExp][] = [
    ["no address", { address: undefined }, /routeInterface: address: expected 4 or 16 bytes/],
    ["an address of 5 bytes", { address: new Uint8Array(5) }, /address: expected 4 or 16 bytes/],
    ["a source of another family", { source: new Uint8Array(16) }, /source: expected as many bytes as the address/],
    ["a mark of 33 bits", { mark: 2 ** 32 }, /mark: expected an integer/],
    ["a negative interface", { link: -1 }, /link: expected an integer/],
  ];
  it.each(wrong)("refuses %s", (_, fields, message) => {
    const lookup = { address: PEER, ...fields } as Parameters<typeof addon.routeInterface>[0];
    expect(() => addon.routeInterface(lookup)).toThrow(message);
    expect(() => addon.routeInterface(lookup)).toThrow(TypeError);
  });

  it("says that there is no such namespace", () => {
    expect(() => ask(PEER, { netns: "/run/netns/nobody" })).toThrow(expect.objectContaining({ code: "ENOENT" }));
  });
});
