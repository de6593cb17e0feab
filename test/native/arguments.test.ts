import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_VNET_HEADER,
  MAX_PORTS,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
  STATUS_WORDS,
} from "../../src/binding/abi.ts";
import { addon, type PacketSocketOptions, type TapOptions, type UdpOptions } from "../../src/binding/addon.ts";
import { IoRig, makeMemory } from "./io-rig.ts";

const TAP: TapOptions = { name: "vx0", kind: "tap", queues: 1, vnetHeader: true, up: true };
const UDP: UdpOptions = { address: Uint8Array.of(127, 0, 0, 1), port: 0, reusePort: false, receiveInfo: false };

describe("openTap", () => {
  const wrong: [string, object, RegExp][] = [
    ["no name", { name: undefined }, /openTap: name: expected a string of 1 to 15 bytes/],
    ["an empty name", { name: "" }, /name: expected a string/],
    ["a name of 16 bytes", { name: "abcdefghijklmnop" }, /name: expected a string/],
    ["a name with a NUL byte", { name: "a\0b" }, /name: expected a string/],
    ["a name that is a pattern", { name: "vx%d" }, /name: expected a name without %/],
    ["another kind", { kind: "tip" }, /kind: expected "tap" or "tun"/],
    ["no queue", { queues: 0 }, /queues: expected an integer from 1 to 256/],
    ["too many queues", { queues: 257 }, /queues: expected an integer/],
    ["half a queue", { queues: 1.5 }, /queues: expected an integer/],
    ["a MAC address of 5 bytes", { macAddress: new Uint8Array(5) }, /macAddress: expected 6 bytes/],
    ["a MAC address that is text", { macAddress: "02:00:00:00:00:01" }, /macAddress: expected a Uint8Array/],
    [
      "a MAC address on a TUN",
      { kind: "tun", macAddress: new Uint8Array(6) },
      /macAddress: expected 6 bytes, on a TAP/,
    ],
    ["a flag that is a number", { up: 1 }, /up: expected a boolean/],
    ["an MTU of NaN", { mtu: Number.NaN }, /mtu: expected an integer/],
    ["an empty netns", { netns: "" }, /netns: expected a string/],
  ];
  it.each(wrong)("refuses %s", (_, fields, message) => {
    expect(() => addon.openTap({ ...TAP, ...fields })).toThrow(message);
    expect(() => addon.openTap({ ...TAP, ...fields })).toThrow(TypeError);
  });

  it("refuses a call without options", () => {
    expect(() => (addon.openTap as () => unknown)()).toThrow("openTap: expected an options object");
  });

  it("passes on what a getter throws", () => {
    const options = Object.defineProperty({ ...TAP }, "mtu", {
      get: () => {
        throw new RangeError("mine");
      },
    });
    expect(() => addon.openTap(options)).toThrow(new RangeError("mine"));
  });
});

describe("openUdp", () => {
  const wrong: [string, object, RegExp][] = [
    ["an address of 5 bytes", { address: new Uint8Array(5) }, /openUdp: address: expected 4 or 16 bytes/],
    ["an address of 32-bit words", { address: new Int32Array(4) }, /address: expected a Uint8Array/],
    ["a port of 17 bits", { port: 65536 }, /port: expected an integer from 0 to 65535/],
    ["a negative port", { port: -1 }, /port: expected an integer/],
    ["a TTL of 0", { ttl: 0 }, /ttl: expected an integer from 1 to 255/],
    ["a TOS of 9 bits", { tos: 256 }, /tos: expected an integer/],
    ["a device name of 16 bytes", { device: "abcdefghijklmnop" }, /device: expected a string/],
    ["no reusePort", { reusePort: undefined }, /reusePort: expected a boolean/],
  ];
  it.each(wrong)("refuses %s", (_, fields, message) => {
    expect(() => addon.openUdp({ ...UDP, ...fields })).toThrow(message);
  });
});

