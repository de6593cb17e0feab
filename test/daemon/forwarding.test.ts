import { describe, expect, it } from "vitest";
import type { TunnelConfig } from "../../src/config/config.ts";
import { Ageing } from "../../src/daemon/ageing.ts";
import { Encapsulation } from "../../src/daemon/encapsulation.ts";
import type { Endpoints, Exit } from "../../src/daemon/endpoint.ts";
import { FLOOD_MAC } from "../../src/daemon/flood-list.ts";
import { Forwarding } from "../../src/daemon/forwarding.ts";
import { PathMtus } from "../../src/daemon/path-mtu.ts";
import { Reception } from "../../src/daemon/reception.ts";
import { TunnelRemotes } from "../../src/daemon/remotes.ts";
import { BD_FLOOD } from "../../src/dataplane/bridge-domain.ts";
import { MAX_REMOTES, REMOTE_TX_PORT } from "../../src/dataplane/remote-table.ts";
import { allocateTableMemory, openTables } from "../../src/dataplane/tables.ts";
import { addressWords, parseVtepAddress } from "../../src/dataplane/vtep-address.ts";

const BD = 1;
const OTHER_BD = 2;
const OWN = { port: 4789, vni: 42 };
const MAC = "02:00:00:00:00:05";
const limit = expect.objectContaining({ code: "ERR_LIMIT" });

/** Its sockets do not matter here. */
const endpoint = {
  local: parseVtepAddress("192.0.2.1"),
  scopeId: 0,
  transmitter: { port: 1, mask: 0, dfStep: 0, uplink: undefined, probeFd: 3, spec: { flowLabel: 0 } },
};
const endpoints = { all: [endpoint], of: () => endpoint } as unknown as Endpoints;

/** The same through an interface of its own. */
const VIA_PORT = 100;
const VIA_PROBE = 4;
const viaExit = { ...endpoint, transmitter: { ...endpoint.transmitter, port: VIA_PORT, probeFd: VIA_PROBE } };

const OFF = { input: false, output: false };

const setUp = (fdbCapacity = 64) => {
  const tables = openTables(allocateTableMemory(fdbCapacity));
  const config = { mode: "vxlan", id: OWN.vni, port: OWN.port, greChecksum: OFF, greSequence: OFF } as TunnelConfig;
  const parts = {
    tables,
    counters: [],
    paths: new PathMtus(tables.remotes, ({ probeFd }) => (probeFd === VIA_PROBE ? 1400 : 1500)),
    encapsulation: new Encapsulation(config),
    reception: new Reception(config, tables, BD),
    vias: { exit: () => viaExit as unknown as Exit },
  };
  const remotes = new TunnelRemotes(parts, BD, endpoints, OWN);
  const held = new Map<string, number>();
  const count = (dst: string, by: number): void => {
    const users = (held.get(dst) ?? 0) + by;
    if (users > 0) held.set(dst, users);
    else held.delete(dst);
  };
  const addresses = {
    of: (dst: string) => [dst],
    hold: ({ dst }: { dst: string }) => count(dst, 1),
    release: ({ dst }: { dst: string }) => count(dst, -1),
  };
  const forwarding = new Forwarding("vx42", tables, BD, remotes, addresses, OWN);
  const set = (...dsts: string[]): void =>
    forwarding.flood.set(dsts.map((dst) => forwarding.toWish({ dst }, "control")));
  /** Leaves room for so many remote VTEPs. */
  const fill = (left: number): void => {
    const { txPort, txMask, txDfStep } = { txPort: 1, txMask: 0, txDfStep: 0 };
    const way = { scopeId: 0, txPort, txMask, txDfStep, template: new Uint8Array(8) };
    const spec = {
      bd: OTHER_BD,
      address: parseVtepAddress("198.51.100.1"),
      udpPort: 1,
      vni: 1,
      indexed: false,
      ...way,
    };
    for (let used = 1 + remotes.list().length; used < MAX_REMOTES - left; used++) tables.remotes.insert(spec, 0);
  };
  const state = () => ({
    members: forwarding.flood.members.map(({ dst }) => dst),
    places: forwarding.flood.places.map(({ remote }) => remote.address),
    list: tables.floods.read(tables.bridgeDomains.get(BD, BD_FLOOD)),
    remotes: remotes.list().map(({ address, port, vni, users }) => [address, port, vni, users]),
    macs: forwarding.statics.macs().map((mac) => [mac, forwarding.statics.get(mac)!.remote?.address]),
    held: [...held].sort(),
  });
  return { tables, forwarding, remotes, set, fill, state };
};

