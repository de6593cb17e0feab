import { execFileSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FEATURE_VNET_HEADER, PORT_UDP_RX, PORT_UDP_TX } from "../../src/binding/abi.ts";
import { addon, type UdpOptions } from "../../src/binding/addon.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const LOOPBACK4 = [127, 0, 0, 1];
const LOOPBACK6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const ANY6 = new Array(16).fill(0);

let netns: Netns;
let rig: IoRig;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
});
afterEach(() => {
  rig.close();
  netns.delete();
});

const open = (address: number[], options: Partial<UdpOptions> = {}): number =>
  rig.openUdp(address, { netns: netns.path, ...options });

/** What `ss` says of the UDP sockets in the namespace, with their memory (`skmem`). */
const sockets = (): string => execFileSync("ss", ["-N", netns.name, "-uanm"], { encoding: "utf8" });

describe("openUdp", () => {
  it("binds the address and port it is told, and finds an ephemeral port", () => {
    expect(addon.udpPort(open(LOOPBACK4, { port: 4789 }))).toBe(4789);
    expect(addon.udpPort(open(LOOPBACK6, { port: 4789 }))).toBe(4789);
    expect(addon.udpPort(open(LOOPBACK4))).toBeGreaterThan(1023);
  });

  it("says who is in the way, and that an address is not here", () => {
    open(LOOPBACK4, { port: 4789 });
    expect(() => open(LOOPBACK4, { port: 4789 })).toThrow(
      expect.objectContaining({
        code: "EADDRINUSE",
        message: "bind 127.0.0.1:4789: EADDRINUSE Address already in use",
      }),
    );
    expect(() => open([0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 1], { port: 4789 })).toThrow(
      expect.objectContaining({
        code: "EADDRNOTAVAIL",
        message: expect.stringMatching(/^bind \[2001:db8::1\]:4789: /),
      }),
    );
  });

  it("shares a port among sockets that all say so", () => {
    open(LOOPBACK4, { port: 4789, reusePort: true });
    open(LOOPBACK4, { port: 4789, reusePort: true });
    expect(() => open(LOOPBACK4, { port: 4789 })).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
  });

  it("leaves IPv4 to IPv4 sockets", () => {
    open(ANY6, { port: 4789 });
    expect(() => open([0, 0, 0, 0], { port: 4789 })).not.toThrow();
  });

  it("sets buffers beyond the host's limit", () => {
    // The kernel doubles the value for its own overhead.
    open(LOOPBACK4, { receiveBuffer: 64 << 20, sendBuffer: 32 << 20 });
    expect(sockets()).toMatch(new RegExp(`rb${128 << 20},.*tb${64 << 20},`));
  });

  it("binds to a device, and says when there is none", () => {
    open([0, 0, 0, 0], { device: "lo", port: 4789 });
    expect(sockets()).toContain("0.0.0.0%lo:4789");
    expect(() => open([0, 0, 0, 0], { device: "none" })).toThrow(
      expect.objectContaining({
        code: "ENODEV",
        syscall: "setsockopt(SO_BINDTODEVICE)",
        message: expect.stringContaining("0.0.0.0:0 dev none: ENODEV"),
      }),
    );
  });

  it("binds a link-local address with its scope", () => {
    const tap = rig.openTap({ name: "vx1", netns: netns.path, macAddress: Uint8Array.of(2, 0, 0, 0, 0, 1) });
    netns.ip("address add fe80::1/64 dev vx1 nodad");
    const address = [0xfe, 0x80, ...new Array(13).fill(0), 1];
    expect(() => open(address)).toThrow(expect.objectContaining({ code: "EINVAL" }));
    expect(addon.udpPort(open(address, { scopeId: tap.ifindex, port: 4789 }))).toBe(4789);
  });

  it("makes the socket in the namespace", () => {
    open(LOOPBACK4, { port: 4789 });
    expect(sockets()).toContain("127.0.0.1:4789");
    expect(() => rig.openUdp([192, 0, 2, 1], { netns: "/run/netns/none" })).toThrow(
      expect.objectContaining({ code: "ENOENT", syscall: "open(/run/netns/none)" }),
    );
  });
});

