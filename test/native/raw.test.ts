/** Raw sockets: what leaves them, and what their being there keeps a host from saying. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_SEGMENT,
  FEATURE_VNET_HEADER,
  FLAG_IP_PACKET,
  FLAG_IPV4,
  FLAG_IPV6,
  FRAME_FLAGS,
  FRAME_INNER_IP,
  OUTER_FLOW_LABEL,
  OUTER_TOS,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
} from "../../src/binding/abi.ts";
import { addon, type RawOptions } from "../../src/binding/addon.ts";
import { waitFor } from "../support/wait-for.ts";
import { CarrierLab, FAR4, FAR6, GRE, NEAR4, NEAR6 } from "./carrier-lab.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

describe("what leaves a raw socket", () => {
  let netns: Netns;
  let rig: IoRig;
  beforeEach(() => {
    netns = new Netns();
    rig = new IoRig();
    const tap = rig.openTap({ name: "eth0", netns: netns.path });
    netns.ip("link set eth0 addrgenmode none");
    netns.ip("address add 192.0.2.1/24 dev eth0");
    netns.ip("address add 2001:db8::1/64 dev eth0 nodad");
    netns.ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent");
    netns.ip("neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent");
    rig.io.add(1, tap.fds[0]!, PORT_TAP, 0, FEATURE_VNET_HEADER);
  });
  afterEach(() => {
    rig.close();
    netns.delete();
  });

  /** Sends three bytes behind a template of two; returns the IP packet. */
  const packetOf = (near: readonly number[], far: readonly number[], options: Partial<RawOptions>): number[] => {
    while (rig.io.receive(20) > 0);
    rig.io.add(2, rig.openRaw(near, GRE, { netns: netns.path, ...options }), PORT_UDP_TX, 0, 0);
    rig.putVtep(0, far, 0);
    if (options.flowLabel !== undefined) new DataView(rig.memory.vteps.buffer).setUint32(4, options.flowLabel);
    rig.memory.templates.set([0xaa, 0xbb]);
    rig.putFrame(0, Uint8Array.of(1, 2, 3));
    rig.putAction(0, { port: 2, frame: 0, template: 0, templateLength: 2 });
    expect(rig.io.send(1)).toBe(0);
    expect(rig.io.receive(1000)).toBe(1);
    return [...rig.frameBytes(0).subarray(14)];
  };
  const labelOf = (packet: number[]): number => ((packet[1]! & 15) << 16) | (packet[2]! << 8) | packet[3]!;
  const [TOS4, FLAGS4, TTL4, PROTOCOL4] = [1, 6, 8, 9];

  it("has protocol, addresses, TOS, TTL and DF as told over IPv4", () => {
    const packet = packetOf(NEAR4, FAR4, { tos: 0xb8, ttl: 7, mtuDiscover: 2 });
    const fields = [TOS4, TTL4, PROTOCOL4].map((at) => packet[at]);
    expect([...fields, packet[FLAGS4]! & 0x40]).toEqual([0xb8, 7, GRE, 0x40]);
    expect(packet.slice(12)).toEqual([...NEAR4, ...FAR4, 0xaa, 0xbb, 1, 2, 3]);
  });

  it("has no DF when the socket may fragment", () => {
    expect(packetOf(NEAR4, FAR4, { mtuDiscover: 0 })[FLAGS4]! & 0x40).toBe(0);
  });

  it("has next header, traffic class and hop limit as told over IPv6", () => {
    const packet = packetOf(NEAR6, FAR6, { tos: 0xb8, ttl: 7 });
    expect([packet[0], packet[1]! & 0xf0]).toEqual([0x6b, 0x80]);
    expect(packet.slice(4, 8)).toEqual([0, 5, GRE, 7]);
    expect(packet.slice(8)).toEqual([...NEAR6, ...FAR6, 0xaa, 0xbb, 1, 2, 3]);
  });

  it("has the flow label that was leased", () => {
    expect(labelOf(packetOf(NEAR6, FAR6, { flowLabel: 0x12345 }))).toBe(0x12345);
  });

  it.each(["raw", "UDP"])("has the flow label of the IPv6 packet inside, each its own, through a %s socket", (kind) => {
    while (rig.io.receive(20) > 0);
    netns.ip("link set eth0 mtu 1500");
    const fd =
      kind === "raw" ? rig.openRaw(NEAR6, GRE, { netns: netns.path }) : rig.openUdp(NEAR6, { netns: netns.path });
    rig.io.add(2, fd, PORT_UDP_TX, 0, kind === "raw" ? 0 : FEATURE_SEGMENT);
    rig.putVtep(0, FAR6, kind === "raw" ? 0 : 4789);
    rig.memory.templates.fill(0, 0, 8);
    const inner = [
      [FLAG_IPV6, 0x6000_0000 + 0x11111],
      [FLAG_IPV6, 0x6000_0000 + 0x11111],
      [FLAG_IPV6, 0x6abf_ffff],
      [FLAG_IPV4, 0x4500_3333],
    ] as const;
    for (const [n, [flag, firstWord]] of inner.entries()) {
      // The Ethernet header of a frame comes before.
      const at = n % 2 === 0 ? 0 : 14;
      const bytes = new Uint8Array(100);
      new DataView(bytes.buffer).setUint32(at, firstWord);
      const words = { [FRAME_FLAGS]: flag | (at === 0 ? FLAG_IP_PACKET : 0), [FRAME_INNER_IP]: (64 << 8) | (at << 16) };
      rig.putFrame(n, bytes, words);
      rig.putAction(n, { port: 2, frame: n, templateLength: 8, outer: OUTER_FLOW_LABEL | OUTER_TOS | 0x40 });
    }
    expect(rig.io.send(inner.length)).toBe(0);
    const packets: number[][] = [];
    while (packets.length < inner.length) {
      const count = rig.io.receive(1000);
      expect(count).toBeGreaterThan(0);
      for (let n = 0; n < count; n++) {
        const packet = [...rig.frameBytes(n).subarray(14)];
        // Hosts say something to groups by themselves.
        if (packet[24] === FAR6[0]) packets.push(packet);
      }
    }
    // What has none to inherit has the host's.
    expect(packets.slice(0, 3).map(labelOf)).toEqual([0x11111, 0x11111, 0xfffff]);
    expect(labelOf(packets[3]!)).not.toBe(0x3333);
    for (const [head, next = 0] of packets) expect([head, next & 0xf0]).toEqual([0x64, 0]);
  });
});

