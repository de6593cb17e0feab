/**
 * Superframes in GRE, IPIP and SIT out of an uplink: the kernel of `near` forwards and cuts them, and what arrives at `far` is
 * byte for byte what we would have cut ourselves.
 */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  FLAG_IP_PACKET,
  FLAG_IPV6,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_HEADERS,
  PORT_UPLINK,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { underlayHeaders } from "../../src/wire/underlay-headers.ts";
import { CarrierLab, FAR4, GRE, NEAR4 } from "./carrier-lab.ts";
import { ETHERNET_IN_GRE, greHeader } from "./gre-header.ts";
import { OffloadTool } from "./offload-tool.ts";
import { wordsOf } from "./segment-lab.ts";
import { type Superframe, type SuperframeFields, superframe } from "./superframes.ts";

const UPLINK = 100;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);
const GSO_SIZE = 1000;
const EINVAL = 22;
const ETHERNET = 14;
const [IPV4_IN_GRE, IPV6_IN_GRE] = [0x0800, 0x86dd];
const [IPIP, SIT] = [4, 41];

const gre = (etherType: number, key?: number): Uint8Array =>
  greHeader(key === undefined ? { etherType } : { etherType, key });
const NOTHING = new Uint8Array(0);

let lab: CarrierLab;
let tool: OffloadTool;
let program: number;
const receiving = new Set<number>();
beforeAll(() => {
  tool = new OffloadTool();
  lab = new CarrierLab();
  const { near, far, sending } = lab;
  const { fds } = sending.openTap({ name: "up0", offload: "tunnel", macAddress: MAC, netns: near.path, up: false });
  const run = (command: string): void =>
    void execFileSync("ip", ["netns", "exec", near.name, "sh", "-c", command], { stdio: "pipe" });
  run("for key in forwarding=1 accept_local=1 rp_filter=0; do sysctl -qw net.ipv4.conf.up0.$key; done");
  near.upInSilence("up0");
  run("ethtool -K v0 tx off tso off gso off");
  execFileSync("ip", ["netns", "exec", far.name, "ethtool", "-K", "v1", "gro", "off"]);
  program = addon.attachTunnelProgram({ device: "up0", netns: near.path });
  sending.io.add(UPLINK, fds[0]!, PORT_UPLINK, 0, 0);
});
afterAll(async () => {
  addon.closeFd(program);
  await tool.close();
  lab.close();
});

const send = (protocol: number, header: Uint8Array, frame: Uint8Array, words: Record<number, number>): number[] => {
  if (!receiving.has(protocol)) lab.addReceivers(FAR4, protocol);
  receiving.add(protocol);
  const [src, dst] = [Uint8Array.from(NEAR4), Uint8Array.from(FAR4)];
  const outer = underlayHeaders({ dstMac: MAC, srcMac: MAC, src, dst, protocol, dstPort: 0, ttl: 65 });
  return lab.send(UPLINK, FAR4, [{ frame, words, template: Buffer.concat([outer, header]) }]);
};

/** The IP packet in it, as a TUN reads it. */
const packetOf = (frame: Superframe): { bytes: Uint8Array; words: Record<number, number> } => {
  const words = wordsOf(frame, GSO_SIZE);
  const isIpv6 = frame.bytes[ETHERNET]! >> 4 === 6;
  return {
    bytes: frame.bytes.subarray(ETHERNET),
    words: {
      ...words,
      [FRAME_FLAGS]: words[FRAME_FLAGS]! | FLAG_IP_PACKET | (isIpv6 ? FLAG_IPV6 : 0),
      [FRAME_CSUM]: words[FRAME_CSUM]! - ETHERNET,
      [FRAME_HEADERS]: words[FRAME_HEADERS]! - ETHERNET - (ETHERNET << 16),
    },
  };
};

const SUPERFRAMES: [string, SuperframeFields][] = (["tcp", "udp"] as const).flatMap((protocol) =>
  ([4, 6] as const).map((family): [string, SuperframeFields] => [
    `${protocol} over IPv${family}`,
    { protocol, family, payloadLength: 20_300 },
  ]),
);

describe.skipIf(addon.probeTap().tunnel !== "")("a superframe out of an uplink is cut by the kernel", () => {
  const arrive = async (protocol: number, header: Uint8Array, superframe: Superframe, isPacket: boolean) => {
    const plain = { bytes: superframe.bytes, words: wordsOf(superframe, GSO_SIZE) };
    const { bytes, words } = isPacket ? packetOf(superframe) : plain;
    const expected = await tool.split(superframe.gsoType, GSO_SIZE, bytes, isPacket ? "ip" : "ethernet");
    expect(send(protocol, header, bytes, words)).toEqual([0]);
    const arrived = lab.receive(expected!.length);
    expect(arrived.map((packet) => Buffer.from(packet.bytes))).toEqual(
      expected!.map((segment) => Buffer.concat([header, segment])),
    );
  };

  it.each(SUPERFRAMES)("in GRE, with Ethernet: %s", async (_, fields) => {
    await arrive(GRE, gre(ETHERNET_IN_GRE), superframe(fields), false);
    await arrive(GRE, gre(ETHERNET_IN_GRE, 42), superframe({ ...fields, vlans: [5] }), false);
    await arrive(GRE, gre(ETHERNET_IN_GRE, 42), superframe({ ...fields, vlans: [5, 6] }), false);
  });

  it.each(SUPERFRAMES)("in GRE, an IP packet: %s", async (_, fields) => {
    const etherType = fields.family === 6 ? IPV6_IN_GRE : IPV4_IN_GRE;
    await arrive(GRE, gre(etherType), superframe(fields), true);
    await arrive(GRE, gre(etherType, 42), superframe(fields), true);
  });

  it.each(SUPERFRAMES)("in IP: %s", async (_, fields) => {
    await arrive(fields.family === 6 ? SIT : IPIP, NOTHING, superframe(fields), true);
  });

  it("unless its headers are too long", () => {
    const frame = superframe({ payloadLength: 3000, vlans: [1, 2, 3, 4, 5, 6] });
    expect(send(GRE, gre(ETHERNET_IN_GRE, 42), frame.bytes, wordsOf(frame, GSO_SIZE))).toEqual([EINVAL]);
  });
});