describe("what leaves the socket", () => {
  /** The IP packet (without Ethernet) that a datagram to a far address becomes, read from a TAP. */
  const packetOf = (isIpv6: boolean, options: Partial<UdpOptions>): Uint8Array => {
    const tap = rig.openTap({ name: "vx1", netns: netns.path });
    netns.ip("link set vx1 addrgenmode none");
    netns.ip("address add 192.0.2.1/24 dev vx1");
    netns.ip("address add 2001:db8::1/64 dev vx1 nodad");
    netns.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev vx1 nud permanent");
    netns.ip("neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev vx1 nud permanent");
    rig.io.add(1, tap.fds[0]!, 1, 0, FEATURE_VNET_HEADER);
    while (rig.io.receive(20) > 0);
    const far = isIpv6 ? [0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 2] : [192, 0, 2, 2];
    rig.io.add(2, open(isIpv6 ? ANY6 : [0, 0, 0, 0], options), PORT_UDP_TX, 0, 0);
    rig.putVtep(0, far, 4789);
    rig.putFrame(0, Uint8Array.of(1, 2, 3));
    rig.putAction(0, { port: 2, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
    expect(rig.io.receive(1000)).toBe(1);
    return rig.frameBytes(0).subarray(14);
  };
  const [TOS4, TTL4, FLAGS4, UDP4_CHECKSUM] = [1, 8, 6, 26];
  const [HOP_LIMIT6, UDP6_CHECKSUM] = [7, 46];

  it("has TOS, TTL and DF as told over IPv4", () => {
    const packet = packetOf(false, { tos: 0xb8, ttl: 7, mtuDiscover: 2 });
    expect([packet[TOS4], packet[TTL4], packet[FLAGS4]! & 0x40]).toEqual([0xb8, 7, 0x40]);
  });

  it("has no DF when the socket may fragment", () => {
    expect(packetOf(false, { mtuDiscover: 0 })[FLAGS4]! & 0x40).toBe(0);
  });

  it("has traffic class and hop limit as told over IPv6", () => {
    const packet = packetOf(true, { tos: 0xb8, ttl: 7 });
    expect([((packet[0]! & 15) << 4) | (packet[1]! >> 4), packet[HOP_LIMIT6]]).toEqual([0xb8, 7]);
  });

  it.each([
    ["IPv4", false, UDP4_CHECKSUM],
    ["IPv6", true, UDP6_CHECKSUM],
  ] as const)("has a UDP checksum over %s, unless told to have none", (_, isIpv6, at) => {
    const withChecksum = packetOf(isIpv6, {});
    expect(withChecksum[at]! | withChecksum[at + 1]!).not.toBe(0);
    rig.close();
    rig = new IoRig();
    const without = packetOf(isIpv6, { checksum: false });
    expect([without[at], without[at + 1]]).toEqual([0, 0]);
  });
});

describe("acceptZeroChecksum6", () => {
  it.each([true, false])("of %s decides whether IPv6 datagrams without checksum come in", (acceptZeroChecksum6) => {
    const receiver = open(LOOPBACK6, { acceptZeroChecksum6 });
    rig.io.add(1, receiver, PORT_UDP_RX, 0, 0);
    rig.io.add(2, open(LOOPBACK6, { checksum: false, discardInput: true }), PORT_UDP_TX, 0, 0);
    rig.putVtep(0, LOOPBACK6, addon.udpPort(receiver));
    rig.putFrame(0, new Uint8Array(20));
    rig.putAction(0, { port: 2, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
    expect(rig.io.receive(200)).toBe(acceptZeroChecksum6 ? 1 : 0);
  });
});
