import { describe, expect, it } from "vitest";
import {
  FLAG_FRAGMENT,
  FLAG_IPV4,
  FLAG_IPV6,
  FLAG_PARTIAL_CSUM,
  FLAG_TCP,
  FLAG_UDP,
  FRAME_SEGMENTS,
  GSO_TCPV4,
  GSO_TCPV6,
} from "../../src/binding/abi.ts";
import { BD_ACCEPT_ANY, BD_LEARNING } from "../../src/dataplane/bridge-domain.ts";
import {
  DECAP,
  DROP_COLUMNS,
  LINK_COLUMNS,
  LINK_FDB_FULL,
  LINK_FDB_REMOTE_FULL,
  LINK_LEARNS,
  LINK_MOVES,
  LINK_MOVES_DAMPED,
  LINK_RESERVED_BITS,
  LINK_RX_BYTES,
  LINK_RX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_RX_FRAMES,
} from "../../src/dataplane/counters.ts";
import { FDB_STICKY } from "../../src/dataplane/fdb-memory.ts";
import { UPCALL_FDB_FULL } from "../../src/dataplane/upcall-ring.ts";
import {
  DEV_READY,
  DROP_REASON_COLUMNS,
  FRAG_REASM_TIMEOUT,
  FULL_RING,
  HDR_TRUNC,
  LOCAL_MAC,
  MAC_INVALID_SOURCE,
  PKT_TOO_BIG,
  PKT_TOO_SMALL,
  TX_ERROR,
  UNKNOWN_VTEP,
  VXLAN_ENTRY_EXISTS,
  VXLAN_INVALID_HDR,
  VXLAN_VNI_NOT_FOUND,
} from "../../src/drop-reason.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

const STATION = "02:00:00:00:00:05";

const setUp = (options: Parameters<MemoryVtep["tunnel"]>[1] = {}) => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42, options);
  const first = vtep.remote(bd, "192.0.2.2", 42);
  const second = vtep.remote(bd, "192.0.2.3", 42);
  const frame = { port: vtep.rxPort, from: "192.0.2.2", vni: 42, src: STATION };
  const dropped = (reason: number) => vtep.counters.drop[bd * DROP_COLUMNS + DECAP * DROP_REASON_COLUMNS + reason];
  const droppedOnSocket = (reason: number) => vtep.counters.socket[reason];
  const link = (column: number) => vtep.counters.link[bd * LINK_COLUMNS + column];
  const learnedAt = (mac: string) => {
    const entry = vtep.tables.fdb.find(bd, ...macWords(mac));
    return entry < 0 ? undefined : vtep.tables.fdb.target(entry);
  };
  return { vtep, bd, port, first, second, frame, dropped, droppedOnSocket, link, learnedAt };
};