describe("VTEPs that nobody named", () => {
  it("have slots as long as there are some", () => {
    const { remotes, fill, state } = setUp();
    fill(1);
    expect(["192.0.2.2", "192.0.2.2", "192.0.2.3"].map((address) => remotes.meet(address))).toEqual([
      true,
      false,
      false,
    ]);
    expect([remotes.strangers, state().remotes]).toEqual([1, [["192.0.2.2", 4789, 42, 1]]]);
    expect(() => remotes.acquire({ ...OWN, address: "192.0.2.3" })).toThrow(limit);
  });
});

describe("via", () => {
  it("sends through its interface's sockets, asks the path MTU there, and learns behind the plain remote VTEP", () => {
    const { tables, forwarding, set, state } = setUp();
    const { fdb, remotes } = tables;
    set("192.0.2.2");
    forwarding.change("append", { mac: FLOOD_MAC, dst: "192.0.2.2", via: "eth1" }, "control");
    forwarding.change("add", { mac: MAC, dst: "192.0.2.3", via: "eth1" }, "control");
    const ports = (): number[] => state().list.map((slot) => remotes.get(slot, REMOTE_TX_PORT));
    expect(ports()).toEqual([1, VIA_PORT]);
    const slot = fdb.target(fdb.find(BD, 0x0200, 0x05));
    expect([remotes.get(slot, REMOTE_TX_PORT), forwarding.remotes.pathMtu(slot)]).toEqual([VIA_PORT, 1400]);
    const words = addressWords(parseVtepAddress("192.0.2.3").mapped) as unknown as [number, number, number, number];
    const plain = remotes.find(BD, ...words);
    expect([remotes.get(plain, REMOTE_TX_PORT), forwarding.remotes.pathMtu(plain)]).toEqual([1, 1500]);
    forwarding.flood.deleteMember(forwarding.toWish({ dst: "192.0.2.2" }, "control"));
    expect(ports()).toEqual([VIA_PORT]);
    forwarding.change("replace", { mac: MAC, dst: "192.0.2.3" }, "control");
    expect(remotes.get(fdb.target(fdb.find(BD, 0x0200, 0x05)), REMOTE_TX_PORT)).toBe(1);
    expect(remotes.find(BD, ...words)).toBe(plain);
  });
});

describe("of a remote VTEP that goes no learned entry stays:", () => {
  const [hi, lo] = [0x0200, 0x06];
  const words = addressWords(parseVtepAddress("192.0.2.2").mapped) as unknown as [number, number, number, number];

  it("a worker that has a frame of it meanwhile does not know it any more", () => {
    const { tables, forwarding, set, state } = setUp();
    const { fdb, remotes } = tables;
    set("192.0.2.2", "192.0.2.3");
    /** What a worker does with a frame. */
    const learn = (): void => {
      const slot = remotes.find(BD, ...words);
      if (slot !== 0) fdb.learn(BD, hi, lo, slot, 0);
    };
    learn();
    expect(fdb.find(BD, hi, lo)).toBeGreaterThanOrEqual(0);
    const sweep = fdb.sweep.bind(fdb);
    fdb.sweep = (nowS, dead) => {
      const removed = sweep(nowS, dead);
      learn();
      return removed;
    };
    forwarding.flood.delete("192.0.2.2");
    expect(state().places).toEqual(["192.0.2.3"]);
    expect([fdb.find(BD, hi, lo), fdb.accounts.learned(BD)]).toEqual([-1, 0]);
  });

  it("one that looked before learns behind it, until ageing comes by, and behind others entries stay", () => {
    const { tables, forwarding, set } = setUp();
    const { fdb, remotes } = tables;
    set("192.0.2.2", "192.0.2.3");
    const gone = remotes.find(BD, ...words);
    const other = remotes.find(
      BD,
      words[0],
      words[1],
      words[2],
      addressWords(parseVtepAddress("192.0.2.3").mapped)[3]!,
    );
    forwarding.flood.delete("192.0.2.2");
    fdb.learn(BD, hi, lo, gone, 0);
    fdb.learn(BD, hi, lo + 1, other, 0);
    new Ageing(tables).tick(1);
    expect([fdb.find(BD, hi, lo) < 0, fdb.find(BD, hi, lo + 1) < 0]).toEqual([true, false]);
    expect(fdb.accounts.learnedAt(gone)).toBe(0);
  });
});

