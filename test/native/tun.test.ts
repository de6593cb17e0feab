/** TUN devices: what is made, real traffic through them, and superframes out of them as the kernel itself would cut them. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_MERGE_TCP,
  FEATURE_MERGE_UDP,
  FEATURE_SEGMENT,
  FEATURE_VNET_HEADER,
  FLAG_IP_PACKET,
  FLAG_TCP,
  FLAG_UDP,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_HEADERS,
  HEADER_PAYLOAD_IP,
  OUTER_GRE_CHECKSUM,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { requests } from "../support/requests.ts";
import { IPV4_TYPE, IPV6_TYPE } from "./frame-bytes.ts";
import { CHECKED_GRE_LAYOUT, greHeader } from "./gre-header.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";
import { wordsOf } from "./segment-lab.ts";
import { SUPERFRAMES, type Superframe } from "./superframes.ts";
import { TunLab, type TunnelOptions } from "./tun-lab.ts";

const ETHERNET = 14;
const LOOPBACK = [127, 0, 0, 1];

describe("openTap", () => {
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

  it("makes a TUN with queues, MTU and offloads in a namespace, and tells of it", () => {
    const options = { name: "tun7", kind: "tun", queues: 3, mtu: 1400, offload: "uso", netns: netns.path } as const;
    const tun = rig.openTap(options);
    expect(new Set(tun.fds).size).toBe(3);
    const [link] = JSON.parse(netns.ip("-j -d link show tun7")) as [Record<string, unknown>];
    expect(link).toMatchObject({
      ifindex: tun.ifindex,
      mtu: 1400,
      link_type: "none",
      linkinfo: { info_data: { type: "tun", vnet_hdr: true, multi_queue: true } },
    });
    const macAddress = new Uint8Array(6);
    expect(addon.tapInfo(tun.fds[2]!)).toMatchObject({
      name: "tun7",
      ifindex: tun.ifindex,
      mtu: 1400,
      up: true,
      macAddress,
    });
    addon.setTapMtu(tun.fds[0]!, 1300);
    expect(addon.tapInfo(tun.fds[1]!).mtu).toBe(1300);
  });

  it("makes one without a vnet header too", () => {
    const tun = rig.openTap({ name: "tun7", kind: "tun", vnetHeader: false, up: false, netns: netns.path });
    expect(addon.tapInfo(tun.fds[0]!)).toMatchObject({ name: "tun7", up: false });
  });
});

const GRE: TunnelOptions = {
  offload: "uso",
  vnetHeader: true,
  header: CHECKED_GRE_LAYOUT,
  template: (version) => greHeader({ etherType: version === 4 ? IPV4_TYPE : IPV6_TYPE, checksum: 0, key: 42 }),
  outer: OUTER_GRE_CHECKSUM,
  txFeatures: FEATURE_SEGMENT,
  rxFeatures: FEATURE_MERGE_TCP | FEATURE_MERGE_UDP,
};
const NO_HEADER: TunnelOptions = { ...GRE, header: HEADER_PAYLOAD_IP, template: () => new Uint8Array(0), outer: 0 };
const PLAIN: TunnelOptions = { ...GRE, offload: "none", vnetHeader: false, txFeatures: 0, rxFeatures: 0 };

describe.each([
  ["GRE with key and checksum, all offloads", GRE],
  ["no header, all offloads", NO_HEADER],
  ["GRE with key and checksum, no offloads", PLAIN],
] as const)("a tunnel between two TUNs: %s", (_, options) => {
  let lab: TunLab;
  beforeEach(() => {
    lab = new TunLab(options);
  });
  afterEach(() => lab.close());

  it.each(["10.9.0.2", "fd09::2"])("answers pings to %s", async (address) => {
    // The larger ones are cut by the kernel, as the MTU wants it.
    for (const size of ["56", "1372", "4000"]) {
      const said = await lab.run("ping", ...requests(2), "-s", size, address);
      expect(said).toMatch(/ 2 received/);
    }
  });

  it.each(["10.9.0.2", "fd09::2"])("carries a TCP stream to %s unharmed", async (address) => {
    const bytes = 4 << 20;
    const serve = `
      const hash = require("node:crypto").createHash("sha256");
      const server = require("node:net").createServer((socket) => {
        socket.on("data", (data) => hash.update(data));
        socket.on("end", () => { socket.end(); console.log(hash.digest("hex")); server.close(); });
      });
      server.listen(5001, "::", () => console.log("ready"));`;
    const send = `
      const socket = require("node:net").connect(5001, "${address}", () =>
        socket.end(Uint8Array.from({ length: ${bytes} }, (_, i) => (i * 7) >> 3)));
      socket.on("error", (error) => { console.log(error.message); process.exit(1); });
      socket.resume();`;
    const sent = Uint8Array.from({ length: bytes }, (_, i) => (i * 7) >> 3);
    const { finished } = await lab.start(process.execPath, "-e", serve);
    await lab.run(process.execPath, "-e", send);
    expect((await finished).trim().split("\n")).toEqual(["ready", createHash("sha256").update(sent).digest("hex")]);
    const { superframes } = lab.left;
    const { merged } = lab.right;
    if (options === PLAIN) expect([superframes, merged]).toEqual([0, 0]);
    else expect(superframes > 0 && merged > 0).toBe(true);
  });
});

/**
 * One router with three TUNs. What is written to `in` leaves by the one or the other: as a superframe, which is cut here on
 * its way into datagrams, or cut by the kernel, as `plain` takes no offloads.
 */
