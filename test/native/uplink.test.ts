/**
 * Packets out of an uplink: near writes them, the namespace's stack delivers them to a UDP socket of far's on an address of
 * loopback, and checks the outer checksums on the way.
 */
import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  FLAG_PARTIAL_CSUM,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_FLOW_HASH,
  FRAME_GSO,
  FRAME_HEADERS,
  PORT_UDP_RX,
  PORT_UPLINK,
} from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { PROTOCOL_UDP, underlayHeaderBytes, underlayHeaders } from "../../src/wire/underlay-headers.ts";
import { writeVxlan } from "../../src/wire/vxlan.ts";
import { SegmentLab, wordsOf } from "./segment-lab.ts";
import { superframe } from "./superframes.ts";

const [EINVAL, EIO, EBADFD, EMSGSIZE] = [22, 5, 77, 90];
const ADDRESS = [192, 0, 2, 9];
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 9);
const VNI = 42;
const UPLINK = 1;
const RECEIVER = 2;
const TEMPLATE_LENGTH = 50;
const FRAME = superframe({ payloadLength: 100 }).bytes;

describe.skipIf(addon.probeTap().tunnel !== "")("an uplink", () => {
  let lab: SegmentLab;
  beforeEach(() => {
    lab = new SegmentLab();
    lab.netns.ip("addr add 192.0.2.9/32 dev lo");
    const [fd] = lab.near.openTap({ name: "up0", offload: "tunnel", macAddress: MAC, netns: lab.netns.path }).fds;
    const sysctls = "for key in forwarding=1 accept_local=1 rp_filter=0; do sysctl -qw net.ipv4.conf.up0.$key; done";
    execFileSync("ip", ["netns", "exec", lab.netns.name, "sh", "-c", sysctls]);
    lab.near.io.add(UPLINK, fd!, PORT_UPLINK, 0, 0);
    const socket = lab.far.openUdp(ADDRESS, { netns: lab.netns.path, receiveInfo: true });
    lab.far.io.add(RECEIVER, socket, PORT_UDP_RX, 8, 0);
    const address = Uint8Array.from(ADDRESS);
    const dstPort = addon.udpPort(socket);
    const protocol = PROTOCOL_UDP;
    const { templates } = lab.near.memory;
    templates.set(
      underlayHeaders({ dstMac: MAC, srcMac: MAC, src: address, dst: address, protocol, dstPort, ttl: 65 }),
    );
    writeVxlan(templates, underlayHeaderBytes(protocol), VNI);
  });
  afterEach(() => lab.close());

  const send = (frames: number, templateLength = TEMPLATE_LENGTH): number[] => {
    for (let i = 0; i < frames; i++) lab.near.putAction(i, { port: UPLINK, frame: i, template: 0, templateLength });
    lab.near.io.send(frames);
    return Array.from({ length: frames }, (_, i) => lab.near.result(i));
  };

  it("puts headers with right checksums before frames of any length and content", () => {
    const frames = fc.array(fc.uint8Array({ minLength: 14, maxLength: 3000 }), { minLength: 1, maxLength: 16 });
    fc.assert(
      fc.property(frames, (sent) => {
        for (const [i, bytes] of sent.entries()) lab.near.putFrame(i, bytes);
        expect(send(sent.length)).toEqual(sent.map(() => 0));
        const received = lab.receiveAll();
        expect(received.map(({ header }) => [...header])).toEqual(sent.map(() => [8, 0, 0, 0, 0, 0, VNI, 0]));
        expect(received.every(({ bytes }, i) => Buffer.compare(bytes, sent[i]!) === 0)).toBe(true);
      }),
      { numRuns: 50 },
    );
    expect(lab.netns.counter("UdpInCsumErrors")).toBe(0);
  });

  it("leaves open inner checksums open, and counts them into the outer one", () => {
    for (const [i, payloadLength] of [0, 1, 2, 701, 1398].entries()) {
      const frame = superframe({ payloadLength });
      lab.near.putFrame(i, frame.bytes, { ...wordsOf(frame, 0), [FRAME_GSO]: 0 });
    }
    expect(send(5)).toEqual([0, 0, 0, 0, 0]);
    const sent = [0, 1, 2, 3, 4].map((i) => Buffer.from(lab.near.frameBytes(i)));
    expect(lab.receiveAll().map(({ bytes }) => Buffer.from(bytes))).toEqual(sent);
    expect(lab.netns.counter("UdpInCsumErrors")).toBe(0);
  });

  it.each(["tcp", "udp"] as const)("takes %s superframes, over IPv4 and IPv6", (protocol) => {
    const frames = ([4, 6] as const).map((family) => superframe({ family, protocol, payloadLength: 30_000 }));
    for (const [i, frame] of frames.entries()) lab.near.putFrame(i, frame.bytes, wordsOf(frame, 1000));
    expect(send(2)).toEqual([0, 0]);
  });

  it("has a source port for each flow, in the last quarter", () => {
    const hashes = [0, 1, -1, 0x12345678];
    for (const [i, hash] of hashes.entries()) lab.near.putFrame(i, FRAME, { [FRAME_FLOW_HASH]: hash });
    expect(send(4)).toEqual([0, 0, 0, 0]);
    expect(lab.receiveAll().map(({ view }) => view.sourcePort)).toEqual(hashes.map((hash) => 0xc000 | (hash & 0x3fff)));
  });

  it("refuses what it cannot describe, and sends the others", () => {
    const frame = superframe({ payloadLength: 3000 });
    const words = wordsOf(frame, 1000);
    lab.near.putFrame(0, frame.bytes, { ...words, [FRAME_CSUM]: frame.bytes.length | (16 << 16) });
    lab.near.putFrame(1, frame.bytes, { ...words, [FRAME_CSUM]: (frame.transportOffset + 1) | (16 << 16) });
    lab.near.putFrame(2, frame.bytes, { ...words, [FRAME_HEADERS]: 0 });
    lab.near.putFrame(3, frame.bytes, { ...words, [FRAME_HEADERS]: frame.bytes.length + 1 });
    lab.near.putFrame(4, frame.bytes, { [FRAME_GSO]: words[FRAME_GSO]! });
    lab.near.putFrame(5, new Uint8Array(65_500));
    lab.near.putFrame(6, FRAME);
    expect(send(7)).toEqual([EINVAL, EINVAL, EINVAL, EINVAL, EINVAL, EMSGSIZE, 0]);
    expect(lab.receiveAll()).toHaveLength(1);
    lab.near.putFrame(0, FRAME, { [FRAME_FLAGS]: FLAG_PARTIAL_CSUM, [FRAME_CSUM]: 0xffff });
    expect(send(1)).toEqual([EINVAL]);
  });

  it.each([0, 41, 51, 66])("refuses %i bytes of headers", (length) => {
    lab.near.putFrame(0, FRAME);
    expect(send(1, length)).toEqual([EINVAL]);
  });

  it("that is down loses frames; one that was deleted is reported", () => {
    lab.near.putFrame(0, FRAME);
    lab.netns.ip("link set up0 down");
    expect(send(1)).toEqual([EIO]);
    lab.netns.ip("link set up0 up");
    expect(send(1)).toEqual([0]);
    lab.netns.ip("link delete up0");
    expect(send(1)).toEqual([EBADFD]);
    expect(lab.near.io.takeGone()).toEqual([UPLINK]);
    expect(send(1)).toEqual([EBADFD]);
  });
});
