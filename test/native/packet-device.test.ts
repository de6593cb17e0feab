/** Packets by the byte, from devices with and without Ethernet header, as packet sockets see them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_VNET_HEADER,
  FLAG_BAD_OUTER_CSUM,
  FLAG_PARTIAL_CSUM,
  FRAME_CSUM,
  FRAME_FLAGS,
  HEADER_PAYLOAD_ETHERNET,
  HEADER_PAYLOAD_IP,
  PORT_PACKET_RX,
  PORT_TAP,
} from "../../src/binding/abi.ts";
import { GRE } from "./carrier-lab.ts";
import { ethernet, IPV4_TYPE, IPV6_TYPE, ipv4, ipv6, mac, UDP, udp } from "./frame-bytes.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const [DEVICE, RECEIVER] = [1, 10];
const HOST4 = [192, 0, 2, 1];
const HOST6 = [0x20, 1, 0x0d, 0xb8, ...new Array(11).fill(0), 1];
const GROUP4 = [239, 1, 1, 1];
const PEER4 = [192, 0, 2, 9];
const MAC = mac(1);
const GRE_HEADER = [0, 0, 0x65, 0x58];
const carried = (number: number): number[] => [...GRE_HEADER, 1, 2, 3, number];
const toHost = { src: PEER4, dst: HOST4 };

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

/** A device of this kind, whose other end is ours to write to. */
const addDevice = (kind: "tap" | "tun"): void => {
  const macAddress = kind === "tap" ? { macAddress: Uint8Array.from(MAC) } : {};
  const device = rig.openTap({ name: "eth0", kind, netns: netns.path, ...macAddress });
  const payload = kind === "tun" ? HEADER_PAYLOAD_IP : HEADER_PAYLOAD_ETHERNET;
  rig.io.add(DEVICE, device.fds[0]!, PORT_TAP, payload, FEATURE_VNET_HEADER);
  netns.ip("address add 192.0.2.1/24 dev eth0");
  netns.ip("address add 2001:db8::1/64 dev eth0 nodad");
};
let receivers = RECEIVER;
const addReceiver = (address: number[], protocol: number, options = {}): void => {
  const [fd] = rig.openPackets(address, protocol, { netns: netns.path, ...options });
  rig.io.add(receivers++, fd!, PORT_PACKET_RX, protocol === GRE ? 4 : 0, 0);
};
/** Lets the device receive these bytes. `words`: of the descriptor, for the vnet header. */
const arrive = (bytes: Uint8Array, words = {}): void => {
  rig.putFrame(0, bytes, words);
  rig.putAction(0, { port: DEVICE, frame: 0 });
  expect(rig.io.send(1)).toBe(0);
};
interface Taken {
  readonly view: FrameView;
  readonly bytes: number[];
}
/** What packet sockets have taken until none comes for a while; what the host sends is passed over. */
const takeAll = (): Taken[] => {
  const all: Taken[] = [];
  for (let count = rig.io.receive(100); count > 0; count = rig.io.receive(100)) {
    for (let i = 0; i < count; i++) {
      const view = rig.frame(i);
      if (view.port !== DEVICE) all.push({ view, bytes: [...rig.frameBytes(i)] });
    }
  }
  return all;
};
/** The only one. */
const take = (): Taken => {
  const [taken, ...more] = takeAll();
  expect(more).toEqual([]);
  return taken!;
};

