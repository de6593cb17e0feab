/**
 * What is wrong with a packet, and under which name it is counted: crafted packets for a tunnel of vtepd's.
 *
 *   left: vtepd, ov0 10.42.0.1 (GRE, key 42) --- eth0 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2: right, sends
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { ETHERTYPE_IPV4, ipPacket, onesComplementSum } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sendPackets } from "../support/raw-packets.ts";
import { waitFor } from "../support/wait-for.ts";

const GRE = 47;
const CHECKSUM = 0x80;
const ROUTING = 0x40;
const KEY = 0x20;
const DESTINATION_OPTIONS = 60;
const NO_NEXT = 59;

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 0);
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::2/64");
});
afterEach(() => lab.close());

const start = async (keys: string, address = "10.42.0.1/24"): Promise<void> => {
  daemon = await RunningDaemon.start(left, `{ ov0: { addresses: ["${address}"], ${keys} } }`);
};
const V4 = "mode: gre, local: 192.0.2.1, remote: 192.0.2.2";
const V6 = 'mode: ip6gre, local: "2001:db8::1", remote: "2001:db8::2"';

const inner = (payload = 64): Uint8Array =>
  ipPacket({ srcIp: "10.42.0.2", dstIp: "10.42.0.9" }, 17, new Uint8Array(payload));

interface Header {
  readonly flags?: number;
  readonly version?: number;
  readonly protocol?: number;
  /** Words behind the first. */
  readonly words?: readonly number[];
}
const gre = (
  { flags = KEY, version = 0, protocol = ETHERTYPE_IPV4, words = [42] }: Header,
  payload = inner(),
): Buffer => {
  const header = Buffer.alloc(4 + 4 * words.length);
  header.writeUInt8(flags, 0);
  header.writeUInt8(version, 1);
  header.writeUInt16BE(protocol, 2);
  for (const [index, word] of words.entries()) header.writeUInt32BE(word >>> 0, 4 + 4 * index);
  return Buffer.concat([header, payload]);
};
const withChecksum = (packet: Buffer): Buffer => {
  packet.writeUInt16BE(~onesComplementSum(packet) & 0xffff, 4);
  return packet;
};
const outer = (payload: Uint8Array): Uint8Array => ipPacket({ srcIp: "192.0.2.2", dstIp: "192.0.2.1" }, GRE, payload);
/** With `words` words of "no operation" behind the header. */
const withOptions = (packet: Uint8Array, words: number): Uint8Array => {
  const header = Buffer.from(packet.subarray(0, 20));
  header[0] = 0x45 + words;
  return Buffer.concat([header, new Uint8Array(4 * words).fill(1), packet.subarray(20)]);
};

/** Packets that came out of the device. */
const delivered = (): number => daemon.stats().links[0]!.rx.packets;
const waitForDelivered = (count: number): Promise<boolean> =>
  waitFor(() => delivered() === count, { what: `${count} packets out of the tunnel` });

const REFUSED: readonly [what: string, payload: Uint8Array, where: "socket" | "decap", reason: string][] = [
  ["two bytes", Uint8Array.of(0x20, 0), "socket", "hdr_trunc"],
  ["a key cut off", gre({}).subarray(0, 6), "socket", "hdr_trunc"],
  ["a checksum cut off", gre({ flags: CHECKSUM | KEY, words: [0] }, new Uint8Array(0)), "socket", "hdr_trunc"],
  ["a wrong checksum", gre({ flags: CHECKSUM | KEY, words: [0x12340000, 42] }), "socket", "gre_csum"],
  ["another key", gre({ words: [43] }), "socket", "no_tunnel"],
  ["no key", gre({ flags: 0, words: [] }), "socket", "no_tunnel"],
  ["the routing bit", gre({ flags: KEY | ROUTING, words: [0, 42] }), "socket", "invalid_hdr"],
  ["strict source route", gre({ flags: KEY | 0x08 }), "socket", "invalid_hdr"],
  ["version 1, PPTP's", gre({ version: 1 }), "socket", "invalid_hdr"],
  ["a protocol that nobody knows", gre({ protocol: 0x880b }), "socket", "unhandled_proto"],
  ["Ethernet inside", gre({ protocol: 0x6558 }), "socket", "no_tunnel"],
  ["less than an IP header inside", gre({}, inner().subarray(0, 12)), "decap", "pkt_too_small"],
  ["no IP inside", gre({}, new Uint8Array(64)), "decap", "unhandled_proto"],
];

