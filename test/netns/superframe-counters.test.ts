/**
 * Counters count frames as they are on the wire, however many the kernel hands over at once.
 *
 *   left (ov0 10.42.0.1)                               right (ov0 10.42.0.2)
 *     vtepd --- eth0 192.0.2.1 === 192.0.2.2 eth0 --- vtepd or kernel
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

const TRANSFER_BYTES = 5_000_000;
/** Outer IPv4, UDP and VXLAN; a veth does not count its Ethernet header. */
const ENCAPSULATION_BYTES = 20 + 8 + 8;
/** Neighbour discovery of the underlay during a transfer, in frames and bytes. */
const OTHER_FRAMES = 6;
const OTHER_BYTES = OTHER_FRAMES * 60;
/** Segments that carry a transfer over an MTU of 1450, with TCP timestamps, if all are full. */
const SEGMENTS = Math.ceil(TRANSFER_BYTES / (1450 - 52));

interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

let lab: Lab;
afterEach(() => lab.close());

const build = async (mode: WireMode, isKernel: boolean) => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const start = (host: Host, own: number): Promise<RunningDaemon> =>
    RunningDaemon.start(
      host,
      `{ ov0: { mode: vxlan, id: 42, local: 192.0.2.${own}, remote: 192.0.2.${3 - own}, addresses: [10.42.0.${own}/24] } }`,
    );
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  const near = await start(left, 1);
  if (!isKernel) return { left, right, near, far: await start(right, 2) };
  const ends = ["local", "192.0.2.2", "remote", "192.0.2.1", "dev", "eth0"];
  right.ip("link", "add", "ov0", "type", "vxlan", "id", "42", "dstport", "4789", ...ends);
  right.address("ov0", "10.42.0.2/24");
  return { left, right, near, far: undefined };
};

const ofDevice = (host: Host, dev: string): { rx: Traffic; tx: Traffic } =>
  host.ipJson("-statistics", "link", "show", dev)[0].stats64;
const ofLink = (daemon: RunningDaemon): { rx: Traffic; tx: Traffic } => daemon.stats().links[0]!;

const minus = (a: Traffic, b: Traffic): Traffic => ({ packets: a.packets - b.packets, bytes: a.bytes - b.bytes });

describe("over a wire", () => {
  it("the sender's segments, the receiver's merged frames and the datagrams between are as many", async () => {
    const { left, right, near, far } = await build("wire-like", false);
    left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]);
    const read = () => ({ sent: ofLink(near).tx, received: ofLink(far!).rx, wire: ofDevice(left, "eth0").tx });
    const before = read();
    const { sent, received } = await transfer(left, right, "10.42.0.2", TRANSFER_BYTES);
    expect(received).toBe(sent);
    await waitFor(() => ofLink(near).tx.packets === ofLink(far!).rx.packets, { what: "the last acknowledgement" });
    const after = read();
    const frames = minus(after.sent, before.sent);
    expect(frames.packets).toBeGreaterThanOrEqual(SEGMENTS);
    expect(minus(after.received, before.received)).toEqual(frames);
    const wire = minus(after.wire, before.wire);
    expect(wire.packets - frames.packets).toBeGreaterThanOrEqual(0);
    expect(wire.packets - frames.packets).toBeLessThanOrEqual(OTHER_FRAMES);
    const overhead = wire.bytes - frames.bytes - frames.packets * ENCAPSULATION_BYTES;
    expect(overhead).toBeGreaterThanOrEqual(0);
    expect(overhead).toBeLessThanOrEqual(OTHER_BYTES);
    // The remote VTEP's counters are the link's, as there is only one.
    const remote = near.stats().links[0]!.remotes[0]!;
    expect(remote.tx).toEqual(ofLink(near).tx);
  });
});

describe("from the kernel's vxlan", () => {
  it.each(["wire-like", "virtual"] as const)("segments are counted over a %s underlay", async (mode) => {
    const { left, right, near } = await build(mode, true);
    right.run("ping", ["-c", "1", "-W", "5", "10.42.0.1"]);
    const before = ofLink(near).rx;
    const { sent, received } = await transfer(right, left, "10.42.0.1", TRANSFER_BYTES);
    expect(received).toBe(sent);
    const frames = minus(ofLink(near).rx, before);
    expect(frames.packets).toBeGreaterThanOrEqual(SEGMENTS);
    // What is not full: the end of each write, the acknowledgements and the ends of the connection.
    expect(frames.packets).toBeLessThan(1.2 * SEGMENTS);
    const headers = frames.bytes - TRANSFER_BYTES;
    expect(headers / frames.packets).toBeGreaterThan(14 + 40);
    expect(headers / frames.packets).toBeLessThan(14 + 60 + 14);
  });
});
