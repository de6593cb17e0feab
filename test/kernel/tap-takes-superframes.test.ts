/**
 * Claim: a superframe that native/coalesce.cc made, written to a TAP with its vnet header, is one packet to the kernel, with
 * or without a short last segment, and the kernel's own segmentation gives back the frames it was made of.
 * Seen on Linux 6.18.
 *
 *   test -> TAP in -- [bridge] -- TAP out -> test            what the kernel makes of it when it leaves the host again
 *   test -> TAP in -- [192.0.2.2, 2001:db8::2] program       what an application gets
 */
import { createHash } from "node:crypto";
import { readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VNET_HEADER_BYTES } from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { merge, type Unit } from "../native/merge.ts";
import {
  type FlowFields,
  MAC_A,
  MAC_B,
  TCP_ACK,
  TCP_SYN,
  type TcpFields,
  tcpFrame,
  udpFrame,
} from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { waitFor } from "../support/wait-for.ts";

const NEEDS_CSUM = 1;
const FIN = 0x01;
const PSH = 0x08;
const MSS = 1398;
const MTU = 1500;
const TCP_PORT = 5001;
const UDP_PORT = 9999;
const TIMESTAMPS = Uint8Array.from([1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9]);

const STATIONS = { dst: MAC_B, src: MAC_A, srcPort: 40000, dstPort: TCP_PORT } as const;
const IPV4 = { ...STATIONS, srcIp: "192.0.2.1", dstIp: "192.0.2.2" };
const IPV6 = { ...STATIONS, srcIp: "2001:db8::1", dstIp: "2001:db8::2" };

const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
const stream = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13) & 0xff);

/** Segments of at most `size` bytes; `flags` beside ACK on the last. */
const segments = (fields: FlowFields & Partial<TcpFields>, data: Uint8Array, size: number, flags = 0): Uint8Array[] =>
  Array.from({ length: Math.ceil(data.length / size) }, (_, i) => {
    const payload = data.subarray(i * size, (i + 1) * size);
    const isLast = (i + 1) * size >= data.length;
    const seq = (fields.seq ?? 1000) + i * size;
    return plain(
      tcpFrame({ ...fields, id: (65534 + i) & 0xffff, seq, payload, flags: TCP_ACK | (isLast ? flags : 0) }),
    );
  });
const datagrams = (fields: FlowFields, data: Uint8Array, size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(data.length / size) }, (_, i) =>
    plain(udpFrame({ ...fields, dstPort: UDP_PORT, id: 100 + i, payload: data.subarray(i * size, (i + 1) * size) })),
  );

/** A unit as it is written: vnet header, all zero for a lone frame, and bytes. Node has no writev without promises. */
const withVnetHeader = (unit: Unit): Uint8Array => {
  const bytes = new Uint8Array(VNET_HEADER_BYTES + unit.bytes.length);
  bytes.set(unit.bytes, VNET_HEADER_BYTES);
  bytes[0] = unit.segments > 1 ? NEEDS_CSUM : 0;
  bytes[1] = unit.gsoType;
  new Uint16Array(bytes.buffer, 2, 4).set([unit.headerLength, unit.gsoSize, unit.csumStart, unit.csumOffset]);
  return bytes;
};
const writeUnit = (fd: number, unit: Unit): void => {
  const bytes = withVnetHeader(unit);
  expect(writeSync(fd, bytes)).toBe(bytes.length);
};

/** The next frame of a TAP for which `fits` holds, undefined when there is none now. */
const readFrame = (fd: number, fits: (bytes: Uint8Array) => boolean = () => true): Uint8Array | undefined => {
  const buffer = new Uint8Array(VNET_HEADER_BYTES + 65536 + 64);
  for (;;) {
    try {
      const bytes = buffer.slice(0, readSync(fd, buffer));
      if (fits(bytes)) return bytes;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return undefined;
      throw error;
    }
  }
};

