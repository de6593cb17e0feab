/** What a capture takes from a worker: each frame once on each side, with what became of it, and never at the loop's cost. */
import { beforeEach, describe, expect, it } from "vitest";
import { FLAG_TCP, FRAME_GSO, FRAME_HEADER_OFFSET, FRAME_OFFSET, FRAME_SEGMENTS } from "../../src/binding/abi.ts";
import { compileFilter } from "../../src/daemon/filter-expression.ts";
import { BD_VLAN } from "../../src/dataplane/bridge-domain.ts";
import {
  allocateCaptureRing,
  CAPTURE_BD,
  CAPTURE_CAPTURED,
  CAPTURE_HEAD,
  CAPTURE_HEAD_LENGTH,
  CAPTURE_KIND,
  CAPTURE_LENGTH,
  CAPTURE_REASON,
  CAPTURE_REMOTE,
  CAPTURE_SKEW,
  CAPTURED_FROM_DEVICE,
  CAPTURED_RECEIVED,
  CAPTURED_SENT,
  CAPTURED_TO_DEVICE,
  CaptureRing,
  RECORD_WORDS,
} from "../../src/dataplane/capture-ring.ts";
import { type CaptureSetup, LAYER_INNER, LAYER_OUTER } from "../../src/dataplane/capture-tap.ts";
import { VLAN_STRIP } from "../../src/dataplane/vlan-tags.ts";
import { LOCAL_MAC, NO_TX_TARGET, NOT_DROPPED, UNKNOWN_VTEP, VXLAN_VNI_NOT_FOUND } from "../../src/drop-reason.ts";
import { VXLAN_HEADER_BYTES } from "../../src/wire/vxlan.ts";
import { MAC_A, MAC_B, udpFrame } from "../support/frame-builder.ts";
import { MemoryVtep } from "../support/memory-io.ts";

const BOTH: number = LAYER_INNER | LAYER_OUTER;
const DEVICE_MAC = "02:00:00:00:ff:01";

let vtep: MemoryVtep;
let bd: number;
let port: number;
let remote: number;
let ring: CaptureRing;

beforeEach(() => {
  vtep = new MemoryVtep();
  ({ bd, port } = vtep.tunnel(42));
  remote = vtep.remote(bd, "192.0.2.2", 42);
});

const begin = (filter = "", more: Partial<CaptureSetup> = {}): void => {
  const memory = allocateCaptureRing();
  ring = new CaptureRing(memory);
  const program = compileFilter(filter, () => [bd]);
  vtep.forwarder.beginCapture(1, { ring: memory, program, bd: 0, layers: BOTH, snapLength: 65_550, ...more });
};

interface Taken {
  readonly kind: number;
  readonly bd: number;
  readonly reason: number;
  readonly length: number;
  readonly bytes: Buffer;
  readonly head: Buffer;
  readonly remote: number;
}

const taken = (): Taken[] => {
  const records: Taken[] = [];
  ring.drain((record) => {
    const word = (offset: number): number => ring.words[record + offset]!;
    const from = (record + RECORD_WORDS) * 4 + word(CAPTURE_SKEW);
    const head = (record + CAPTURE_HEAD) * 4;
    records.push({
      kind: word(CAPTURE_KIND),
      bd: word(CAPTURE_BD),
      reason: word(CAPTURE_REASON),
      length: word(CAPTURE_LENGTH),
      bytes: Buffer.from(ring.bytes.slice(from, from + word(CAPTURE_CAPTURED))),
      head: Buffer.from(ring.bytes.slice(head, head + word(CAPTURE_HEAD_LENGTH))),
      remote: word(CAPTURE_REMOTE),
    });
  });
  return records;
};

const kinds = (): number[][] => taken().map(({ kind, reason }) => [kind, reason]);