describe.each(["tap", "tun"] as const)("from a device of kind %s", (kind) => {
  beforeEach(() => addDevice(kind));
  const link = (packet: Uint8Array): Uint8Array =>
    kind === "tun" ? packet : ethernet(packet[0]! >> 4 === 4 ? IPV4_TYPE : IPV6_TYPE, packet, { dst: MAC });

  it("a packet comes, with IPv4 options too", () => {
    addReceiver(HOST4, GRE);
    for (const options of [[], [1, 1, 1, 0], new Array(40).fill(1)]) {
      arrive(link(ipv4(GRE, carried(7), { ...toHost, options })));
      expect(take()).toMatchObject({ view: { source: "192.0.2.9", flags: 0 }, bytes: [1, 2, 3, 7] });
    }
  });

  it("a packet comes over IPv6, and behind an encapsulation limit", () => {
    addReceiver(HOST6, GRE);
    arrive(link(ipv6(GRE, carried(7), { dst: HOST6 })));
    expect(take().bytes).toEqual([1, 2, 3, 7]);
    arrive(link(ipv6(60, [GRE, 0, 4, 1, 4, 1, 1, 0, ...carried(8)], { dst: HOST6 })));
    expect(take().bytes).toEqual([1, 2, 3, 8]);
  });

  it("a datagram comes, with IPv4 options too", () => {
    addReceiver(HOST4, UDP, { port: 4789 });
    for (const options of [[], [1, 1, 1, 0]]) {
      const datagram = udp({ ...toHost, sourcePort: 40001, destinationPort: 4789, payload: [5, 6] });
      arrive(link(ipv4(UDP, datagram, { ...toHost, options })));
      expect(take()).toMatchObject({ view: { sourcePort: 40001, flags: 0 }, bytes: [5, 6] });
    }
  });

  it("a packet whose header has a wrong checksum is marked", () => {
    addReceiver(HOST4, GRE);
    const packet = ipv4(GRE, carried(7), toHost);
    packet[8]! ^= 1; // TTL
    arrive(link(packet));
    expect(take()).toMatchObject({ view: { flags: FLAG_BAD_OUTER_CSUM }, bytes: [1, 2, 3, 7] });
  });

  it("a datagram whose sender left the checksum to a device is not taken for corrupt", () => {
    addReceiver(HOST4, UDP, { port: 4789 });
    const fields = { ...toHost, destinationPort: 4789, payload: [5, 6], checksum: "partial" } as const;
    const frame = link(ipv4(UDP, udp(fields), toHost));
    arrive(frame);
    expect(take().view.flags).toBe(FLAG_BAD_OUTER_CSUM);
    const start = frame.length - udp(fields).length;
    arrive(frame, { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: start | (6 << 16) });
    expect(take()).toMatchObject({ view: { flags: 0 }, bytes: [5, 6] });
  });

  it("a packet that ends early has no frame", () => {
    addReceiver(HOST4, GRE);
    arrive(link(ipv4(GRE, carried(7), { ...toHost, totalLength: 500 })));
    expect(take().view).toMatchObject({ length: -4, datagramLength: 0 });
    arrive(link(ipv4(GRE, carried(7), { ...toHost, totalLength: 19 })));
    expect(take().view).toMatchObject({ length: -4, datagramLength: 0 });
  });

  it("what follows the packet is padding", () => {
    addReceiver(HOST4, GRE);
    arrive(link(Uint8Array.from([...ipv4(GRE, carried(7), toHost), ...new Array(60).fill(0xee)])));
    expect(take().bytes).toEqual([1, 2, 3, 7]);
  });

  it("a packet for a group comes to the group's socket only", () => {
    addReceiver(HOST4, GRE);
    addReceiver(GROUP4, GRE, { isGroup: true });
    const packet = ipv4(GRE, carried(7), { src: PEER4, dst: GROUP4 });
    arrive(kind === "tun" ? packet : ethernet(IPV4_TYPE, packet, { dst: [1, 0, 0x5e, 1, 1, 1] }));
    expect(take()).toMatchObject({ view: { port: receivers - 1, destination: "239.1.1.1" }, bytes: [1, 2, 3, 7] });
  });
});

describe("from an Ethernet device", () => {
  beforeEach(() => addDevice("tap"));

  it("a packet for another station is not taken", () => {
    addReceiver(HOST4, GRE);
    netns.ip("link set eth0 promisc on");
    arrive(ethernet(IPV4_TYPE, ipv4(GRE, carried(7), toHost), { dst: mac(2) }));
    arrive(ethernet(IPV4_TYPE, ipv4(GRE, carried(8), toHost), { dst: MAC }));
    expect(take().bytes).toEqual([1, 2, 3, 8]);
  });

  it("that is a bridge's port, a packet comes once", () => {
    netns.ip(`link add bridge0 address ${MAC.map((byte) => byte.toString(16)).join(":")} type bridge`);
    netns.ip("link set eth0 master bridge0");
    netns.ip("address add 192.0.2.1/24 dev bridge0");
    netns.ip("link set bridge0 up");
    addReceiver(HOST4, GRE);
    addReceiver(HOST4, GRE, { device: "bridge0" });
    arrive(ethernet(IPV4_TYPE, ipv4(GRE, carried(7), toHost), { dst: MAC, src: mac(9) }));
    const ports = takeAll().map(({ view }) => view.port);
    expect(ports.sort((a, b) => a - b)).toEqual([receivers - 2, receivers - 1]);
  });
});