let lab: Lab;
let host: Host;
let fds: number[];
beforeEach(() => {
  lab = Lab.create();
  host = lab.host("kernel");
  fds = [];
});
afterEach(async () => {
  for (const fd of fds) addon.closeFd(fd);
  await lab.close();
});

const openTap = (name: string, vnetHeader: boolean, offload: "none" | "uso"): number => {
  const options = { name, kind: "tap", queues: 1, vnetHeader, offload, up: false, netns: host.path } as const;
  const fd = addon.openTap(options).fds[0]!;
  fds.push(fd);
  // No neighbour or multicast messages of its own.
  host.ip("link", "set", name, "addrgenmode", "none");
  host.ip("link", "set", name, "up");
  return fd;
};

const TRAFFIC: [string, Uint8Array[]][] = [
  ["TCP over IPv4", segments({ ...IPV4, options: TIMESTAMPS }, stream(40 * MSS), MSS)],
  ["TCP over IPv6", segments({ ...IPV6, options: TIMESTAMPS }, stream(40 * MSS), MSS)],
  ["TCP over IPv4 with a tail of one byte", segments(IPV4, stream(3 * MSS + 1), MSS, FIN | PSH)],
  ["TCP over IPv6 with a tail of one byte", segments(IPV6, stream(3 * MSS + 1), MSS, FIN | PSH)],
  ["TCP in packets that may be fragmented", segments({ ...IPV4, dontFragment: false }, stream(3 * MSS), MSS, PSH)],
  ["TCP behind a VLAN tag", segments({ ...IPV4, vlans: [5] }, stream(4 * MSS + 7), MSS)],
  ["TCP over IPv6 behind a VLAN tag", segments({ ...IPV6, vlans: [5] }, stream(4 * MSS + 7), MSS)],
  ["TCP of 64 segments of 40 bytes", segments(IPV4, stream(64 * 40), 40)],
  ["UDP over IPv4", datagrams(IPV4, stream(40 * MSS), MSS)],
  ["UDP over IPv6", datagrams(IPV6, stream(40 * MSS), MSS)],
  ["UDP over IPv4 with a tail of one byte", datagrams(IPV4, stream(3 * MSS + 1), MSS)],
  ["UDP over IPv6 with a tail of one byte", datagrams(IPV6, stream(3 * MSS + 1), MSS)],
  ["UDP of 64 datagrams of 40 bytes", datagrams(IPV4, stream(64 * 40), 40)],
];

describe("a superframe that crosses a bridge", () => {
  /** Ports `in` and `out` of a bridge; returns what to write to and what to read from. */
  const bridged = (outVnetHeader: boolean, offload: "none" | "uso"): [number, number] => {
    const input = openTap("in", true, "none");
    const output = openTap("out", outVnetHeader, offload);
    host.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0");
    host.ip("link", "set", "br0", "addrgenmode", "none");
    for (const name of ["in", "out"]) host.ip("link", "set", name, "master", "br0");
    host.ip("link", "set", "br0", "up");
    return [input, output];
  };

  it.each(TRAFFIC)("leaves by a port without offloads as the frames it was made of: %s", async (_, frames) => {
    const [input, output] = bridged(false, "none");
    const units = merge(frames);
    expect(units).toHaveLength(1);
    writeUnit(input, units[0]!);
    const received: Uint8Array[] = [];
    await waitFor(
      () => {
        for (let frame = readFrame(output); frame !== undefined; frame = readFrame(output)) received.push(frame);
        return received.length >= frames.length;
      },
      { what: () => `${frames.length} frames, got ${received.length}` },
    );
    expect(received).toEqual(frames);
  });

  it.each(TRAFFIC)("leaves by a port with segmentation offload as one: %s", async (_, frames) => {
    const [input, output] = bridged(true, "uso");
    const [unit] = merge(frames);
    writeUnit(input, unit!);
    const received = await waitFor(() => readFrame(output), { what: "the superframe" });
    // hdr_len is how much lies in one piece in the kernel's memory, which is its own affair.
    received!.fill(0, 2, 4);
    expect(received).toEqual(withVnetHeader({ ...unit!, headerLength: 0 }));
    expect(received!.length).toBeGreaterThan(MTU);
    expect(readFrame(output)).toBeUndefined();
  });
});