describe("decap", () => {
  it("delivers to the tunnel's TAP and learns the inner source behind the outer source", () => {
    const { vtep, port, first, frame, link, learnedAt } = setUp();
    expect(vtep.fromUnderlay({ ...frame, length: 100 }).run()).toEqual([{ port, frame: 0 }]);
    expect(learnedAt(STATION)).toBe(first);
    expect([link(LINK_RX_FRAMES), link(LINK_RX_BYTES), link(LINK_LEARNS)]).toEqual([1, 100, 1]);
    expect(vtep.counters.remote[first * REMOTE_COLUMNS + REMOTE_RX_FRAMES]).toBe(1);
  });

  it("sends frames for a learned MAC to that remote VTEP's port, never to the sender's source port", () => {
    const { vtep, port, frame } = setUp();
    vtep.fromUnderlay(frame).run();
    const [sent] = vtep.fromTap({ port, dst: STATION }).run();
    expect(sent?.to).toEqual({ address: "192.0.2.2", port: 4789, vni: 42 });
  });

  it("moves the FDB entry when the MAC appears behind another remote VTEP", () => {
    const { vtep, second, frame, link, learnedAt } = setUp();
    vtep.fromUnderlay(frame).run();
    vtep.fromUnderlay({ ...frame, from: "192.0.2.3" }).run();
    expect(learnedAt(STATION)).toBe(second);
    expect([link(LINK_LEARNS), link(LINK_MOVES)]).toEqual([1, 1]);
  });

  it("uses what it learned from one frame for the next frame of the same batch", () => {
    const { vtep, port, frame } = setUp();
    const sent = vtep.fromUnderlay(frame).fromTap({ port, dst: STATION }).run();
    expect(sent[1]?.to?.address).toBe("192.0.2.2");
  });

  it("learns nothing with learning off", () => {
    const { vtep, frame, learnedAt } = setUp({ learning: false });
    expect(vtep.fromUnderlay(frame).run()).toHaveLength(1);
    expect(learnedAt(STATION)).toBeUndefined();
  });

  it("delivers but does not learn when the tunnel's limit is reached", () => {
    const { vtep, frame, link, learnedAt } = setUp({ limit: 1 });
    const other = { ...frame, src: "02:00:00:00:00:06" };
    expect(vtep.fromUnderlay(frame).fromUnderlay(other).run()).toHaveLength(2);
    expect(learnedAt("02:00:00:00:00:06")).toBeUndefined();
    expect(link(LINK_FDB_FULL)).toBe(1);
  });

  it("delivers but does not learn beyond what one remote VTEP may have, and learns behind others", () => {
    const { vtep, frame, link, learnedAt, second } = setUp({ limitPerRemote: 1 });
    const other = { ...frame, src: "02:00:00:00:00:06" };
    expect(vtep.fromUnderlay(frame).fromUnderlay(other).run()).toHaveLength(2);
    expect(learnedAt("02:00:00:00:00:06")).toBeUndefined();
    expect([link(LINK_FDB_FULL), link(LINK_FDB_REMOTE_FULL)]).toEqual([0, 1]);
    vtep.fromUnderlay({ ...other, from: "192.0.2.3" }).run();
    expect(learnedAt("02:00:00:00:00:06")).toBe(second);
  });

  it("reports a VTEP that cannot be learned from although another has more, now and then", () => {
    const { vtep, bd, frame, link, second } = setUp({ limit: 2, isFair: true });
    const reports: number[][] = [];
    const drain = (): void => vtep.upcalls.drain((record) => reports.push([...record.subarray(0, 3)]));
    for (let n = 0; n < 4; n++) vtep.fromUnderlay({ ...frame, src: `02:00:00:00:01:0${n}` });
    vtep.run();
    drain();
    expect([reports, link(LINK_FDB_FULL)]).toEqual([[], 2]);
    for (const nowMs of [1000, 1001, 1200]) {
      vtep.nowMs = nowMs;
      vtep.fromUnderlay({ ...frame, from: "192.0.2.3", src: "02:00:00:00:02:01" }).run();
    }
    drain();
    const report = [UPCALL_FDB_FULL, bd, second];
    expect([reports, link(LINK_FDB_FULL)]).toEqual([[report, report], 5]);
  });

  it("keeps two VNIs on one socket apart, also with equal MACs", () => {
    const { vtep, port, frame, bd } = setUp();
    const other = vtep.tunnel(43);
    const remote = vtep.remote(other.bd, "192.0.2.2", 43);
    const sent = vtep
      .fromUnderlay(frame)
      .fromUnderlay({ ...frame, vni: 43 })
      .fromUnderlay(frame)
      .run();
    expect(sent.map((copy) => copy.port)).toEqual([port, other.port, port]);
    expect(vtep.tables.fdb.target(vtep.tables.fdb.find(other.bd, ...macWords(STATION)))).toBe(remote);
    expect(vtep.tables.fdb.accounts.learned(bd)).toBe(1);
  });

  it("never forwards from a remote VTEP to a remote VTEP (split horizon)", () => {
    const { vtep, bd, port, first, second, frame } = setUp();
    vtep.flood(bd, [first, second]);
    vtep.tables.fdb.setStatic(bd, ...macWords("02:00:00:00:00:09"), second, 0, 1);
    const broadcast = vtep.fromUnderlay({ ...frame, dst: "ff:ff:ff:ff:ff:ff" }).run();
    const toOther = vtep.fromUnderlay({ ...frame, dst: "02:00:00:00:00:09" }).run();
    expect([...broadcast, ...toOther]).toEqual([
      { port, frame: 0 },
      { port, frame: 0 },
    ]);
  });

  it("accepts a static MAC from its own VTEP although its entry has another UDP port", () => {
    const { vtep, bd, frame, dropped } = setUp();
    const special = vtep.remote(bd, "192.0.2.2", 42, 8472, false);
    vtep.tables.fdb.setStatic(bd, ...macWords(STATION), special, 0, 1);
    expect(vtep.fromUnderlay(frame).run()).toHaveLength(1);
    expect(dropped(VXLAN_ENTRY_EXISTS)).toBe(0);
  });

  it("delivers frames of a sticky MAC from elsewhere and leaves it where it is", () => {
    const { vtep, bd, port, first, frame, dropped, link, learnedAt } = setUp();
    vtep.tables.fdb.setStatic(bd, ...macWords(STATION), first, FDB_STICKY, 1);
    expect(vtep.fromUnderlay({ ...frame, from: "192.0.2.3" }).run()).toEqual([{ port, frame: 0 }]);
    expect(vtep.fromUnderlay(frame).run()).toHaveLength(1);
    expect([dropped(VXLAN_ENTRY_EXISTS), link(LINK_MOVES_DAMPED), learnedAt(STATION)]).toEqual([0, 1, first]);
  });

  it("accepts IPv6 sources", () => {
    const { vtep, bd, port, frame } = setUp();
    vtep.remote(bd, "2001:db8::2", 42);
    expect(vtep.fromUnderlay({ ...frame, from: "2001:db8::2" }).run()).toEqual([{ port, frame: 0 }]);
  });

  it("ignores reserved bits (RFC 7348 section 5), and counts them", () => {
    const { vtep, frame, link } = setUp();
    const header = (bytes: Uint8Array) => bytes.set([0xff, 0xff, 0xff, 0xff]);
    expect(
      vtep
        .fromUnderlay({ ...frame, header })
        .fromUnderlay(frame)
        .run(),
    ).toHaveLength(2);
    expect(link(LINK_RESERVED_BITS)).toBe(1);
  });
});

