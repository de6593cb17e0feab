/**
 * Tier tunnel for what is not in UDP: superframes in GRE, IPIP and SIT, cut by the kernel.
 *
 *   left (ov0 10.42.0.1)                                              right (ov0 10.42.0.2)
 *     vtepd, tier tunnel -- vtepup0 ~~forwarded~~ eth0 192.0.2.1 === 192.0.2.2 eth0 --- vtepd, tier socket
 */
import { beforeAll, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { transfer } from "../support/transfer.ts";

const BYTES = 8_000_000;
const FAMILIES: Readonly<Record<string, readonly (4 | 6)[]>> = {
  "mode: gretap": [4, 6],
  "mode: gretap, key: 42": [4],
  "mode: gre, key: 43": [4, 6],
  "mode: ipip": [4],
  "mode: sit": [6],
};

const network = (tunnel: number, family: 4 | 6): string => (family === 4 ? `10.42.${tunnel}.` : `fd00:42:${tunnel}::`);

/** All of them, ov0 to ov4. */
const configOf = (host: number, families: typeof FAMILIES): string => {
  const tunnels = Object.entries(families).map(([keys, inside], n) => {
    const addresses = inside.map((family) => `"${network(n, family)}${host}/${family === 4 ? 24 : 64}"`);
    return `ov${n}: { ${keys}, local: 192.0.2.${host}, remote: 192.0.2.${3 - host}, addresses: [${addresses}] }`;
  });
  return `{ ${tunnels.join(", ")} }`;
};

const refusals = (host: Host): number => {
  const { kernel } = JSON.parse(host.run("nstat", ["-aszj", "IcmpOutDestUnreachs"])) as {
    kernel: { IcmpOutDestUnreachs: number };
  };
  return kernel.IcmpOutDestUnreachs;
};

/** What the uplinks were given: superframes and packets. */
const uplinksOf = (host: Host): { bytes: number; packets: number }[] =>
  host
    .ipJson("-s", "link", "show")
    .filter(({ ifname }: { ifname: string }) => ifname.startsWith("vtepup"))
    .map(({ stats64 }: { stats64: { rx: { bytes: number; packets: number } } }) => stats64.rx);

const tiersOf = (daemon: RunningDaemon): string[] =>
  daemon.json<{ vtepd: { offload: string } }[]>("-d", "link", "show").map(({ vtepd }) => vtepd.offload);

const wired = (mode: WireMode): { lab: Lab; left: Host; right: Host } => {
  const lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  return { lab, left, right };
};

const bothWays = async (left: Host, right: Host, prefix: string): Promise<void> => {
  for (const [from, to, host] of [
    [left, right, 2],
    [right, left, 1],
  ] as const) {
    const { sent, received } = await transfer(from, to, `${prefix}${host}`, BYTES);
    expect(received).toBe(sent);
  }
};

describe.skipIf(addon.probeTap().tunnel !== "")("tier tunnel", () => {
  it("has a program that this kernel takes", () => {
    expect(addon.probeTunnelProgram()).toBe("");
  });

  it.each(["wire-like", "virtual"] as const)("carries TCP unchanged in each mode, %s underlay", async (wire) => {
    const { lab, left, right } = wired(wire);
    try {
      const daemon = await RunningDaemon.start(left, configOf(1, FAMILIES), { daemon: "offload: tunnel" });
      const other = await RunningDaemon.start(right, configOf(2, FAMILIES));
      const refusedBefore = refusals(left);
      for (const [n, families] of Object.values(FAMILIES).entries()) {
        for (const family of families) await bothWays(left, right, network(n, family));
      }
      expect(tiersOf(daemon)).toEqual(Object.keys(FAMILIES).map(() => "tunnel"));
      for (const drops of [daemon.drops("decap"), other.drops("decap")]) expect(drops).toEqual({});
      // One for each IP protocol.
      const uplinks = uplinksOf(left);
      expect(uplinks).toHaveLength(3);
      for (const { bytes, packets } of uplinks) {
        expect(bytes).toBeGreaterThan(BYTES);
        // Acknowledgements and all; cut before, they would be more than 5600 for each transfer.
        expect(packets).toBeLessThan((bytes / BYTES) * 3000);
      }
      expect(refusals(left)).toBe(refusedBefore);
    } finally {
      await lab.close();
    }
  });

  describe("otherwise", () => {
    let left: Host;
    let right: Host;
    beforeAll(() => {
      const all = wired("wire-like");
      ({ left, right } = all);
      return () => all.lab.close();
    });

    it("sends with DF as told and TTL 64, each packet with an identification of its own", async () => {
      const tunnel = configOf(1, { "mode: gre, do-not-fragment: inherit": [4] });
      const daemon = await RunningDaemon.start(left, tunnel, { daemon: "offload: tunnel" });
      const capture = right.spawn("tcpdump", ["-nnvlt", "-i", "eth0", "-c", "4", "proto 47 and src 192.0.2.1"]);
      await capture.waitForOutput(/listening/);
      for (const df of ["do", "dont"]) {
        left.exec("ping", ["-c", "2", "-i", "0.1", "-W", "0.1", "-M", df, "10.42.0.2"]);
      }
      await capture.exited;
      const headers = [...capture.stdout.matchAll(/ttl (\d+), id (\d+), .* flags \[(\w+)\], proto GRE/g)];
      expect(headers.map(([, ttl, , flags]) => [ttl, flags])).toEqual([
        ...[
          ["64", "DF"],
          ["64", "DF"],
        ],
        ...[
          ["64", "none"],
          ["64", "none"],
        ],
      ]);
      expect(new Set(headers.map(([, , id]) => id)).size).toBe(4);
      await daemon.stop();
      expect(left.ipJson("link", "show").map(({ ifname }: { ifname: string }) => ifname)).toEqual(["lo", "eth0"]);
    });

    it("sends GRE with checksums or sequence numbers through sockets, where each packet has its own", async () => {
      const tunnels = { "mode: gretap, checksum: true": [4], "mode: gretap, key: 1, sequence: true": [4] } as const;
      const daemon = await RunningDaemon.start(left, configOf(1, tunnels), { daemon: "offload: tunnel" });
      await RunningDaemon.start(right, configOf(2, tunnels));
      expect(tiersOf(daemon)).toEqual(["socket", "socket"]);
      for (const n of [0, 1]) left.run("ping", ["-c", "1", "-W", "5", `${network(n, 4)}2`]);
    });
  });
});
