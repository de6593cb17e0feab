import { describe, expect, it } from "vitest";
import { FLAG_IPV4, FLAG_IPV6, FRAME_FLAGS, FRAME_INNER_IP, FRAME_OFFSET } from "../../src/binding/abi.ts";
import { allocateBatch } from "../../src/dataplane/batch.ts";
import { FloodPool } from "../../src/dataplane/flood-pool.ts";
import { compileRoutes, RouteTable, routeLength } from "../../src/dataplane/route-table.ts";
import { parseVtepAddress } from "../../src/dataplane/vtep-address.ts";

const OFFSET = 128;

/** Routes by `network/prefix`, each with a slot; returns what finds a destination's. */
const tableOf = (routes: Readonly<Record<string, number>>): ((destination: string) => number) => {
  const batch = allocateBatch();
  const pool = new FloodPool();
  const list = pool.store(
    compileRoutes(
      Object.entries(routes).map(([to, remote]) => {
        const [network = "", prefix] = to.split("/");
        const length = routeLength(!to.includes(":"), Number(prefix));
        return { network: parseVtepAddress(network).mapped, length, remote };
      }),
    ),
    1,
  );
  const table = new RouteTable(batch, pool.words);
  return (destination) => {
    const isIpv4 = !destination.includes(":");
    batch.frames[FRAME_OFFSET] = OFFSET;
    batch.frames[FRAME_INNER_IP] = 0;
    batch.frames[FRAME_FLAGS] = isIpv4 ? FLAG_IPV4 : FLAG_IPV6;
    batch.arena.fill(0xa5, OFFSET, OFFSET + 40);
    batch.arena.set(parseVtepAddress(destination).bytes, OFFSET + (isIpv4 ? 16 : 24));
    return table.find(list, 0);
  };
};

describe("a route table", () => {
  it("takes the longest prefix, and none where none is", () => {
    const find = tableOf({
      "10.0.0.0/8": 1,
      "10.2.0.0/16": 2,
      "10.2.3.0/24": 3,
      "10.2.3.4/32": 4,
      "fd00::/16": 5,
      "fd00:2::/64": 6,
      "fd00:2::1/128": 7,
      "128.0.0.0/1": 8,
    });
    expect(["10.9.9.9", "10.2.9.9", "10.2.3.5", "10.2.3.4", "11.0.0.1", "200.1.1.1"].map(find)).toEqual([
      1, 2, 3, 4, 0, 8,
    ]);
    expect(["fd00:1::1", "fd00:2::2", "fd00:2::1", "fd01::1"].map(find)).toEqual([5, 6, 7, 0]);
  });

  it("keeps the families apart: an IPv6 packet to ::ffff:10.2.0.1 has no IPv4 route", () => {
    const find = tableOf({ "10.2.0.0/16": 1, "fd00::/96": 2 });
    expect([find("10.2.0.1"), find("::ffff:0:0:1"), find("fd00::1")]).toEqual([1, 0, 2]);
  });

  it("of many routes agrees with looking at all of them", () => {
    let seed = 12345;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      return (seed >>> 8) % below;
    };
    const text = (value: number): string => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
    const mask = (prefix: number): number => (prefix === 0 ? 0 : -1 << (32 - prefix));
    const routes: Record<string, number> = {};
    for (let n = 1; n <= 3000; n++) {
      const prefix = 12 + random(21);
      routes[`${text(((10 << 24) | random(1 << 24)) & mask(prefix))}/${prefix}`] = n;
    }
    const rows = Object.entries(routes).map(([to, remote]) => {
      const [network = "", prefix] = to.split("/");
      return {
        value: network.split(".").reduce((sum, byte) => (sum << 8) | Number(byte), 0),
        prefix: Number(prefix),
        remote,
      };
    });
    rows.sort((a, b) => b.prefix - a.prefix);
    const find = tableOf(routes);
    for (let n = 0; n < 3000; n++) {
      const value = (10 << 24) | random(1 << 24);
      const wanted = rows.find((row) => (value & mask(row.prefix)) === row.value)?.remote ?? 0;
      expect(find(text(value)), text(value)).toBe(wanted);
    }
  });
});