describe("a GRE tunnel", () => {
  beforeEach(() => start(`${V4}, key: 42`));

  it.each(REFUSED)("refuses %s", async (_what, payload, where, reason) => {
    sendPackets(right, "192.0.2.1", outer(payload), outer(payload));
    await daemon.waitForDrops(where, { [reason]: 2 });
    expect(daemon.drops(where === "socket" ? "decap" : "socket")).toEqual({});
    expect(delivered()).toBe(0);
    sendPackets(right, "192.0.2.1", outer(gre({})));
    await waitForDelivered(1);
  });

  it("takes a right checksum without having asked for one", async () => {
    sendPackets(right, "192.0.2.1", outer(withChecksum(gre({ flags: CHECKSUM | KEY, words: [0, 42] }))));
    await waitForDelivered(1);
  });

  it.each([1, 10])("skips %i words of options in the outer header", async (words) => {
    sendPackets(right, "192.0.2.1", withOptions(outer(gre({})), words));
    await waitForDelivered(1);
    expect([daemon.drops("socket"), daemon.drops("decap")]).toEqual([{}, {}]);
    expect(daemon.stats().links[0]!.rx.bytes).toBe(inner().length);
  });

  it("puts fragments together, in whatever order they come, and takes no part for the whole", async () => {
    const payload = gre({}, inner(1200));
    const part = (offset: number, end: number, id: number): Uint8Array =>
      ipPacket(
        { srcIp: "192.0.2.2", dstIp: "192.0.2.1", id, fragment: { offset, more: end < payload.length } },
        GRE,
        payload.subarray(offset, end),
      );
    const fragments = (id: number): Uint8Array[] => [
      part(0, 400, id),
      part(400, 800, id),
      part(800, payload.length, id),
    ];
    sendPackets(right, "192.0.2.1", ...fragments(1), ...fragments(2).reverse(), ...fragments(3).slice(0, 2));
    await waitForDelivered(2);
    expect(daemon.stats().links[0]!.rx.bytes).toBe(2 * inner(1200).length);
    expect([daemon.drops("socket"), daemon.drops("decap")]).toEqual([{}, {}]);
  });
});

it("over IPv6, a fragment of one is a packet (RFC 6946), and the tunnel encapsulation limit is skipped", async () => {
  await start(V6);
  const payload = gre({ flags: 0, words: [] });
  const packet = (next: number, extension: Uint8Array): Uint8Array =>
    ipPacket({ srcIp: "2001:db8::2", dstIp: "2001:db8::1" }, next, Buffer.concat([extension, payload]));
  const fragment = Uint8Array.of(GRE, 0, 0, 0, 0, 0, 0, 7);
  const limit = Uint8Array.of(GRE, 0, 4, 1, 3, 1, 1, 0);
  sendPackets(right, "2001:db8::1", packet(44, fragment), packet(DESTINATION_OPTIONS, limit));
  await waitForDelivered(2);
  expect([daemon.drops("socket"), daemon.drops("decap")]).toEqual([{}, {}]);
});

it.each([
  ["gre", "local: 192.0.2.1, remote: 10.42.0.2"],
  ["ipip", "local: 192.0.2.1, remote: 10.42.0.2"],
  ["ip6gre", 'local: "2001:db8::1", remote: "fd42::2"'],
])("a tunnel of mode %s inside itself is refused", async (mode, ends) => {
  const addresses = mode === "ipip" ? "[10.42.0.1/24]" : '[10.42.0.1/24, "fd42::1/64"]';
  const tunnel = `{ ov0: { mode: ${mode}, ${ends}, mtu: 1400, addresses: ${addresses} } }`;
  const { child } = RunningDaemon.launch(left, tunnel);
  expect((await child.exited).code).toBe(2);
  expect(child.stdout + child.stderr).toMatch(/ERR_ROUTE_RECURSION/);
});

describe("the tunnel encapsulation limit of what enters a tunnel over IPv6", () => {
  /** From the host itself into the device. */
  const into = (limit: number): void => {
    const options = Uint8Array.of(NO_NEXT, 0, 4, 1, limit, 1, 1, 0);
    sendPackets(left, "fd42::2", ipPacket({ srcIp: "fd42::1", dstIp: "fd42::2" }, DESTINATION_OPTIONS, options));
  };

  it.each(["ip6gre", "ip6tnl"])("is minded by %s: with 0 the packet may not enter", async (mode) => {
    left.sysctl("net.ipv6.conf.default.router_solicitations", 0);
    await start(V6.replace("ip6gre", mode), "fd42::1/64");
    const sent = daemon.stats().links[0]!.tx.packets;
    into(0);
    into(0);
    await daemon.waitForDrops("encap", { encap_limit: 2 });
    into(1);
    await waitFor(() => daemon.stats().links[0]!.tx.packets > sent, { what: "a packet that may" });
  });
});