describe("a superframe out of a TUN", () => {
  const [IN, OUT, PLAIN_OUT, BARE_IN, TX, RX] = [1, 2, 3, 4, 5, 6];
  let netns: Netns;
  let rig: IoRig;
  let far: IoRig;
  beforeEach(() => {
    netns = new Netns();
    rig = new IoRig();
    far = new IoRig();
    const common = { kind: "tun", netns: netns.path } as const;
    const tuns = [
      [IN, rig.openTap({ ...common, name: "in", offload: "uso" })],
      [OUT, rig.openTap({ ...common, name: "out", offload: "uso" })],
      [PLAIN_OUT, rig.openTap({ ...common, name: "plain", offload: "none" })],
    ] as const;
    for (const [port, { fds }] of tuns) rig.io.add(port, fds[0]!, PORT_TAP, HEADER_PAYLOAD_IP, FEATURE_VNET_HEADER);
    // Without vnet headers: what is written to it has to be finished here.
    const bare = rig.openTap({ ...common, name: "bare", vnetHeader: false });
    rig.io.add(BARE_IN, bare.fds[0]!, PORT_TAP, HEADER_PAYLOAD_IP, 0);
    netns.enableForwarding();
    netns.enableForwarding6();
    netns.ip("route add 192.0.2.1/32 dev in");
    netns.ip("-6 route add 2001:db8::1/128 dev in");
    const receiver = far.openUdp(LOOPBACK, { netns: netns.path, receiveBuffer: 16 << 20 });
    far.io.add(RX, receiver, PORT_UDP_RX, HEADER_PAYLOAD_IP, 0);
    const sender = rig.openUdp(LOOPBACK, { netns: netns.path, discardInput: true, sendBuffer: 16 << 20 });
    rig.io.add(TX, sender, PORT_UDP_TX, 0, FEATURE_SEGMENT);
    rig.putVtep(0, LOOPBACK, addon.udpPort(receiver));
  });
  afterEach(() => {
    rig.close();
    far.close();
    netns.delete();
  });

  const write = (frame: Superframe, gsoSize: number, port: number = IN): void => {
    const words = wordsOf(frame, gsoSize);
    rig.putFrame(0, frame.bytes.subarray(ETHERNET), {
      ...words,
      [FRAME_FLAGS]: words[FRAME_FLAGS]! | FLAG_IP_PACKET,
      [FRAME_CSUM]: words[FRAME_CSUM]! - ETHERNET,
      [FRAME_HEADERS]: frame.headerLength - ETHERNET,
    });
    rig.putAction(0, { port, frame: 0 });
    expect(rig.io.send(1)).toBe(0);
  };
  /** Indices of the next batch's packets of the flow; what the kernel says on its own account is ICMP. */
  const receive = (timeoutMs: number): number[] => {
    const count = rig.io.receive(timeoutMs);
    const indices = Array.from({ length: count }, (_, i) => i);
    return indices.filter((i) => (rig.frame(i).flags & (FLAG_TCP | FLAG_UDP)) !== 0);
  };
  const route = (device: string): void => {
    netns.ip(`route replace 192.0.2.2/32 dev ${device}`);
    netns.ip(`-6 route replace 2001:db8::2/128 dev ${device}`);
  };
  const receiveOne = (): number => {
    for (let tries = 0; tries < 20; tries++) {
      const [index] = receive(500);
      if (index !== undefined) return index;
    }
    throw new Error("nothing came out");
  };

  const cutHere = (frame: Superframe, gsoSize: number): Uint8Array[] => {
    route("out");
    write(frame, gsoSize);
    const index = receiveOne();
    expect(rig.frame(index)).toMatchObject({ port: OUT, gso: gsoSize | ((frame.gsoType & 0x0f) << 16) });
    expect(rig.frame(index).flags & FLAG_IP_PACKET).toBe(FLAG_IP_PACKET);
    rig.putAction(0, { port: TX, frame: index });
    expect(rig.io.send(1)).toBe(0);
    const packets: Uint8Array[] = [];
    for (let count = far.io.receive(500); count > 0; count = far.io.receive(0)) {
      for (let i = 0; i < count; i++) packets.push(far.frameBytes(i));
    }
    return packets;
  };
  /** What comes out of `plain` of a superframe written to this port. */
  const throughPlain = (frame: Superframe, gsoSize: number, count: number, port: number): Uint8Array[] => {
    route("plain");
    write(frame, gsoSize, port);
    const packets: Uint8Array[] = [];
    for (let tries = 0; packets.length < count && tries < 20; tries++) {
      for (const i of receive(500)) {
        expect(rig.frame(i).port).toBe(PLAIN_OUT);
        packets.push(rig.frameBytes(i));
      }
    }
    return packets;
  };

  const untagged = SUPERFRAMES.filter(([, { ipOffset }]) => ipOffset === ETHERNET);
  it.each(untagged)("is cut as the kernel cuts it: %s", (_, frame, gsoSize) => {
    const ours = cutHere(frame, gsoSize);
    expect(ours).toHaveLength(Math.ceil((frame.bytes.length - frame.headerLength) / gsoSize));
    expect(throughPlain(frame, gsoSize, ours.length, IN)).toEqual(ours);
  });

  it.each([untagged[0]!, untagged.find(([name]) => name === "UDP over IPv6")!])(
    "is cut here when it goes to a TUN without vnet header: %s",
    (_, frame, gsoSize) => {
      const count = Math.ceil((frame.bytes.length - frame.headerLength) / gsoSize);
      const expected = throughPlain(frame, gsoSize, count, IN);
      expect(expected).toHaveLength(count);
      expect(throughPlain(frame, gsoSize, count, BARE_IN)).toEqual(expected);
    },
  );
});
