/** What packet sockets take, of all that a host receives, and what they say of it. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FLAG_BAD_OUTER_CSUM, PORT_PACKET_RX } from "../../src/binding/abi.ts";
import { type Arrived, CarrierLab, FAR4, FAR6, GRE, NEAR4, NEAR6 } from "./carrier-lab.ts";
import { UDP, udp } from "./frame-bytes.ts";
import { payloadOf } from "./superframes.ts";

const [IPIP, DESTINATION_OPTIONS, FRAGMENT] = [4, 60, 44];
const GRE_HEADER = [0, 0, 0x65, 0x58];
/** The tunnel encapsulation limit as Linux sends it, RFC 2473. */
const encapsulationLimit = (next: number): number[] => [next, 0, 4, 1, 4, 1, 1, 0];
const greOf = (payload: ArrayLike<number>): Uint8Array => Uint8Array.from([...GRE_HEADER, ...Array.from(payload)]);
const summaryOf = ({ view, bytes }: Arrived): object => ({
  source: view.source,
  destination: view.destination,
  tos: view.tos,
  sourcePort: view.sourcePort,
  flags: view.flags,
  bytes: [...bytes],
});

let lab: CarrierLab;
beforeEach(() => {
  lab = new CarrierLab();
});
afterEach(() => lab.close());