describe("openRaw", () => {
  it.each<[string, object, RegExp]>([
    ["an address of 5 bytes", { address: new Uint8Array(5) }, /openRaw: address: expected 4 or 16 bytes/],
    ["no protocol", { protocol: undefined }, /protocol: expected an integer from 1 to 254/],
    ["the protocol whose sockets want whole packets", { protocol: 255 }, /protocol: expected an integer/],
    ["a flow label of 21 bits", { flowLabel: 1 << 20 }, /flowLabel: expected an integer/],
  ])("refuses %s", (_, fields, message) => {
    expect(() => addon.openRaw({ address: UDP.address, protocol: 47, ...fields })).toThrow(message);
  });
});

it("attachTunnelProgram refuses no device, and one that there is not", () => {
  expect(() => addon.attachTunnelProgram({} as never)).toThrow("attachTunnelProgram: device: expected a string");
  expect(() => addon.attachTunnelProgram({ device: "none" })).toThrow(expect.objectContaining({ code: "ENODEV" }));
});

describe("openPacketSockets", () => {
  const GRE: PacketSocketOptions = {
    address: Uint8Array.of(127, 0, 0, 1),
    protocol: 47,
    isGroup: false,
    count: 1,
    receiveBuffer: 1,
  };
  it.each<[string, object, RegExp]>([
    ["an address of 5 bytes", { address: new Uint8Array(5) }, /openPacketSockets: address: expected 4 or 16 bytes/],
    ["no protocol", { protocol: undefined }, /protocol: expected an integer from 0 to 255/],
    ["UDP without a port", { protocol: 17 }, /port: expected an integer from 1 to 65535/],
    ["no sockets", { count: 0 }, /count: expected an integer from 1 to 256/],
  ])("refuses %s", (_, fields, message) => {
    expect(() => addon.openPacketSockets({ ...GRE, ...fields })).toThrow(message);
  });
});

describe("calls on descriptors", () => {
  it("refuse an MTU of 0, and a group of 5 bytes", () => {
    expect(() => addon.setTapMtu(0, 0)).toThrow(/setTapMtu: mtu: expected/);
    const membership = { fd: 0, address: new Uint8Array(5), joinOn: 1 };
    expect(() => addon.rejoinGroup(membership)).toThrow(/rejoinGroup: address: expected 4 or 16 bytes/);
  });

  it.each([-1, 1.5, 2 ** 31, Number.NaN])("refuse %d", (fd) => {
    for (const call of [addon.tapInfo, addon.udpPort, addon.signalEvent, addon.closeFd, addon.peerCredentials]) {
      expect(() => call(fd)).toThrow(TypeError);
    }
  });

  it.each([[[3]], [new Uint8Array(1)], [undefined]])("refuse a list that is no Int32Array, %s", (fds) => {
    expect(() => addon.removeTaps(fds as unknown as Int32Array)).toThrow("removeTaps: fds: expected an Int32Array");
  });

  it("close a whole list, and nothing of an empty one", () => {
    const events = Int32Array.from({ length: 3 }, () => addon.openEvent());
    addon.removeTaps(new Int32Array(0));
    addon.signalEvent(events[0]!);
    addon.removeTaps(events);
    for (const event of events) expect(() => addon.closeFd(event)).toThrow(expect.objectContaining({ code: "EBADF" }));
  });

  it("say what the kernel said of a descriptor of another kind", () => {
    const event = addon.openEvent();
    try {
      expect(() => addon.tapInfo(event)).toThrow(
        expect.objectContaining({ code: "ENOTTY", errno: 25, syscall: "ioctl(TUNGETIFF)" }),
      );
      expect(() => addon.udpPort(event)).toThrow(
        expect.objectContaining({ code: "ENOTSOCK", errno: 88, syscall: "getsockname" }),
      );
    } finally {
      addon.closeFd(event);
    }
    expect(() => addon.closeFd(event)).toThrow(
      expect.objectContaining({ code: "EBADF", message: `close ${event}: EBADF Bad file descriptor` }),
    );
    expect(() => addon.signalEvent(event)).toThrow(expect.objectContaining({ code: "EBADF" }));
  });
});

