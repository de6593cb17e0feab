/**
 * Frames through a real TAP. One namespace holds the TAP and the kernel's IP stack above it:
 *
 *   Io port TAP -- vx42 192.0.2.1, 2001:db8::1 [kernel] -- Io port SOCKET, a UDP socket in that namespace
 *
 * so the test plays the wire with one port and an application with the other. The other end of the wire, 192.0.2.2 and
 * 2001:db8::2, is only a neighbour entry.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_VNET_HEADER,
  FLAG_FRAGMENT,
  FLAG_IPV4,
  FLAG_IPV6,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FLAG_UDP,
  FLAG_VLAN,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  GSO_TCPV4,
  PORT_TAP,
  PORT_UDP_RX,
  SLOT_BYTES,
  SLOT_HEADROOM,
  TAP_SLOTS,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import {
  ethernet,
  IPV4_A,
  IPV4_B,
  IPV4_TYPE,
  IPV6_A,
  IPV6_B,
  IPV6_TYPE,
  ipv4,
  ipv6,
  mac,
  TCP,
  tcp,
  UDP,
  udp,
} from "./frame-bytes.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const TAP = 1;
const SOCKET = 2;
const DEVICE_MAC = mac(1);
const WIRE_MAC = mac(2);
const LOCAL = [...IPV4_A];
const FAR = [...IPV4_B];

let netns: Netns;
let rig: IoRig;
let socketPort: number;
beforeEach(() => {
  netns = new Netns();
  rig = new IoRig();
  const tap = rig.openTap({ name: "vx42", netns: netns.path, macAddress: Uint8Array.from(DEVICE_MAC) });
  // No router solicitations and the like: the test counts frames.
  netns.ip("link set vx42 addrgenmode none");
  netns.ip("address add 192.0.2.1/24 dev vx42");
  netns.ip("address add 2001:db8::1/64 dev vx42 nodad");
  netns.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev vx42 nud permanent");
  netns.ip("neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev vx42 nud permanent");
  const socket = rig.openUdp(LOCAL, { netns: netns.path, receiveBuffer: 4 << 20 });
  socketPort = addon.udpPort(socket);
  rig.io.add(TAP, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
  rig.io.add(SOCKET, socket, PORT_UDP_RX, 0, 0);
  rig.putVtep(0, FAR, 4789);
  drain();
});
afterEach(() => {
  rig.close();
  netns.delete();
});

/** Takes away what the kernel sends by itself when a device comes up (multicast membership reports). */
const drain = (): void => {
  while (rig.io.receive(20) > 0);
};

/** Receives until `count` frames of `port` came; copies, as the next receive reuses the arena. */
const collect = (port: number, count: number): { view: FrameView; bytes: Uint8Array }[] => {
  const seen: { view: FrameView; bytes: Uint8Array }[] = [];
  while (seen.length < count) {
    const frames = rig.io.receive(500);
    if (frames === 0) break;
    for (let i = 0; i < frames; i++) {
      if (rig.frame(i).port === port) seen.push({ view: rig.frame(i), bytes: rig.frameBytes(i) });
    }
  }
  return seen;
};

/** The application sends datagrams of these payloads to the far end. */
const applicationSends = (...payloads: Uint8Array[]): void => {
  for (const [i, payload] of payloads.entries()) {
    rig.putFrame(i, payload);
    rig.putAction(i, { port: SOCKET, frame: i });
  }
  expect(rig.io.send(payloads.length)).toBe(0);
};

/** The wire hands a frame to the TAP; returns the errno. */
const wireSends = (frame: Uint8Array, words: Record<number, number> = {}): number => {
  rig.putFrame(0, frame, words);
  rig.putAction(0, { port: TAP, frame: 0 });
  rig.io.send(1);
  return rig.result(0);
};

const toApplication = { src: FAR, dst: LOCAL, sourcePort: 40000 };
const datagramFrame = (payload: ArrayLike<number>): Uint8Array => {
  const segment = udp({ ...toApplication, destinationPort: socketPort, payload });
  return ethernet(IPV4_TYPE, ipv4(UDP, segment, toApplication), { dst: DEVICE_MAC, src: WIRE_MAC });
};