/** A frame of many bytes, each of which tells where it was. */
const frame = (payloadBytes: number, vlans: readonly number[] = []): Uint8Array =>
  udpFrame({
    src: MAC_A,
    dst: MAC_B,
    vlans,
    srcIp: "10.0.0.1",
    dstIp: "10.0.0.2",
    srcPort: 1,
    dstPort: 2,
    payload: Uint8Array.from({ length: payloadBytes }, (_, n) => n * 7),
  });

describe("a capture", () => {
  it("takes what comes from the device and what is sent for it, bytes and header", () => {
    vtep.flood(bd, [remote]);
    begin();
    for (const length of [10, 333, 334, 335, 336, 1400]) {
      const bytes = frame(length);
      vtep.fromTap({ port, dst: MAC_B, bytes }).run();
      const [sent, came] = taken();
      expect([sent!.kind, came!.kind]).toEqual([CAPTURED_SENT, CAPTURED_FROM_DEVICE]);
      expect(came).toMatchObject({ bd, reason: NOT_DROPPED, length: bytes.length, bytes: Buffer.from(bytes) });
      expect(sent).toMatchObject({ bd, remote, bytes: Buffer.from(bytes) });
      expect(sent!.head.toString("hex")).toBe("0800000000002a00");
    }
  });

  it("takes received packets as they were, and what is delivered as it is then", () => {
    vtep.tables.bridgeDomains.set(bd, BD_VLAN, VLAN_STRIP);
    begin();
    const bytes = frame(600, [7]);
    const tunnel = { port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: MAC_A, flags: 128 + 2 + 16 };
    vtep.fromUnderlay({ ...tunnel, bytes });
    const { arena, frames } = vtep.batch;
    const header = frames[FRAME_HEADER_OFFSET]!;
    frames[FRAME_HEADER_OFFSET] = frames[FRAME_OFFSET]! - VXLAN_HEADER_BYTES;
    arena.copyWithin(frames[FRAME_HEADER_OFFSET], header, header + VXLAN_HEADER_BYTES);
    vtep.run();
    const [delivered, received] = taken();
    expect([delivered!.kind, received!.kind]).toEqual([CAPTURED_TO_DEVICE, CAPTURED_RECEIVED]);
    expect(received).toMatchObject({ bd, length: bytes.length + VXLAN_HEADER_BYTES });
    expect(received!.bytes.toString("hex")).toBe(`0800000000002a00${Buffer.from(bytes).toString("hex")}`);
    expect(delivered!.bytes).toEqual(Buffer.from(frame(600)));
  });

  it("says why something was dropped, also what belongs to no tunnel", () => {
    begin();
    const from = { port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: MAC_A };
    vtep
      .fromTap({ port, dst: MAC_B })
      .fromUnderlay({ ...from, vni: 43 })
      .fromUnderlay({ ...from, from: "192.0.2.9" })
      .fromUnderlay({ ...from, src: DEVICE_MAC })
      .run();
    expect(taken().map(({ kind, reason, bd: of }) => [kind, reason, of])).toEqual([
      [CAPTURED_FROM_DEVICE, NO_TX_TARGET, bd],
      [CAPTURED_RECEIVED, VXLAN_VNI_NOT_FOUND, 0],
      [CAPTURED_RECEIVED, UNKNOWN_VTEP, bd],
      [CAPTURED_TO_DEVICE, UNKNOWN_VTEP, bd],
      [CAPTURED_RECEIVED, LOCAL_MAC, bd],
      [CAPTURED_TO_DEVICE, LOCAL_MAC, bd],
    ]);
  });

  it("says which copy the kernel refused", () => {
    vtep.flood(bd, [remote, vtep.remote(bd, "192.0.2.3", 42)]);
    vtep.refuse.set("192.0.2.3", 101);
    begin();
    vtep.fromTap({ port, dst: MAC_B }).run();
    const records = kinds();
    expect(records.filter(([kind]) => kind === CAPTURED_FROM_DEVICE)).toEqual([[CAPTURED_FROM_DEVICE, NOT_DROPPED]]);
    const copies = records.filter(([kind]) => kind === CAPTURED_SENT).map(([, reason]) => reason !== NOT_DROPPED);
    expect(copies.sort()).toEqual([false, true]);
  });

  it("takes only what the filter, the tunnel and the layer say", () => {
    const other = vtep.tunnel(43);
    vtep.flood(bd, [remote]);
    const both = (): void =>
      void vtep
        .fromTap({ port, dst: MAC_B, bytes: frame(20) })
        .fromTap({ port: other.port, dst: MAC_B, bytes: frame(20) })
        .fromTap({ port, dst: MAC_B })
        .run();
    begin("", { bd });
    both();
    expect(taken().map(({ bd: of }) => of)).toEqual([bd, bd, bd, bd]);
    vtep.forwarder.endCapture(1);
    begin("udp port 2", { layers: LAYER_INNER });
    both();
    expect(taken().map(({ kind, bd: of }) => [kind, of])).toEqual([
      [CAPTURED_FROM_DEVICE, bd],
      [CAPTURED_FROM_DEVICE, other.bd],
    ]);
    vtep.forwarder.endCapture(1);
    begin("drop");
    both();
    expect(kinds()).toEqual([[CAPTURED_FROM_DEVICE, NO_TX_TARGET]]);
    vtep.forwarder.endCapture(1);
    begin("outer dst 192.0.2.2");
    both();
    expect(kinds()).toEqual([
      [CAPTURED_SENT, NOT_DROPPED],
      [CAPTURED_SENT, NOT_DROPPED],
    ]);
  });

  it("cuts at the snap length, and tells the whole one", () => {
    begin("", { snapLength: 100 });
    vtep.fromTap({ port, dst: MAC_B, bytes: frame(1000) }).run();
    expect(taken()).toMatchObject([{ length: 1042, bytes: Buffer.from(frame(1000).subarray(0, 100)) }]);
  });

  it("takes a superframe as one", () => {
    vtep.flood(bd, [remote]);
    begin();
    const words = { [FRAME_SEGMENTS]: 3, [FRAME_GSO]: 400 | (1 << 16) };
    vtep.fromTap({ port, dst: MAC_B, bytes: frame(1200), words: { ...words, 3: FLAG_TCP } }).run();
    expect(taken().map(({ length }) => length)).toEqual([1242, 1242]);
  });

  it("loses what finds no room, counts it, and goes on when there is some", () => {
    begin("", { layers: LAYER_INNER });
    const bytes = frame(3900);
    const batch = (): void => {
      for (let n = 0; n < 64; n++) vtep.fromTap({ port, dst: MAC_B, bytes });
      vtep.run();
    };
    for (let n = 0; n < 40; n++) batch();
    expect(ring.lost).toBeGreaterThan(400);
    const before = taken();
    expect(before.length + ring.lost).toBe(40 * 64);
    for (const { bytes: copy } of before) if (!copy.equals(Buffer.from(bytes))) throw new Error("damaged");
    const { lost } = ring;
    for (let n = 0; n < 200; n++) {
      batch();
      for (const { bytes: copy } of taken()) if (!copy.equals(Buffer.from(bytes))) throw new Error("damaged");
    }
    expect(ring.lost).toBe(lost);
  });

  it("is gone without a trace when it ends, and several run side by side", () => {
    begin();
    const first = ring;
    const memory = allocateCaptureRing();
    const program = new Int32Array(0);
    vtep.forwarder.beginCapture(2, { ring: memory, program, bd: 0, layers: LAYER_INNER, snapLength: 64 });
    vtep.fromTap({ port, dst: MAC_B }).run();
    expect(kinds()).toHaveLength(1);
    vtep.forwarder.endCapture(1);
    vtep.fromTap({ port, dst: MAC_B }).run();
    ring = first;
    expect(kinds()).toHaveLength(0);
    ring = new CaptureRing(memory);
    expect(kinds()).toHaveLength(2);
    vtep.forwarder.endCapture(2);
    vtep.fromTap({ port, dst: MAC_B }).run();
    expect(kinds()).toHaveLength(0);
  });
});