describe("Io", () => {
  let rig: IoRig;
  beforeEach(() => {
    rig = new IoRig();
  });
  afterEach(() => rig.close());

  const wrongMemory: [string, object, RegExp][] = [
    [
      "no arena",
      { arena: undefined },
      /Io: arena: expected a Uint8Array of 10659840 elements over a SharedArrayBuffer/,
    ],
    ["a private array", { status: new Int32Array(STATUS_WORDS) }, /Io: status: expected .* over a SharedArrayBuffer/],
    [
      "a short array",
      { frames: new Int32Array(new SharedArrayBuffer(4)) },
      /Io: frames: expected an Int32Array of 9216/,
    ],
    ["another type", { vteps: new Int32Array(new SharedArrayBuffer(32)) }, /Io: vteps: expected a Uint8Array over/],
    ["no array", { templates: new SharedArrayBuffer(64) }, /Io: templates/],
    ["unaligned addresses", { vteps: new Uint8Array(new SharedArrayBuffer(64), 1, 32) }, /vteps: .* multiple of 4/],
  ];
  it.each(wrongMemory)("refuses memory with %s", (_, fields, message) => {
    expect(() => new addon.Io({ ...makeMemory(), ...fields }, rig.wakeFd)).toThrow(message);
    expect(() => new addon.Io({ ...makeMemory(), ...fields }, rig.wakeFd)).toThrow(TypeError);
  });

  it("refuses a wake-up descriptor that is not open", () => {
    expect(() => new addon.Io(makeMemory(), 1_000_000)).toThrow(
      expect.objectContaining({ code: "EBADF", syscall: "epoll_ctl(EPOLL_CTL_ADD)" }),
    );
  });

  it("refuses ports out of range, of no kind, or with a header that no tunnel has", () => {
    expect(() => rig.io.add(MAX_PORTS, 0, PORT_TAP, 0, FEATURE_VNET_HEADER)).toThrow(
      /Io.add: port: expected an integer from 0 to 32767/,
    );
    expect(() => rig.io.add(-1, 0, PORT_TAP, 0, FEATURE_VNET_HEADER)).toThrow(/port/);
    expect(() => rig.io.add(0, 0, 7, 0, 0)).toThrow(/kind/);
    expect(() => rig.io.add(0, 0, PORT_TAP, -1, FEATURE_VNET_HEADER)).toThrow(/header/);
  });

  it("refuses a second port of the same id, and takes it after remove", () => {
    const fd = rig.openUdp([127, 0, 0, 1]);
    rig.io.add(7, fd, PORT_UDP_RX, 8, 0);
    expect(() => rig.io.add(7, fd, PORT_UDP_TX, 8, 0)).toThrow(expect.objectContaining({ code: "EEXIST" }));
    rig.io.remove(7);
    rig.io.add(7, fd, PORT_UDP_TX, 8, 0);
  });

  it("refuses a descriptor that is no datagram socket as a UDP port", () => {
    expect(() => rig.io.add(0, rig.wakeFd, PORT_UDP_RX, 8, 0)).toThrow(expect.objectContaining({ code: "ENOTSOCK" }));
  });

  it("ignores the removal of a port it does not know", () => {
    expect(() => rig.io.remove(1234)).not.toThrow();
  });

  it("refuses counts and timeouts that are no numbers", () => {
    expect(() => (rig.io.receive as (timeout: unknown) => number)("1")).toThrow(TypeError);
    expect(() => (rig.io.send as (count?: unknown) => number)()).toThrow(TypeError);
  });

  it("receives and sends nothing after close, however often that is called", () => {
    rig.io.close();
    rig.io.close();
    rig.putAction(0, { port: 0, frame: 0 });
    expect(rig.io.receive(-1)).toBe(0);
    expect(rig.io.send(1)).toBe(1);
    expect(rig.result(0)).toBe(22);
    expect(() => rig.io.add(0, rig.wakeFd, PORT_TAP, 0, FEATURE_VNET_HEADER)).toThrow(
      expect.objectContaining({ code: "EBADF" }),
    );
  });
});