describe("openRaw", () => {
  let lab: CarrierLab;
  beforeEach(() => {
    lab = new CarrierLab();
  });
  afterEach(() => lab.close());

  it("says what is wrong with an address or a device", () => {
    const open = (address: readonly number[], options: Partial<RawOptions> = {}) =>
      lab.sending.openRaw(address, GRE, { netns: lab.near.path, ...options });
    expect(() => open(FAR4)).toThrow(
      expect.objectContaining({
        code: "EADDRNOTAVAIL",
        message: expect.stringMatching(/^bind 192.0.2.2 protocol 47: /),
      }),
    );
    expect(() => open(FAR6)).toThrow(expect.objectContaining({ code: "EADDRNOTAVAIL", syscall: "bind" }));
    expect(() => open(NEAR4, { device: "none" })).toThrow(
      expect.objectContaining({ code: "ENODEV", message: expect.stringContaining("protocol 47 dev none: ENODEV") }),
    );
  });

  it("makes sockets that are good for sending only", () => {
    const fd = lab.sending.openRaw(NEAR4, GRE, { netns: lab.near.path });
    expect(() => lab.sending.io.add(1, fd, PORT_UDP_RX, 0, 0)).toThrow(expect.objectContaining({ code: "EPROTOTYPE" }));
  });

  it("refuses what is larger than the path carries where it may not fragment", () => {
    const EMSGSIZE = 90;
    const sizes = [1480, 1481].map((size) => new Uint8Array(size));
    expect(lab.send(lab.addSender(NEAR4, GRE, { mtuDiscover: 2 }), FAR4, sizes)).toEqual([0, EMSGSIZE]);
    expect(lab.send(lab.addSender(NEAR4, GRE, { mtuDiscover: 0 }), FAR4, sizes)).toEqual([0, 0]);
  });

  it.each([
    ["IPv4", NEAR4, FAR4, "IcmpOutDestUnreachs"],
    ["IPv6", NEAR6, FAR6, "Icmp6OutParmProblems"],
  ] as const)(
    "keeps the host from refusing the protocol unless it is deaf, over %s",
    async (_, near, far, refusals) => {
      const sender = lab.addSender(near, GRE);
      lab.addReceivers(far, GRE, {}, 4);
      const arrive = (count: number): void => {
        const packets = Array.from({ length: count }, () => Uint8Array.of(0, 0, 8, 0, 1));
        expect(lab.send(sender, far, packets)).toEqual(packets.map(() => 0));
        expect(lab.receive(count)).toHaveLength(count);
      };
      // The answers are limited, a few in a row and then one a second; that there are some is all that counts.
      const arriveRefused = async (): Promise<void> => {
        const before = lab.far.counter(refusals);
        // A packet socket sees a packet before IP does.
        const isRefused = (): boolean => {
          arrive(1);
          return lab.far.counter(refusals) > before;
        };
        await waitFor(isRefused, { what: "an answer that refuses the protocol" });
      };
      await arriveRefused();
      // One that is given nothing is of no use for this, neither when new nor after having been to a path's other end.
      const deaf = lab.receiving.openRaw(far, GRE, { netns: lab.far.path, deaf: true });
      await arriveRefused();
      expect(addon.pathMtu(deaf, Uint8Array.from(near), 0, 0)).toBe(1500);
      await arriveRefused();
      lab.receiving.openRaw(far, GRE, { netns: lab.far.path });
      const before = lab.far.counter(refusals);
      arrive(50);
      arrive(1);
      expect(lab.far.counter(refusals)).toBe(before);
    },
  );
});