describe("a superframe to the host itself", () => {
  const LOADER = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
  const RECEIVER = fileURLToPath(new URL("../support/transfer-child.ts", import.meta.url));
  const L4 = { [IPV4.srcIp]: 34, [IPV6.srcIp]: 54 } as const;

  let tap: number;
  beforeEach(() => {
    tap = openTap("vx1", true, "none");
    host.ip("link", "set", "vx1", "address", MAC_B);
    host.address("vx1", `${IPV4.dstIp}/24`);
    host.address("vx1", `${IPV6.dstIp}/64`);
    for (const { srcIp } of [IPV4, IPV6]) {
      host.ip("neigh", "add", srcIp, "lladdr", MAC_A, "dev", "vx1", "nud", "permanent");
    }
  });

  /** The next TCP header that the host sends to us. */
  const receiveTcp = (fields: FlowFields): Promise<DataView> =>
    waitFor(
      () => {
        const at = VNET_HEADER_BYTES + L4[fields.srcIp]!;
        const isOurs = (bytes: Uint8Array): boolean =>
          bytes.length >= at + 20 && new DataView(bytes.buffer).getUint16(at) === TCP_PORT;
        const bytes = readFrame(tap, isOurs);
        return bytes === undefined ? undefined : new DataView(bytes.buffer, at);
      },
      { what: "an answer of the host's TCP" },
    ) as Promise<DataView>;

  it.each([
    ["IPv4", IPV4, 0],
    ["IPv4 with a short tail", IPV4, 333],
    ["IPv6", IPV6, 0],
    ["IPv6 with a short tail", IPV6, 333],
  ])("is taken by its TCP: %s", async (_, fields, tail) => {
    const args = ["--import", LOADER, RECEIVER, "receive", fields.dstIp, String(TCP_PORT)];
    const receiver = host.spawn(process.execPath, args);
    await receiver.waitForOutput(/listening/);

    writeUnit(tap, merge([tcpFrame({ ...fields, seq: 999, ack: 0, flags: TCP_SYN })])[0]!);
    const answer = await receiveTcp(fields);
    expect([answer.getUint32(8), answer.getUint8(13)]).toEqual([1000, TCP_SYN | TCP_ACK]);
    const ack = (answer.getUint32(4) + 1) >>> 0;

    // Ten segments are what a new connection may send.
    const data = stream(10 * MSS + tail);
    const units = merge(segments({ ...fields, seq: 1000, ack }, data, MSS, FIN | PSH));
    expect(units).toHaveLength(1);
    writeUnit(tap, units[0]!);
    const [, hash] = await receiver.waitForOutput(/sha256 (\w+)/);
    expect(hash).toBe(createHash("sha256").update(data).digest("hex"));
    // FIN counts as a byte. One packet: nothing before was acknowledged by itself.
    expect((await receiveTcp(fields)).getUint32(8)).toBe(1000 + data.length + 1);
  });

  it.each([
    ["IPv4", IPV4, 0],
    ["IPv4 with a short tail", IPV4, 333],
    ["IPv6", IPV6, 0],
    ["IPv6 with a short tail", IPV6, 333],
  ])("reaches a UDP socket datagram by datagram: %s", async (_, fields, tail) => {
    const receiver = await RawVtep.start(host, { address: fields.dstIp, port: UDP_PORT });
    const data = stream(10 * MSS + tail);
    const units = merge(datagrams(fields, data, MSS));
    expect(units).toHaveLength(1);
    writeUnit(tap, units[0]!);
    const count = Math.ceil(data.length / MSS);
    await waitFor(() => receiver.received().length >= count, { what: `${count} datagrams` });
    const payloads = Array.from({ length: count }, (_, i) => Buffer.from(data.subarray(i * MSS, (i + 1) * MSS)));
    expect(receiver.received().map(({ bytes }) => bytes)).toEqual(payloads);
  });
});