describe("a packet of an IP protocol", () => {
  const SOURCE6 = "20010db8000000000000000000000001";
  const DESTINATION6 = "20010db8000000000000000000000002";

  it("comes with its addresses, TOS and what it carries, over IPv4", () => {
    const [port] = lab.addReceivers(FAR4, GRE, {}, 4);
    const sender = lab.addSender(NEAR4, GRE, { tos: 0xb9 });
    const frame = payloadOf(61);
    expect(lab.send(sender, FAR4, [greOf(frame)])).toEqual([0]);
    const [arrived] = lab.receive(1);
    expect([...arrived!.header]).toEqual(GRE_HEADER);
    expect(summaryOf(arrived!)).toEqual({
      source: "192.0.2.1",
      destination: "192.0.2.2",
      tos: 0xb9,
      sourcePort: 0,
      flags: 0,
      bytes: [...frame],
    });
    expect(arrived!.view).toMatchObject({ port, datagramLength: 65, segments: 1, length: 61 });
  });

  it.each([
    ["over IPv6", GRE, []],
    ["over IPv6 behind an encapsulation limit", DESTINATION_OPTIONS, encapsulationLimit(GRE)],
  ])("comes so too %s", (_, protocol, front) => {
    lab.addReceivers(FAR6, GRE, {}, 4);
    const sender = lab.addSender(NEAR6, protocol, { tos: 0xb9 });
    const frame = payloadOf(61);
    expect(lab.send(sender, FAR6, [Uint8Array.from([...front, ...greOf(frame)])])).toEqual([0]);
    const [arrived] = lab.receive(1);
    expect([...arrived!.header]).toEqual(GRE_HEADER);
    const addresses = { source: SOURCE6, destination: DESTINATION6 };
    expect(summaryOf(arrived!)).toEqual({ ...addresses, tos: 0xb9, sourcePort: 0, flags: 0, bytes: [...frame] });
  });

  it("needs no header in front of what it carries, and no payload", () => {
    lab.addReceivers(FAR4, IPIP);
    const sender = lab.addSender(NEAR4, IPIP);
    const payloads = [20, 1, 0, 1400].map(payloadOf);
    expect(lab.send(sender, FAR4, payloads)).toEqual([0, 0, 0, 0]);
    expect(lab.receive(4).map(({ bytes }) => [...bytes])).toEqual(payloads.map((payload) => [...payload]));
  });

  it("is put together when it came in fragments, over IPv4", () => {
    lab.addReceivers(FAR4, GRE, {}, 4);
    const sender = lab.addSender(NEAR4, GRE, { mtuDiscover: 0 });
    const frame = payloadOf(5000);
    expect(lab.send(sender, FAR4, [greOf(frame)])).toEqual([0]);
    expect(lab.receive(1).map(({ bytes }) => Buffer.compare(bytes, frame))).toEqual([0]);
  });

  it("is not taken for another address, protocol, or chain of headers", () => {
    lab.far.ip("address add 192.0.2.9/24 dev v1");
    lab.far.ip("address add 2001:db8::9/64 dev v1 nodad");
    lab.addReceivers(FAR4, GRE, {}, 4);
    lab.addReceivers(FAR6, GRE, {}, 4);
    const senders = Object.fromEntries(
      [GRE, IPIP, DESTINATION_OPTIONS, FRAGMENT].map((protocol) => [
        protocol,
        { 4: lab.addSender(NEAR4, protocol), 6: lab.addSender(NEAR6, protocol) },
      ]),
    );
    const send = (family: 4 | 6, protocol: number, destination: readonly number[], payload: ArrayLike<number>): void =>
      expect(lab.send(senders[protocol]![family], destination, [Uint8Array.from(payload)])).toEqual([0]);
    send(4, IPIP, FAR4, greOf([1]));
    send(6, IPIP, FAR6, greOf([2]));
    send(4, GRE, [192, 0, 2, 9], greOf([3]));
    send(6, GRE, [...FAR6.slice(0, 15), 9], greOf([4]));
    send(6, DESTINATION_OPTIONS, FAR6, [...encapsulationLimit(IPIP), ...greOf([5])]);
    // Sixteen bytes of options.
    send(6, DESTINATION_OPTIONS, FAR6, [GRE, 1, 1, 12, ...new Array(12).fill(0), ...greOf([6])]);
    // A fragment, the first of a packet whose rest never comes.
    send(6, FRAGMENT, FAR6, [GRE, 0, 0, 1, 0, 0, 0, 1, ...greOf([7, 7, 7, 7])]);
    send(4, GRE, FAR4, greOf([8]));
    send(6, GRE, FAR6, greOf([9]));
    expect(
      lab
        .receive(2)
        .map(({ bytes }) => bytes[0])
        .sort(),
    ).toEqual([8, 9]);
    expect(lab.receive(1, 100)).toEqual([]);
  });

  it("comes once over loopback", () => {
    const receiver = lab.receiving.openPackets(NEAR4, GRE, { netns: lab.near.path });
    lab.receiving.io.add(50, receiver[0]!, PORT_PACKET_RX, 4, 0);
    const sender = lab.addSender(NEAR4, GRE);
    expect(lab.send(sender, NEAR4, [greOf([1, 2]), greOf([3])])).toEqual([0, 0]);
    expect(lab.receive(2).map(({ bytes }) => [...bytes])).toEqual([[1, 2], [3]]);
    expect(lab.receive(1, 100)).toEqual([]);
  });

  it("comes from one interface only, when told so", () => {
    lab.near.ip(`link add w0 type veth peer name w1 netns ${lab.far.name}`);
    for (const [netns, device, host] of [
      [lab.near, "w0", 1],
      [lab.far, "w1", 2],
    ] as const) {
      netns.ip(`address add 198.51.100.${host}/24 dev ${device}`);
      netns.ip(`link set ${device} up`);
    }
    lab.addReceivers(FAR4, GRE, { device: "v1" }, 4);
    const other = lab.addReceivers(FAR4, GRE, { device: "w1" }, 4);
    expect(lab.send(lab.addSender(NEAR4, GRE), FAR4, [greOf([1])])).toEqual([0]);
    lab.near.ip("route add 192.0.2.2/32 via 198.51.100.2");
    expect(lab.send(lab.addSender([198, 51, 100, 1], GRE), FAR4, [greOf([2])])).toEqual([0]);
    const arrived = lab.receive(2);
    expect(arrived.map(({ bytes }) => [...bytes])).toEqual([[1], [2]]);
    expect(arrived[1]!.view.port).toBe(other[0]);
    expect(() => lab.addReceivers(FAR4, GRE, { device: "none" })).toThrow(
      expect.objectContaining({ code: "ENODEV", syscall: "if_nametoindex" }),
    );
  });
});

