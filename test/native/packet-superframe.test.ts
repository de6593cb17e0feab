/** Packets that the receiving kernel has merged inside their tunnel: superframes that can be cut into what was sent. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  FLAG_BAD_OUTER_CSUM,
  FLAG_IP_PACKET,
  FLAG_PARTIAL_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  HEADER_PAYLOAD_IP,
  OUTER_GRE_CHECKSUM,
} from "../../src/binding/abi.ts";
import { type Arrived, CarrierLab, FAR4, FAR6, GRE, NEAR4, NEAR6 } from "./carrier-lab.ts";
import { IPV4_TYPE, IPV6_TYPE } from "./frame-bytes.ts";
import { CHECKED_GRE_LAYOUT, ETHERNET_IN_GRE, greHeader } from "./gre-header.ts";
import { OffloadTool } from "./offload-tool.ts";
import { wordsOf } from "./segment-lab.ts";
import { superframe } from "./superframes.ts";

const GSO_SIZE = 1000;
const PAYLOAD_LENGTH = 9500;
const SEGMENTS = 10;
const ETHERNET = 14;
const [IPIP, SIT] = [4, 41];

interface Tunnel {
  readonly outer: 4 | 6;
  readonly protocol: number;
  readonly template: Uint8Array;
  readonly inner: 4 | 6;
  readonly kind: "ethernet" | "ip";
}
const gre = (outer: 4 | 6, inner: 4 | 6, kind: Tunnel["kind"], fields = {}): Tunnel => {
  const etherType = kind === "ethernet" ? ETHERNET_IN_GRE : inner === 4 ? IPV4_TYPE : IPV6_TYPE;
  return { outer, protocol: GRE, template: greHeader({ etherType, ...fields }), inner, kind };
};
const ip = (outer: 4 | 6, inner: 4 | 6): Tunnel => {
  return { outer, protocol: inner === 4 ? IPIP : SIT, template: new Uint8Array(0), inner, kind: "ip" };
};

const TUNNELS: [string, Tunnel][] = [
  ["frames in GRE over IPv4", gre(4, 4, "ethernet")],
  ["frames in GRE with a key", gre(4, 6, "ethernet", { key: 42 })],
  ["frames in GRE with a checksum", gre(4, 4, "ethernet", { checksum: 0 })],
  ["frames in GRE over IPv6", gre(6, 4, "ethernet")],
  ["packets in GRE over IPv4", gre(4, 4, "ip")],
  ["packets in GRE over IPv6", gre(6, 6, "ip")],
  ["IPv4 in IPv4", ip(4, 4)],
  ["IPv6 in IPv4", ip(4, 6)],
  ["IPv6 in IPv6", ip(6, 6)],
  ["IPv4 in IPv6", ip(6, 4)],
];

let lab: CarrierLab;
let tool: OffloadTool;
beforeAll(() => {
  tool = new OffloadTool();
});
afterAll(() => tool.close());
beforeEach(() => {
  lab = new CarrierLab();
  lab.mergeAtFar();
});
afterEach(() => lab.close());

/** The frame, and its descriptor's words, as a TAP or a TUN would have read it. */
const superframeOf = ({ inner, kind }: Tunnel): { frame: Uint8Array; words: Record<number, number>; type: number } => {
  const whole = superframe({ family: inner, payloadLength: PAYLOAD_LENGTH });
  const start = kind === "ethernet" ? 0 : ETHERNET;
  const { transportOffset, headerLength, ipOffset } = whole;
  const moved = {
    ...whole,
    transportOffset: transportOffset - start,
    headerLength: headerLength - start,
    ipOffset: ipOffset - start,
  };
  const words = wordsOf(moved, GSO_SIZE);
  words[FRAME_FLAGS]! |= kind === "ip" ? FLAG_IP_PACKET : 0;
  return { frame: Uint8Array.from(whole.bytes.subarray(start)), words, type: whole.gsoType };
};

const receiveSegments = (count: number): Arrived[] => {
  const all: Arrived[] = [];
  for (let segments = 0; segments < count; ) {
    const arrived = lab.receive(1);
    if (arrived.length === 0) break;
    all.push(...arrived);
    for (const { view } of arrived) segments += view.segments;
  }
  return all;
};

describe("segments of a flow", () => {
  it.each(TUNNELS)("arrive merged, and can be cut again: %s", async (_, tunnel) => {
    const { outer, protocol, template, kind } = tunnel;
    lab.addReceivers(
      outer === 4 ? FAR4 : FAR6,
      protocol,
      {},
      protocol === GRE ? CHECKED_GRE_LAYOUT : HEADER_PAYLOAD_IP,
    );
    const sender = lab.addSender(outer === 4 ? NEAR4 : NEAR6, protocol);
    const { frame, words, type } = superframeOf(tunnel);
    const sent = await tool.split(type, GSO_SIZE, frame, kind);
    expect(sent).toHaveLength(SEGMENTS);

    const checksum = (template[0] ?? 0) & 0x80 ? OUTER_GRE_CHECKSUM : 0;
    const destination = outer === 4 ? FAR4 : FAR6;
    expect(lab.send(sender, destination, [{ frame, words, template, outer: checksum }])).toEqual([0]);
    const arrived = receiveSegments(SEGMENTS);
    // All in one, but where the clock of the kernel ticks in between.
    expect(arrived.length).toBeLessThan(SEGMENTS);
    const cut = await Promise.all(
      arrived.map(async ({ view, bytes }) =>
        view.gso === 0 ? [bytes] : await tool.split(view.gso >> 16, view.gso & 0xffff, bytes, kind),
      ),
    );
    expect(cut.flat().map((bytes) => Buffer.from(bytes!))).toEqual(sent?.map((bytes) => Buffer.from(bytes)));
    const [first] = arrived.filter(({ view }) => view.gso !== 0);
    expect(first!.view.gso).toBe(words[FRAME_GSO]);
    expect(first!.view.headers).toBe(words[FRAME_HEADERS]);
    expect(first!.view.flags & (FLAG_PARTIAL_CSUM | FLAG_BAD_OUTER_CSUM)).toBe(FLAG_PARTIAL_CSUM);
  });
});
