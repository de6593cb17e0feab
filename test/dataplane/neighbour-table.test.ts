import { describe, expect, it } from "vitest";
import { type AddressWords, MAX_NEIGHBOURS, NeighbourTable } from "../../src/dataplane/neighbour-table.ts";

const address = (n: number): AddressWords => [0xfd00 << 16, n, n >>> 3, n];

describe("neighbour table", () => {
  it("keeps up with a map over many random changes", () => {
    const table = new NeighbourTable();
    const model = new Map<number, number>();
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return seed % below;
    };
    for (let step = 0; step < 60_000; step++) {
      const n = random(3000);
      const nowS = step >>> 6;
      const before = table.find(1, ...address(n));
      expect(before < 0 ? undefined : table.macLo(before)).toBe(model.get(n));
      if (random(3) === 0 && before >= 0) {
        table.remove(before, nowS);
        model.delete(n);
      } else {
        table.insert(1, address(n), 2, step, 0, nowS);
        if (before >= 0) table.remove(before, nowS);
        model.set(n, step);
      }
    }
    for (let n = 0; n < 3000; n++) {
      const found = table.find(1, ...address(n));
      expect(found < 0 ? undefined : table.macLo(found)).toBe(model.get(n));
    }
  });

  it("is full at its limit, and has room again after a removal", () => {
    const table = new NeighbourTable();
    let last = 0;
    for (let n = 0; n < MAX_NEIGHBOURS; n++) last = table.insert(1, address(n), 0, n, 0, 1);
    expect(() => table.insert(1, address(MAX_NEIGHBOURS), 0, 0, 0, 1)).toThrow(
      expect.objectContaining({ code: "ERR_LIMIT" }),
    );
    table.remove(last, 1);
    expect(table.find(1, ...address(MAX_NEIGHBOURS - 1))).toBe(-1);
    expect(table.macLo(table.insert(1, address(MAX_NEIGHBOURS), 0, 5, 0, 1))).toBe(5);
  });

  it("leaves a removed entry readable to whoever has just found it", () => {
    const table = new NeighbourTable();
    const handle = table.insert(1, address(1), 0x0200, 11, 0, 100);
    table.remove(handle, 100);
    for (let n = 2; n < 2000; n++) table.insert(1, address(n), 0, n, 0, 101);
    expect([table.macHi(handle), table.macLo(handle)]).toEqual([0x0200, 11]);
  });
});
