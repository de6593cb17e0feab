import { describe, expect, it } from "vitest";
import { type PathKey, PathMtus } from "../../src/daemon/path-mtu.ts";
import { allocateRemotes, REMOTE_FRAME_LIMIT, RemoteTable, UNLIMITED } from "../../src/dataplane/remote-table.ts";
import { parseVtepAddress } from "../../src/dataplane/vtep-address.ts";

const key = (address: string, probeFd = 3): PathKey => ({
  probeFd,
  address: parseVtepAddress(address),
  port: 4789,
  scopeId: 0,
});

const setUp = () => {
  const remotes = new RemoteTable(allocateRemotes());
  const kernel = new Map<string, number>();
  const asked: string[] = [];
  const paths = new PathMtus(remotes, ({ address: { text } }) => {
    asked.push(text);
    return kernel.get(text) ?? 0;
  });
  const limit = (slot: number): number => remotes.get(slot, REMOTE_FRAME_LIMIT);
  return { paths, kernel, asked, limit };
};

/** As of VXLAN. */
const less =
  (address: string) =>
  (mtu: number): number =>
    mtu - (address.includes(":") ? 56 : 36);

describe("path MTUs", () => {
  it("become the largest frame that fits: less 36 bytes over IPv4, 56 over IPv6", () => {
    const { paths, kernel, limit } = setUp();
    kernel.set("192.0.2.2", 1500).set("2001:db8::2", 1500);
    paths.add(1, key("192.0.2.2"), less("192.0.2.2"));
    paths.add(2, key("2001:db8::2"), less("2001:db8::2"));
    expect([limit(1), limit(2), paths.of(1), paths.of(3)]).toEqual([1464, 1444, 1500, 0]);
  });

  it("are no limit where the kernel knows no way", () => {
    const { paths, limit } = setUp();
    paths.add(1, key("192.0.2.2"), less("192.0.2.2"));
    expect([limit(1), paths.of(1)]).toEqual([UNLIMITED, 0]);
  });

  it("are asked for once for all tunnels with the same path", () => {
    const { paths, kernel, asked, limit } = setUp();
    kernel.set("192.0.2.2", 1500);
    for (let slot = 1; slot <= 100; slot++) paths.add(slot, key("192.0.2.2"), less("192.0.2.2"));
    expect([asked.length, limit(100)]).toEqual([1, 1464]);
    paths.add(101, key("192.0.2.2", 4), less("192.0.2.2"));
    expect(asked.length).toBe(2);
  });

  it("are asked for again when a packet was refused, and written for everybody on the path", () => {
    const { paths, kernel, asked, limit } = setUp();
    kernel.set("192.0.2.2", 1500);
    paths.add(1, key("192.0.2.2"), less("192.0.2.2"));
    paths.add(2, key("192.0.2.2"), less("192.0.2.2"));
    kernel.set("192.0.2.2", 1400);
    paths.outdated(1, 1000);
    paths.outdated(1, 1001);
    expect([limit(1), limit(2), asked.length]).toEqual([1364, 1364, 2]);
    paths.outdated(99, 1000);
  });

  it("rise again when the kernel has forgotten", () => {
    const { paths, kernel, limit } = setUp();
    kernel.set("192.0.2.2", 1400);
    paths.add(1, key("192.0.2.2"), less("192.0.2.2"));
    kernel.set("192.0.2.2", 1500);
    paths.tick();
    expect(limit(1)).toBe(1464);
  });

  it("are asked for by turns, each path once a round, however many there are", () => {
    const { paths, asked } = setUp();
    for (let slot = 1; slot <= 150; slot++) paths.add(slot, key(`10.0.0.${slot}`), less("10.0.0.1"));
    asked.length = 0;
    for (const count of [64, 128, 150]) {
      paths.tick();
      expect(new Set(asked).size).toBe(count);
      expect(asked.length).toBe(count);
    }
  });

  it("are forgotten with the last remote on the path", () => {
    const { paths, asked } = setUp();
    paths.add(1, key("192.0.2.2"), less("192.0.2.2"));
    paths.remove(1);
    paths.remove(1);
    asked.length = 0;
    paths.tick();
    expect([asked.length, paths.of(1)]).toEqual([0, 0]);
  });
});
