import { describe, expect, it } from "vitest";
import { MAX_ACTIONS } from "../../src/binding/abi.ts";
import { BD_FLOOD } from "../../src/dataplane/bridge-domain.ts";
import {
  DROP_COLUMNS,
  ENCAP,
  LINK_COLUMNS,
  LINK_FLOODED,
  LINK_TX_BYTES,
  LINK_TX_FRAMES,
  REMOTE_COLUMNS,
  REMOTE_TX_BYTES,
  REMOTE_TX_FRAMES,
} from "../../src/dataplane/counters.ts";
import { RECURSIVE_TX_PORT } from "../../src/dataplane/remote-table.ts";
import {
  DROP_REASON_COLUMNS,
  FULL_RING,
  IP_OUTNOROUTES,
  NO_TX_TARGET,
  PKT_TOO_BIG,
  PKT_TOO_SMALL,
  ROUTE_RECURSION,
} from "../../src/drop-reason.ts";
import { MemoryVtep, macWords } from "../support/memory-io.ts";

const STATION = "02:00:00:00:00:05";
const BROADCAST = "ff:ff:ff:ff:ff:ff";

const setUp = () => {
  const vtep = new MemoryVtep();
  const { bd, port } = vtep.tunnel(42);
  const remotes = ["192.0.2.2", "192.0.2.3", "2001:db8::4"].map((address) => vtep.remote(bd, address, 42));
  vtep.flood(bd, remotes);
  vtep.tables.fdb.setStatic(bd, ...macWords(STATION), remotes[1]!, 0, 1);
  const dropped = (reason: number) => vtep.counters.drop[bd * DROP_COLUMNS + ENCAP * DROP_REASON_COLUMNS + reason];
  const link = (column: number) => vtep.counters.link[bd * LINK_COLUMNS + column];
  return { vtep, bd, port, remotes, dropped, link };
};

