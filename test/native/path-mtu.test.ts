import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
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
