import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PORT_TAP, PORT_UDP_TX } from "../../src/binding/abi.ts";
import { BD_WORDS, BridgeDomains, MAX_BRIDGE_DOMAINS } from "../../src/dataplane/bridge-domain.ts";
import { FloodPool } from "../../src/dataplane/flood-pool.ts";
import { PortTable } from "../../src/dataplane/port-table.ts";
import { RemoteTable } from "../../src/dataplane/remote-table.ts";
import { VniTable } from "../../src/dataplane/vni-table.ts";
import { addressWords, formatVtepAddress, parseVtepAddress } from "../../src/dataplane/vtep-address.ts";

describe("VniTable", () => {
  it("behaves like a map of (binding, VNI) under any sequence of changes", () => {
    const change = fc.record({
      binding: fc.integer({ min: 0, max: 3 }),
      vni: fc.oneof(fc.integer({ min: 0, max: 8 }), fc.constant(0xffffff)),
      bd: fc.integer({ min: 0, max: 9 }), // 0 = delete
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const table = new VniTable();
        const model = new Map<string, number>();
        for (const { binding, vni, bd } of changes) {
          if (bd === 0) table.delete(binding, vni);
          else table.set(binding, vni, bd);
          model.set(`${binding} ${vni}`, bd);
        }
        for (const { binding, vni } of changes) expect(table.find(binding, vni)).toBe(model.get(`${binding} ${vni}`));
      }),
      { numRuns: 30 },
    );
  });

  it("leaves no slot in use when everything is deleted", () => {
    const table = new VniTable();
    for (let vni = 0; vni < 4000; vni++) table.set(1, vni, 5);
    for (let vni = 0; vni < 4000; vni++) table.delete(1, vni);
    table.delete(1, 17);
    expect(table.words.some((word) => word !== 0)).toBe(false);
  });
});

describe("RemoteTable", () => {
  const spec = (address: string, bd = 1, indexed = true) => ({
    bd,
    address: parseVtepAddress(address),
    udpPort: 4789,
    vni: 42,
    scopeId: 0,
    txPort: 3,
    txMask: 15,
    txDfStep: 0,
    template: new Uint8Array(8),
    indexed,
  });
  const find = (table: RemoteTable, bd: number, address: string) => {
    const [a0, a1, a2, a3] = addressWords(parseVtepAddress(address).mapped) as unknown as [
      number,
      number,
      number,
      number,
    ];
    return table.find(bd, a0, a1, a2, a3);
  };

  it("finds a remote VTEP by bridge domain and address of either family", () => {
    const table = new RemoteTable();
    const four = table.insert(spec("192.0.2.2"), 0);
    const six = table.insert(spec("2001:db8::2"), 0);
    expect([find(table, 1, "192.0.2.2"), find(table, 1, "2001:db8::2")]).toEqual([four, six]);
    expect([find(table, 2, "192.0.2.2"), find(table, 1, "192.0.2.3")]).toEqual([0, 0]);
  });

  it("does not lead received frames to a slot with its own port or VNI", () => {
    const table = new RemoteTable();
    table.insert(spec("192.0.2.2", 1, false), 0);
    expect(find(table, 1, "192.0.2.2")).toBe(0);
  });

  it("writes the sockaddr as the kernel takes it", () => {
    const table = new RemoteTable();
    const four = table.insert(spec("192.0.2.2"), 0);
    const six = table.insert({ ...spec("fe80::2"), scopeId: 7 }, 0);
    const { vteps } = table.memory;
    expect([...vteps.slice(four * 32, four * 32 + 8)]).toEqual([2, 0, 0x12, 0xb5, 192, 0, 2, 2]);
    expect([...vteps.slice(six * 32, six * 32 + 4)]).toEqual([10, 0, 0x12, 0xb5]);
    expect([...vteps.slice(six * 32 + 8, six * 32 + 10)]).toEqual([0xfe, 0x80]);
    expect([...vteps.slice(six * 32 + 24, six * 32 + 28)]).toEqual([7, 0, 0, 0]);
  });

  it("gives a slot out again only after the grace time", () => {
    const table = new RemoteTable();
    const slot = table.insert(spec("192.0.2.2"), 10);
    table.remove(slot, 10);
    expect(find(table, 1, "192.0.2.2")).toBe(0);
    expect(table.insert(spec("192.0.2.3"), 11)).not.toBe(slot);
    expect(table.insert(spec("192.0.2.4"), 12)).toBe(slot);
    expect(find(table, 1, "192.0.2.4")).toBe(slot);
  });

  it("finds all others while remotes come and go", () => {
    const table = new RemoteTable();
    const slots = new Map<string, number>();
    for (let n = 0; n < 2000; n++)
      slots.set(`10.0.${n >> 8}.${n & 255}`, table.insert(spec(`10.0.${n >> 8}.${n & 255}`), 0));
    let n = 0;
    for (const [address, slot] of [...slots]) {
      if (n++ % 2 === 0) continue;
      table.remove(slot, 0);
      slots.delete(address);
    }
    for (const [address, slot] of slots) expect(find(table, 1, address)).toBe(slot);
  });
});

describe("FloodPool", () => {
  it("stores lists apart and reads them back; 0 is the empty list", () => {
    const pool = new FloodPool();
    const first = pool.store([1, 2, 3], 0);
    const second = pool.store([4], 0);
    expect([pool.read(first), pool.read(second), pool.store([], 0), pool.read(0)]).toEqual([[1, 2, 3], [4], 0, []]);
  });

  it("does not overwrite a replaced list before the grace time is over", () => {
    const pool = new FloodPool();
    const first = pool.store([1, 2, 3], 10);
    pool.release(first, 10);
    expect(pool.store([9, 9, 9], 11)).not.toBe(first);
    expect(pool.store([8, 8], 12)).toBe(first);
  });

  it("says when it is full", () => {
    const pool = new FloodPool(new Int32Array(8));
    pool.store([1], 0);
    expect(() => pool.store(new Array(1 << 20).fill(1), 0)).toThrowError(
      expect.objectContaining({ code: "ERR_LIMIT" }),
    );
  });
});

describe("PortTable", () => {
  it("gives consecutive ids and takes them back", () => {
    const ports = new PortTable();
    const first = ports.allocate(PORT_TAP, 1);
    const run = ports.allocate(PORT_UDP_TX, 7, 16);
    expect([first, run, ports.kind(run + 15), ports.owner(run + 15), ports.kind(run + 16)]).toEqual([
      1,
      2,
      PORT_UDP_TX,
      7,
      0,
    ]);
    ports.release(first);
    expect(ports.allocate(PORT_TAP, 2)).toBe(first);
  });
});

describe("BridgeDomains", () => {
  it("are numbered from 1, zeroed, and limited", () => {
    const domains = new BridgeDomains();
    for (let bd = 1; bd < MAX_BRIDGE_DOMAINS; bd++) domains.words[bd * BD_WORDS] = 1;
    expect(() => domains.allocate()).toThrowError(expect.objectContaining({ code: "ERR_LIMIT" }));
    domains.set(5, 3, 77);
    domains.release(5);
    expect([domains.allocate(), domains.get(5, 3)]).toEqual([5, 0]);
  });
});

describe("VTEP address", () => {
  it.each(["192.0.2.1", "2001:db8::1", "fe80::5054:ff:fe00:1"])("%s survives the way through its bytes", (text) => {
    expect(formatVtepAddress(parseVtepAddress(text).mapped)).toBe(text);
  });
});