describe("a change that does not fit changes nothing:", () => {
  it("a flood list with more remote VTEPs than there is room for", () => {
    const { forwarding, set, fill, state } = setUp();
    set("192.0.2.2", "192.0.2.3");
    fill(1);
    const before = state();
    expect(() => set("192.0.2.3", "192.0.2.4", "192.0.2.5")).toThrow(limit);
    expect(state()).toEqual(before);
    // The one that there is room for was not lost by that, but rests for a while.
    forwarding.flood.delete("192.0.2.2");
    expect(state().list).toHaveLength(1);
  });

  it("a member with a port of its own, for whose plain remote VTEP alone there is room", () => {
    const { forwarding, set, fill, state } = setUp();
    set("192.0.2.2");
    fill(1);
    const before = state();
    const request = { mac: FLOOD_MAC, dst: "192.0.2.3", port: 8472 };
    expect(() => forwarding.change("append", request, "control")).toThrow(limit);
    expect(state()).toEqual(before);
  });

  it("a static entry that leads to a remote VTEP too many", () => {
    const { forwarding, set, fill, state } = setUp();
    set("192.0.2.2");
    forwarding.change("add", { mac: MAC, dst: "192.0.2.2" }, "config");
    fill(0);
    const before = state();
    expect(() => forwarding.change("replace", { mac: MAC, dst: "192.0.2.3" }, "control")).toThrow(limit);
    expect(state()).toEqual(before);
  });

  it("a static entry too many", () => {
    const { forwarding, state } = setUp(64);
    let made = 0;
    const add = (): void => {
      const mac = `02:00:00:00:01:${made.toString(16).padStart(2, "0")}`;
      forwarding.change("add", { mac, dst: "192.0.2.2" }, "config");
      made++;
    };
    expect(() => {
      while (made < 100) add();
    }).toThrow(limit);
    expect(state().macs).toHaveLength(made);
    const before = state();
    expect(add).toThrow(limit);
    expect(() => forwarding.change("add", { mac: MAC, dst: "192.0.2.9", port: 8472 }, "control")).toThrow(limit);
    expect(state()).toEqual(before);
  });
});

describe("static entries that are equal but for their MAC", () => {
  it("are counted, changed and deleted one by one", () => {
    const { forwarding, state, tables } = setUp();
    const macs = [1, 2, 3, 4].map((n) => `02:00:00:00:00:0${n}`);
    for (const mac of macs) forwarding.change("replace", { mac, dst: "192.0.2.2" }, "control");
    forwarding.change("replace", { mac: macs[1]!, dst: "192.0.2.2" }, "control");
    forwarding.change("replace", { mac: macs[2]!, dst: "192.0.2.3" }, "control");
    forwarding.change("replace", { mac: macs[3]!, dst: "192.0.2.2", sticky: true }, "control");
    expect(macs.map((mac) => forwarding.statics.get(mac)!.wish.isSticky)).toEqual([false, false, false, true]);
    expect(state().remotes).toEqual([
      ["192.0.2.2", 4789, 42, 3],
      ["192.0.2.3", 4789, 42, 1],
    ]);
    for (const mac of macs.slice(0, 3)) forwarding.delete(mac, undefined);
    expect(state().macs).toEqual([[macs[3], "192.0.2.2"]]);
    expect([...tables.fdb.entries()]).toHaveLength(1);
    forwarding.change("add", { mac: macs[0]!, dst: "192.0.2.2" }, "config");
    expect(forwarding.statics.get(macs[0]!)!.wish.owner).toBe("config");
    for (const mac of [macs[0]!, macs[3]!]) forwarding.delete(mac, undefined);
    expect([state().remotes, state().held]).toEqual([[], []]);
  });
});