describe("encap", () => {
  it("sends a known unicast MAC to its remote VTEP only, with the tunnel's VNI", () => {
    const { vtep, port, remotes, link } = setUp();
    const sent = vtep.fromTap({ port, dst: STATION, length: 100 }).run();
    expect(sent).toEqual([{ port: vtep.txPort, frame: 0, to: { address: "192.0.2.3", port: 4789, vni: 42 } }]);
    expect([link(LINK_TX_FRAMES), link(LINK_TX_BYTES), link(LINK_FLOODED)]).toEqual([1, 100, 0]);
    expect(vtep.counters.remote[remotes[1]! * REMOTE_COLUMNS + REMOTE_TX_BYTES]).toBe(100);
  });

  it.each([
    ["broadcast", BROADCAST],
    ["multicast", "01:00:5e:00:00:fb"],
    ["unknown unicast", "02:00:00:00:00:77"],
  ])("copies %s to every member of the flood list, in its order", (_what, dst) => {
    const { vtep, port, link } = setUp();
    const sent = vtep.fromTap({ port, dst }).run();
    expect(sent.map(({ to }) => to?.address)).toEqual(["192.0.2.2", "192.0.2.3", "2001:db8::4"]);
    expect([link(LINK_TX_FRAMES), link(LINK_FLOODED)]).toEqual([3, 1]);
  });

  it("drops and counts what has no destination (empty flood list)", () => {
    const { vtep, bd, port, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_FLOOD, 0);
    expect(vtep.fromTap({ port, dst: BROADCAST }).run()).toEqual([]);
    expect(dropped(NO_TX_TARGET)).toBe(1);
  });

  it("uses an entry's own UDP port and VNI", () => {
    const { vtep, bd, port } = setUp();
    const special = vtep.remote(bd, "192.0.2.9", 201, 8472, false);
    vtep.tables.fdb.setStatic(bd, ...macWords("02:00:00:00:00:06"), special, 0, 1);
    const [sent] = vtep.fromTap({ port, dst: "02:00:00:00:00:06" }).run();
    expect(sent?.to).toEqual({ address: "192.0.2.9", port: 8472, vni: 201 });
  });

  it("spreads flows over the sending sockets and keeps a flow on one", () => {
    const { vtep, port } = setUp();
    const hashes = [0, 1, 2, 3, 4, 5, -1, 1];
    for (const hash of hashes) vtep.fromTap({ port, dst: STATION, hash });
    expect(vtep.run().map((copy) => copy.port - vtep.txPort)).toEqual([0, 1, 2, 3, 0, 1, 3, 1]);
  });

  it("keeps the order of arrival across known and unknown destinations", () => {
    const { vtep, port } = setUp();
    const sent = vtep
      .fromTap({ port, dst: STATION })
      .fromTap({ port, dst: BROADCAST })
      .fromTap({ port, dst: STATION })
      .run();
    expect(sent.map(({ frame }) => frame)).toEqual([0, 1, 1, 1, 2]);
  });

  it("floods a run of frames remote by remote, each remote's in order, and begins with another one each time", () => {
    const { vtep, port, link } = setUp();
    const other = vtep.tunnel(43);
    vtep.flood(other.bd, [vtep.remote(other.bd, "192.0.2.9", 43)]);
    for (const dst of [BROADCAST, BROADCAST, STATION, BROADCAST]) vtep.fromTap({ port, dst });
    const sent = vtep.fromTap({ port: other.port, dst: BROADCAST }).fromTap({ port, dst: BROADCAST }).run();
    const copies = sent.map(({ frame, to }) => `${frame} ${to?.address.replace(/.*[.:]/, "")}`);
    expect(copies).toEqual([
      ...["0 2", "1 2", "0 3", "1 3", "0 4", "1 4"],
      "2 3",
      ...["3 3", "3 4", "3 2"],
      "4 9",
      ...["5 2", "5 3", "5 4"],
    ]);
    expect(link(LINK_FLOODED)).toBe(4);
    expect(vtep.counters.link[other.bd * LINK_COLUMNS + LINK_FLOODED]).toBe(1);
  });

  it("drops each frame of a run when the flood list is empty", () => {
    const { vtep, bd, port, dropped } = setUp();
    vtep.tables.bridgeDomains.set(bd, BD_FLOOD, 0);
    expect(vtep.fromTap({ port, dst: BROADCAST }).fromTap({ port, dst: BROADCAST }).run()).toEqual([]);
    expect(dropped(NO_TX_TARGET)).toBe(2);
  });

  it("drops a frame shorter than an Ethernet header", () => {
    const { vtep, port, dropped } = setUp();
    expect(vtep.fromTap({ port, dst: STATION, length: 13 }).run()).toEqual([]);
    expect(dropped(PKT_TOO_SMALL)).toBe(1);
  });

  it("sends a flood list longer than the action table in several goes", () => {
    const vtep = new MemoryVtep();
    const { bd, port } = vtep.tunnel(42);
    const members = Array.from({ length: MAX_ACTIONS + 10 }, (_, n) =>
      vtep.remote(bd, `10.0.${n >> 8}.${n & 255}`, 42),
    );
    vtep.flood(bd, members);
    const sent = vtep.fromTap({ port, dst: BROADCAST }).fromTap({ port, dst: BROADCAST }).run();
    expect(sent).toHaveLength(2 * members.length);
    expect(new Set(sent.map(({ to }) => to?.address)).size).toBe(members.length);
  });

  it.each([
    [11, FULL_RING], // EAGAIN
    [105, FULL_RING], // ENOBUFS
    [90, PKT_TOO_BIG], // EMSGSIZE
    [101, IP_OUTNOROUTES], // ENETUNREACH
  ])("takes back the count of a copy that the kernel refused (errno %i) and sends the others", (errno, reason) => {
    const { vtep, port, remotes, dropped, link } = setUp();
    vtep.refuse.set("192.0.2.3", errno);
    const sent = vtep.fromTap({ port, dst: BROADCAST, length: 100 }).run();
    expect(sent.map(({ to }) => to?.address)).toEqual(["192.0.2.2", "2001:db8::4"]);
    expect([link(LINK_TX_FRAMES), link(LINK_TX_BYTES), dropped(reason)]).toEqual([2, 200, 1]);
    expect(vtep.counters.remote[remotes[1]! * REMOTE_COLUMNS + REMOTE_TX_FRAMES]).toBe(0);
  });

  it("sends nothing to a remote VTEP whose route leads back, counts why, and goes on when it leads out again", () => {
    const { vtep, port, remotes, dropped, link } = setUp();
    vtep.tables.remotes.setPort(remotes[1]!, RECURSIVE_TX_PORT);
    for (const hash of [0, 15, -1]) vtep.fromTap({ port, dst: STATION, hash });
    const sent = vtep.fromTap({ port, dst: BROADCAST, length: 100 }).run();
    expect(sent.map(({ to }) => to?.address)).toEqual(["192.0.2.2", "2001:db8::4"]);
    expect([dropped(ROUTE_RECURSION), link(LINK_TX_FRAMES), link(LINK_TX_BYTES)]).toEqual([4, 2, 200]);
    expect(vtep.counters.remote[remotes[1]! * REMOTE_COLUMNS + REMOTE_TX_FRAMES]).toBe(0);
    vtep.tables.remotes.setPort(remotes[1]!, vtep.txPort);
    expect(vtep.fromTap({ port, dst: STATION }).run()).toHaveLength(1);
  });
});