describe("decap refuses", () => {
  const clearFlags = (bytes: Uint8Array) => bytes.fill(0, 0, 1);
  it.each([
    ["a datagram shorter than the header", { datagramLength: 7, length: -1 }, HDR_TRUNC],
    ["a header without the I flag", { header: clearFlags }, VXLAN_INVALID_HDR],
    ["an unknown VNI", { vni: 4711 }, VXLAN_VNI_NOT_FOUND],
  ])("%s, counted on the socket", (_what, change, reason) => {
    const { vtep, frame, droppedOnSocket } = setUp();
    expect(vtep.fromUnderlay({ ...frame, ...change }).run()).toEqual([]);
    expect(droppedOnSocket(reason)).toBe(1);
    expect(vtep.counters.socket.reduce((sum, count) => sum + count)).toBe(1);
  });

  it.each([
    ["an unknown source VTEP", { from: "198.51.100.7" }, UNKNOWN_VTEP],
    ["a runt inner frame", { length: 13 }, PKT_TOO_SMALL],
    ["a group source MAC", { src: "03:00:00:00:00:05" }, MAC_INVALID_SOURCE],
    ["an all-zeros source MAC", { src: "00:00:00:00:00:00" }, MAC_INVALID_SOURCE],
    ["our own MAC as source: a loop", { src: "02:00:00:00:ff:01" }, LOCAL_MAC],
  ])("%s, counted on the tunnel, and learns nothing", (_what, change, reason) => {
    const { vtep, frame, dropped, link, bd } = setUp();
    expect(vtep.fromUnderlay({ ...frame, ...change }).run()).toEqual([]);
    expect(dropped(reason)).toBe(1);
    expect(vtep.counters.drop.reduce((sum, count) => sum + count)).toBe(1);
    expect([link(LINK_RX_FRAMES), vtep.tables.fdb.accounts.learned(bd)]).toEqual([0, 0]);
  });

  it("a remote VTEP of another tunnel on the same socket", () => {
    const { vtep, frame } = setUp();
    const other = vtep.tunnel(43);
    vtep.remote(other.bd, "192.0.2.9", 43);
    expect(vtep.fromUnderlay({ ...frame, from: "192.0.2.9" }).run()).toEqual([]);
    expect(vtep.fromUnderlay({ ...frame, from: "192.0.2.9", vni: 43 }).run()).toHaveLength(1);
  });

  it("a MAC that has a static entry at another VTEP", () => {
    const { vtep, bd, second, frame, dropped, learnedAt } = setUp();
    vtep.tables.fdb.setStatic(bd, ...macWords(STATION), second, 0, 1);
    expect(vtep.fromUnderlay(frame).run()).toEqual([]);
    expect(dropped(VXLAN_ENTRY_EXISTS)).toBe(1);
    expect(learnedAt(STATION)).toBe(second);
  });

  it("a static MAC from a VTEP that nobody named, also in the first frame, where everybody is accepted and learned", () => {
    const { vtep, bd, second, frame, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_ACCEPT_ANY, 1);
    vtep.tables.fdb.setStatic(bd, ...macWords(STATION), second, 0, 1);
    const strange = { ...frame, from: "198.51.100.7" };
    vtep
      .fromUnderlay(strange)
      .fromUnderlay({ ...strange, src: "02:00:00:00:00:06" })
      .run();
    vtep.upcalls.drain(() => {}); // The stranger gets no slot (unknown-vteps.ts).
    expect(vtep.run()).toHaveLength(1);
    expect(dropped(VXLAN_ENTRY_EXISTS)).toBe(1);
    // The kernel's device looks at nothing when it does not learn.
    vtep.tables.bridgeDomains.set(bd, BD_LEARNING, 0);
    expect(vtep.fromUnderlay(strange).run()).toHaveLength(1);
  });

  it("a frame of no source address, also where everybody is accepted, and tells nobody of it", () => {
    const { vtep, bd, frame, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_ACCEPT_ANY, 1);
    expect(vtep.fromUnderlay({ ...frame, from: "::" }).run()).toEqual([]);
    expect(dropped(UNKNOWN_VTEP)).toBe(1);
  });

  it("packets of which there were only fragments, by their number", () => {
    const { vtep, frame, droppedOnSocket, link } = setUp();
    vtep.fromUnderlay({ ...frame, datagramLength: 0, flags: FLAG_FRAGMENT });
    vtep.batch.frames[FRAME_SEGMENTS] = 3;
    expect(vtep.run()).toEqual([]);
    expect([droppedOnSocket(FRAG_REASM_TIMEOUT), link(LINK_RX_FRAMES)]).toEqual([3, 0]);
  });

  it.each([
    [11, FULL_RING], // EAGAIN
    [5, DEV_READY], // EIO
    [77, DEV_READY], // EBADFD
    [22, TX_ERROR], // EINVAL
  ])("to count a frame as received when the TAP refuses it (errno %i)", (errno, reason) => {
    const { vtep, port, frame, dropped, link } = setUp();
    vtep.refuse.set(port, errno);
    vtep.fromUnderlay({ ...frame, length: 100 }).run();
    expect([link(LINK_RX_FRAMES), link(LINK_RX_BYTES), dropped(reason)]).toEqual([0, 0, 1]);
  });
});