describe("a datagram", () => {
  /** Through a raw socket, with the checksum that it is given. */
  const datagramOf = (family: 4 | 6, checksum: "full" | number, destinationPort = 6081): Uint8Array => {
    const [src, dst] = family === 4 ? [NEAR4, FAR4] : [NEAR6, FAR6];
    return udp({ sourcePort: 40001, destinationPort, payload: payloadOf(33), src, dst, checksum });
  };
  const send = (family: 4 | 6, datagram: Uint8Array): void =>
    expect(lab.send(lab.addSender(family === 4 ? NEAR4 : NEAR6, UDP), family === 4 ? FAR4 : FAR6, [datagram])).toEqual([
      0,
    ]);

  it.each([4, 6] as const)("to the port comes with its source port, over IPv%i", (family) => {
    lab.addReceivers(family === 4 ? FAR4 : FAR6, UDP, { port: 6081 });
    send(family, datagramOf(family, "full", 6082));
    send(family, datagramOf(family, "full"));
    const [arrived] = lab.receive(1);
    expect(summaryOf(arrived!)).toMatchObject({ sourcePort: 40001, flags: 0, bytes: [...payloadOf(33)] });
  });

  it.each([4, 6] as const)("with a wrong checksum is marked, over IPv%i", (family) => {
    lab.addReceivers(family === 4 ? FAR4 : FAR6, UDP, { port: 6081 });
    const datagram = datagramOf(family, "full");
    datagram[20]! ^= 1;
    send(family, datagram);
    expect(lab.receive(1).map(({ view }) => view.flags)).toEqual([FLAG_BAD_OUTER_CSUM]);
  });

  it("without checksum comes over IPv4, and over IPv6 when that is allowed", () => {
    lab.addReceivers(FAR4, UDP, { port: 6081 });
    send(4, datagramOf(4, 0));
    expect(lab.receive(1)).toHaveLength(1);
    lab.addReceivers(FAR6, UDP, { port: 6081 });
    lab.addReceivers(FAR6, UDP, { port: 6082, acceptZeroChecksum6: true });
    send(6, datagramOf(6, 0));
    send(6, datagramOf(6, 0, 6082));
    const allowed = lab.receive(1);
    expect(allowed.map(({ view }) => view.flags)).toEqual([0]);
    expect(lab.receive(1, 100)).toEqual([]);
  });
});

describe("a packet for a group", () => {
  const JOIN = { port: 0, reusePort: false, receiveInfo: false, discardInput: true };

  it.each([
    ["239.1.1.1", [239, 1, 1, 1], NEAR4],
    ["ff15::42", [0xff, 0x15, ...new Array(13).fill(0), 0x42], NEAR6],
  ])("comes to the group %s", (_, group, near) => {
    const joinOn = Number(/^(\d+):/.exec(lab.far.ip("-o link show v1"))![1]);
    lab.receiving.openUdp(group, { ...JOIN, joinOn, netns: lab.far.path });
    lab.addReceivers(group, GRE, { isGroup: true, device: "v1" }, 4);
    const sender = lab.addSender(near, GRE, { device: "v0" });
    expect(lab.send(sender, group, [greOf([7])])).toEqual([0]);
    expect(lab.receive(1).map(({ bytes }) => [...bytes])).toEqual([[7]]);
    expect(lab.receive(1, 100)).toEqual([]);
  });
});

describe("a group of sockets", () => {
  /** An IPv4 packet of a UDP flow. */
  const flow = (port: number): Uint8Array => {
    const header = Uint8Array.from([0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    return Uint8Array.from([...header, ...udp({ sourcePort: port, src: [10, 0, 0, 1], dst: [10, 0, 0, 2] })]);
  };

  it.each([
    ["GRE", GRE, [0, 0, 8, 0]],
    ["IPIP", IPIP, []],
  ])("has each flow inside %s in one of them, and flows in all", (_, protocol, front) => {
    const ports = lab.addReceivers(FAR4, protocol, { count: 2 }, front.length);
    const sender = lab.addSender(NEAR4, protocol);
    const flows = Array.from({ length: 32 }, (_, i) => Uint8Array.from([...front, ...flow(40000 + i)]));
    for (let round = 0; round < 3; round++) expect(new Set(lab.send(sender, FAR4, flows))).toEqual(new Set([0]));
    const portsOf = new Map<number, Set<number>>();
    const arrived = lab.receive(96);
    expect(arrived).toHaveLength(96);
    for (const { bytes, view } of arrived) {
      const key = new DataView(bytes.buffer).getUint16(20);
      portsOf.set(key, (portsOf.get(key) ?? new Set()).add(view.port));
    }
    expect([...portsOf.values()].map((seen) => seen.size)).toEqual(new Array(32).fill(1));
    expect(new Set([...portsOf.values()].flatMap((seen) => [...seen]))).toEqual(new Set(ports));
  });
});
