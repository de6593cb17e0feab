import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { waitFor } from "../support/wait-for.ts";
import { CarrierLab, FAR4, FAR6, GRE, NEAR4, NEAR6 } from "./carrier-lab.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
  netns.ip("link add v0 mtu 1400 type veth peer name v1");
  netns.ip("addr add 192.0.2.1/24 dev v0");
  netns.ip("addr add 2001:db8::1/64 dev v0 nodad");
  netns.ip("link set v1 up");
  netns.ip("link set v0 up");
});
afterEach(() => {
  rig.close();
  netns.delete();
});

const EMSGSIZE = 90;
const PEER = Uint8Array.of(192, 0, 2, 2);
const LOCAL6 = [0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 1];
const PEER6 = Uint8Array.of(0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 2);

describe("pathMtu", () => {
  it("is the interface's where nothing else is known, and follows it", () => {
    const fd = rig.openUdp([0, 0, 0, 0], { netns: netns.path });
    expect(addon.pathMtu(fd, PEER, 4789, 0)).toBe(1400);
    netns.ip("link set v0 mtu 1300");
    expect(addon.pathMtu(fd, PEER, 4789, 0)).toBe(1300);
  });

  it("is the route's where that has one", () => {
    netns.ip("route add 198.51.100.0/24 via 192.0.2.2 mtu 1234");
    const fd = rig.openUdp([0, 0, 0, 0], { netns: netns.path });
    expect(addon.pathMtu(fd, Uint8Array.of(198, 51, 100, 1), 4789, 0)).toBe(1234);
  });

  it("is known over IPv6 too", () => {
    const fd = rig.openUdp(new Array(16).fill(0), { netns: netns.path });
    expect(addon.pathMtu(fd, PEER6, 4789, 0)).toBe(1400);
  });

  it("is known to raw sockets, which have no port", () => {
    netns.ip("route add 198.51.100.0/24 via 192.0.2.2 mtu 1234");
    netns.ip("route add 2001:db8:1::/64 via 2001:db8::2 mtu 1300");
    const raw4 = rig.openRaw([192, 0, 2, 1], 47, { netns: netns.path });
    expect(addon.pathMtu(raw4, PEER, 0, 0)).toBe(1400);
    expect(addon.pathMtu(raw4, Uint8Array.of(198, 51, 100, 1), 0, 0)).toBe(1234);
    const raw6 = rig.openRaw(LOCAL6, 47, { netns: netns.path });
    expect(addon.pathMtu(raw6, PEER6, 0, 0)).toBe(1400);
    expect(addon.pathMtu(raw6, Uint8Array.of(0x20, 1, 0x0d, 0xb8, 0, 1, ...new Array(10).fill(0)), 0, 0)).toBe(1300);
  });

  it.each([
    ["IPv4", NEAR4, FAR4, "198.51.100.0/24", (n: number) => [198, 51, 100, n]],
    ["IPv6", NEAR6, FAR6, "2001:db8:1::/64", (n: number) => [0x20, 1, 0x0d, 0xb8, 0, 1, ...new Array(9).fill(0), n]],
  ] as const)(
    "is what routers told of each destination, for raw sockets over %s too",
    async (_, near, far, net, of) => {
      const lab = new CarrierLab();
      try {
        lab.far.enableForwarding();
        lab.far.enableForwarding6();
        lab.far.ip("link add narrow mtu 1300 type veth peer name end");
        for (const device of ["narrow", "end"]) lab.far.ip(`link set ${device} up`);
        lab.far.ip(`route add ${net} dev narrow`);
        lab.near.ip(`route add ${net} via ${near === NEAR4 ? "192.0.2.2" : "2001:db8::2"}`);
        const port = lab.addSender(near, GRE, { mtuDiscover: 2 });
        const probe = lab.sending.openRaw(near, GRE, { netns: lab.near.path, deaf: true });
        const ask = (to: readonly number[]): number => addon.pathMtu(probe, Uint8Array.from(to), 0, 0);
        expect([far, of(5), of(6)].map(ask)).toEqual([1500, 1500, 1500]);
        for (const to of [of(5), of(6)]) {
          expect(lab.send(port, to, [new Uint8Array(1400)])).toEqual([0]);
          await waitFor(() => ask(to) === 1300, { what: "a path MTU of 1300" });
        }
        expect([far, of(7)].map(ask)).toEqual([1500, 1500]);
        // What came back is on the sending socket, and what is sent next is not blamed for it.
        const sizes = [1200, 1400].map((size) => new Uint8Array(size));
        expect(lab.send(port, of(6), sizes)).toEqual([0, EMSGSIZE]);
        expect(lab.send(port, far, [...sizes])).toEqual([0, 0]);
      } finally {
        lab.close();
      }
    },
  );

  it("is 0 without a way, and without a socket", () => {
    const fd = rig.openUdp([0, 0, 0, 0], { netns: netns.path });
    expect(addon.pathMtu(fd, Uint8Array.of(203, 0, 113, 1), 4789, 0)).toBe(0);
    expect(addon.pathMtu(2 ** 30, PEER, 4789, 0)).toBe(0);
  });

  it("wants 4 or 16 bytes", () => {
    const fd = rig.openUdp([0, 0, 0, 0], { netns: netns.path });
    expect(() => addon.pathMtu(fd, new Uint8Array(5), 4789, 0)).toThrow(TypeError);
    expect(() => addon.pathMtu(fd, [192, 0, 2, 2] as never, 4789, 0)).toThrow(TypeError);
  });
});