describe("a frame out of a TAP", () => {
  it("lies behind the slot's headroom and is described", () => {
    applicationSends(Uint8Array.of(1, 2, 3));
    const [frame] = collect(TAP, 1);
    expect(frame?.view).toMatchObject({
      port: TAP,
      offset: SLOT_HEADROOM,
      length: 14 + 20 + 8 + 3,
      flags: FLAG_IPV4 | FLAG_UDP,
      dst: [0x0200, 2],
      src: [0x0200, 1],
      csum: 0,
      gso: 0,
      headers: 42 | (14 << 16),
      segments: 1,
    });
    expect(frame?.bytes.subarray(-3)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("comes in order, and in batches of as many as a TAP has slots", () => {
    const count = TAP_SLOTS + 36;
    const payload = (i: number): Uint8Array => Uint8Array.of(i);
    applicationSends(...Array.from({ length: TAP_SLOTS }, (_, i) => payload(i)));
    applicationSends(...Array.from({ length: count - TAP_SLOTS }, (_, i) => payload(TAP_SLOTS + i)));
    expect(rig.io.receive(500)).toBe(TAP_SLOTS);
    expect(rig.frame(TAP_SLOTS - 1).offset).toBe((TAP_SLOTS - 1) * SLOT_BYTES + SLOT_HEADROOM);
    const last = (index: number): number | undefined => rig.frameBytes(index).at(-1);
    expect([last(0), last(TAP_SLOTS - 1)]).toEqual([0, TAP_SLOTS - 1]);
    expect(rig.io.receive(500)).toBe(count - TAP_SLOTS);
    expect([last(0), last(count - TAP_SLOTS - 1)]).toEqual([TAP_SLOTS, count - 1]);
  });

  it("has the flow hash of its addresses and ports, the same for each frame of a flow", () => {
    const other = rig.openUdp(LOCAL, { netns: netns.path });
    rig.io.add(3, other, PORT_UDP_RX, 0, 0);
    applicationSends(Uint8Array.of(1), Uint8Array.of(2, 3, 4));
    const flow = collect(TAP, 2).map(({ view }) => view.flowHash);
    rig.putFrame(0, Uint8Array.of(1));
    rig.putAction(0, { port: 3, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
    const [otherFlow] = collect(TAP, 1).map(({ view }) => view.flowHash);
    expect(flow).toHaveLength(2);
    expect(flow[0]).not.toBe(0);
    expect(flow[1]).toBe(flow[0]);
    expect(otherFlow).not.toBe(flow[0]);
  });

  it("has one flow hash for all fragments of a datagram, though only the first has ports", () => {
    applicationSends(new Uint8Array(4000));
    const fragments = collect(TAP, 3).map(({ view }) => view);
    expect(fragments.map(({ flags }) => flags)).toEqual([
      FLAG_IPV4 | FLAG_FRAGMENT | FLAG_UDP,
      FLAG_IPV4 | FLAG_FRAGMENT,
      FLAG_IPV4 | FLAG_FRAGMENT,
    ]);
    expect(new Set(fragments.map(({ flowHash }) => flowHash)).size).toBe(1);
  });

  it("spreads flows that differ in one port over all values", () => {
    // Bits that only ever take one value would leave outer source ports unused.
    let ones = 0;
    let zeros = 0;
    for (let i = 0; i < 64; i++) {
      const fd = rig.openUdp(LOCAL, { netns: netns.path });
      rig.io.add(10 + i, fd, PORT_UDP_RX, 0, 0);
      rig.putFrame(i, Uint8Array.of(1));
      rig.putAction(i, { port: 10 + i, frame: i });
    }
    expect(rig.io.send(64)).toBe(0);
    const hashes = collect(TAP, 64).map(({ view }) => view.flowHash);
    for (const hash of hashes) {
      ones |= hash;
      zeros |= ~hash;
    }
    expect(new Set(hashes).size).toBe(64);
    expect([ones, zeros]).toEqual([-1, -1]);
  });

  it("is recognised over IPv6", () => {
    const socket6 = rig.openUdp([...IPV6_A], { netns: netns.path });
    rig.io.add(3, socket6, PORT_UDP_RX, 0, 0);
    rig.putVtep(1, [...IPV6_B], 9);
    rig.putFrame(0, Uint8Array.of(1));
    rig.putAction(0, { port: 3, frame: 0, vtep: 1 });
    expect(rig.io.send(1)).toBe(0);
    expect(collect(TAP, 1)[0]?.view).toMatchObject({ flags: FLAG_IPV6 | FLAG_UDP, length: 14 + 40 + 8 + 1 });
  });

  it("has its VLAN tag in place when it was bridged to the TAP", () => {
    const left = rig.openTap({ name: "left", netns: netns.path });
    const right = rig.openTap({ name: "right", netns: netns.path });
    netns.ip("link add bridge0 type bridge");
    for (const name of ["left", "right"]) netns.ip(`link set ${name} addrgenmode none master bridge0`);
    netns.ip("link set bridge0 addrgenmode none up");
    rig.io.add(3, left.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    rig.io.add(4, right.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    drain();
    const frame = ethernet(IPV4_TYPE, ipv4(UDP, udp()), { tags: [[0x8100, 42]], dst: mac(8), src: mac(9) });
    rig.putFrame(0, frame);
    rig.putAction(0, { port: 3, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
    const [bridged] = collect(4, 1);
    expect(bridged?.view.flags).toBe(FLAG_VLAN | FLAG_IPV4 | FLAG_UDP);
    expect(bridged?.bytes).toEqual(frame);
  });
});

describe("a frame into a TAP", () => {
  it("reaches the kernel's IP stack", () => {
    expect(wireSends(datagramFrame([9, 8, 7]))).toBe(0);
    const [datagram] = collect(SOCKET, 1);
    expect(datagram?.bytes).toEqual(Uint8Array.of(9, 8, 7));
    expect(datagram?.view).toMatchObject({ source: "192.0.2.2", sourcePort: 40000 });
  });

  it("with a wrong checksum is dropped by the kernel, with a partial one and its flag it is not", () => {
    const segment = udp({ ...toApplication, destinationPort: socketPort, payload: [5], checksum: "partial" });
    const frame = ethernet(IPV4_TYPE, ipv4(UDP, segment, toApplication), { dst: DEVICE_MAC, src: WIRE_MAC });
    expect(wireSends(frame)).toBe(0);
    expect(collect(SOCKET, 1)).toHaveLength(0);
    expect(wireSends(frame, { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: 34 | (6 << 16) })).toBe(0);
    expect(collect(SOCKET, 1)).toHaveLength(1);
  });

  it("with a GSO size is split by the kernel where the next device needs that", () => {
    // The kernel forwards the superframe to a second TAP, which takes no offload: it reads the single segments.
    const out = rig.openTap({ name: "out", netns: netns.path, macAddress: Uint8Array.from(mac(3)) });
    netns.ip("link set out addrgenmode none");
    netns.ip("address add 198.51.100.1/24 dev out");
    netns.ip("neigh add 198.51.100.2 lladdr 02:00:00:00:00:04 dev out nud permanent");
    netns.enableForwarding();
    rig.io.add(3, out.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
    drain();
    const ends = { src: FAR, dst: [198, 51, 100, 2] };
    const payload = Uint8Array.from({ length: 3500 }, (_, i) => i & 0xff);
    const segment = tcp({ ...ends, payload, checksum: "partial" });
    const frame = ethernet(IPV4_TYPE, ipv4(TCP, segment, ends), { dst: DEVICE_MAC, src: WIRE_MAC });
    const words = {
      [FRAME_FLAGS]: FLAG_PARTIAL_CSUM,
      [FRAME_CSUM]: 34 | (16 << 16),
      [FRAME_HEADERS]: 54 | (14 << 16),
      [FRAME_GSO]: 1000 | (GSO_TCPV4 << 16),
    };
    expect(wireSends(frame, words)).toBe(0);
    const segments = collect(3, 4);
    expect(segments.map(({ view }) => [view.length, view.flags])).toEqual(
      [1054, 1054, 1054, 554].map((length) => [length, FLAG_IPV4 | FLAG_TCP]),
    );
    expect(Buffer.concat(segments.map(({ bytes }) => bytes.subarray(54)))).toEqual(Buffer.from(payload));
  });

  it("as large as a UDP datagram can carry arrives whole over IPv6", () => {
    netns.ip("link set vx42 mtu 65521");
    drain();
    const socket6 = rig.openUdp([...IPV6_A], { netns: netns.path });
    rig.io.add(3, socket6, PORT_UDP_RX, 0, 0);
    const ends = { src: IPV6_B, dst: IPV6_A };
    const payload = new Uint8Array(65521 - 48).fill(3);
    const segment = udp({ ...ends, destinationPort: addon.udpPort(socket6), payload });
    const frame = ethernet(IPV6_TYPE, ipv6(UDP, segment, ends), { dst: DEVICE_MAC, src: WIRE_MAC });
    expect(wireSends(frame)).toBe(0);
    expect(collect(3, 1)[0]?.view.length).toBe(payload.length);
  });

  it("is refused per action: too short, or the device is down", () => {
    expect(wireSends(new Uint8Array(13))).toBe(22);
    netns.ip("link set vx42 down");
    expect(wireSends(datagramFrame([1]))).toBe(5);
    netns.ip("link set vx42 up");
    expect(wireSends(datagramFrame([1]))).toBe(0);
  });
});