describe("decap of a superframe from a kernel over veth", () => {
  const ipAt14 = 14 << 16;
  it.each([
    ["IPv4", FLAG_IPV4, 14 + 20 + 32, GSO_TCPV4, 1450 - 52],
    ["IPv6", FLAG_IPV6, 14 + 40 + 20, GSO_TCPV6, 1450 - 60],
  ])("hands TCP over %s on with the segment size of the device's MTU", (_family, family, headers, type, size) => {
    const { vtep, frame } = setUp();
    const flags = FLAG_PARTIAL_CSUM | FLAG_TCP | family;
    expect(vtep.fromUnderlay({ ...frame, length: 60_000, flags, headers: headers | ipAt14 }).run()).toHaveLength(1);
    expect(vtep.gso(0)).toBe(size | (type << 16));
  });

  it("leaves a frame that fits the MTU alone", () => {
    const { vtep, frame } = setUp();
    const flags = FLAG_PARTIAL_CSUM | FLAG_TCP | FLAG_IPV4;
    vtep.fromUnderlay({ ...frame, length: 1464, flags, headers: 66 | ipAt14 }).run();
    expect(vtep.gso(0)).toBe(0);
  });

  it("drops UDP, whose datagram boundaries are lost", () => {
    const { vtep, frame, dropped } = setUp();
    const flags = FLAG_PARTIAL_CSUM | FLAG_UDP | FLAG_IPV4;
    expect(vtep.fromUnderlay({ ...frame, length: 5000, flags, headers: 42 | ipAt14 }).run()).toEqual([]);
    expect(dropped(PKT_TOO_BIG)).toBe(1);
  });
});
