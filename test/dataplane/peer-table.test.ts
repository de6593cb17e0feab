import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PEER_ETHERNET, PEER_KEYED, type Peer, PeerTable } from "../../src/dataplane/peer-table.ts";
import { addressWords, parseVtepAddress } from "../../src/dataplane/vtep-address.ts";

const words = (text: string): Int32Array => addressWords(parseVtepAddress(text).mapped);
const peer = (address: string | undefined, more: Partial<Peer> = {}): Peer => ({
  binding: 1,
  kind: 0,
  key: 0,
  address: address === undefined ? undefined : words(address),
  ...more,
});
const find = (table: PeerTable, { binding, kind, key, address = new Int32Array(4) }: Peer): number =>
  table.find(binding, kind, key, address[0]!, address[1]!, address[2]!, address[3]!);

describe("the peer table", () => {
  it("tells tunnels apart by binding, kind, key and remote VTEP", () => {
    const table = new PeerTable();
    const rows = [
      peer("192.0.2.2"),
      peer("192.0.2.3"),
      peer("2001:db8::2"),
      peer("192.0.2.2", { binding: 2 }),
      peer("192.0.2.2", { kind: PEER_ETHERNET }),
      peer("192.0.2.2", { kind: PEER_KEYED }),
      peer("192.0.2.2", { kind: PEER_KEYED, key: -1 }),
    ];
    for (const [index, row] of rows.entries()) table.set(row, index + 10);
    expect(rows.map((row) => find(table, row))).toEqual([10, 11, 12, 13, 14, 15, 16]);
    expect(find(table, peer("192.0.2.4"))).toBe(0);
    expect(find(table, peer("192.0.2.2", { kind: PEER_KEYED, key: 1 }))).toBe(0);
  });

  it("gives those without a row of their own to the one that takes anybody", () => {
    const table = new PeerTable();
    table.set(peer(undefined), 5);
    table.set(peer("192.0.2.2"), 6);
    expect([find(table, peer("192.0.2.2")), find(table, peer("192.0.2.9"))]).toEqual([6, 5]);
    expect(table.get(peer("192.0.2.9"))).toBe(0);
    table.delete(peer("192.0.2.2"));
    expect(find(table, peer("192.0.2.2"))).toBe(5);
  });

  it("stays a table under any order of changes, and gives all its room back", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(40)), { maxLength: 300 }), (steps) => {
        const table = new PeerTable();
        const model = new Map<number, number>();
        for (const [isAdded, n] of steps) {
          const row = peer(`10.0.0.${n}`);
          if (isAdded) {
            table.set(row, n + 1);
            model.set(n, n + 1);
          } else {
            table.delete(row);
            model.delete(n);
          }
        }
        for (let n = 0; n <= 40; n++) expect(find(table, peer(`10.0.0.${n}`))).toBe(model.get(n) ?? 0);
      }),
      { numRuns: 30 },
    );
    const table = new PeerTable();
    for (let round = 0; round < 40; round++) {
      const rows = Array.from({ length: 1000 }, (_, n) => peer(`10.${round}.${n >> 8}.${n & 255}`));
      for (const row of rows) table.set(row, 1);
      for (const row of rows) table.delete(row);
    }
    expect(table.words.every((word, index) => index % 8 !== 0 || word === 0)).toBe(true);
  });

  it("says when it is full", () => {
    const table = new PeerTable();
    const fill = (): void => {
      for (let n = 0; n < 20_000; n++) table.set(peer(`10.0.${n >> 8}.${n & 255}`), 1);
    };
    expect(fill).toThrow(expect.objectContaining({ code: "ERR_LIMIT" }));
  });
});
