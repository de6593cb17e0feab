/**
 * An underlay that loses and swaps datagrams: TCP in the overlay must still arrive unchanged, whatever was merged.
 *
 *   left 192.0.2.1 === 192.0.2.254 router 198.51.100.254 === 198.51.100.1 right
 *                           203.0.113.1 === detour 203.0.113.2, and from there back
 *
 * The router loses by nftables, one datagram in so many; it takes no offload, so that it sees single datagrams. What it
 * marks goes by the detour and arrives behind later ones.
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { transfer } from "../support/transfer.ts";

const TRANSFER_BYTES = 3_000_000;
const DETOUR_TABLE = "100";

let lab: Lab;
afterEach(() => lab.close());

const routed = (): { left: Host; right: Host; router: Host } => {
  lab = Lab.create();
  const [left, right, router, detour] = ["left", "right", "router", "detour"].map((label) => lab.host(label)) as [
    Host,
    Host,
    Host,
    Host,
  ];
  lab.wire(left, "eth0", router, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.254/24"] });
  lab.wire(right, "eth0", router, "eth1", { addresses: ["198.51.100.1/24", "198.51.100.254/24"] });
  lab.wire(router, "eth2", detour, "eth0", { addresses: ["203.0.113.1/24", "203.0.113.2/24"] });
  for (const host of [router, detour]) {
    host.sysctl("net.ipv4.ip_forward", 1);
    for (const dev of host === router ? ["eth0", "eth1", "eth2"] : ["eth0"]) {
      host.run("ethtool", ["-K", dev, "gro", "off"]);
      host.sysctl(`net/ipv4/conf/${dev}/rp_filter`, 0);
    }
    host.sysctl("net.ipv4.conf.all.rp_filter", 0);
    host.sysctl("net.ipv4.conf.all.send_redirects", 0);
  }
  left.ip("route", "add", "default", "via", "192.0.2.254");
  right.ip("route", "add", "default", "via", "198.51.100.254");
  detour.ip("route", "add", "default", "via", "203.0.113.1");
  router.ip("route", "add", "default", "via", "203.0.113.2", "table", DETOUR_TABLE);
  router.ip("rule", "add", "fwmark", "1", "lookup", DETOUR_TABLE);
  return { left, right, router };
};

/** What the router does to one VXLAN datagram in `every`, taken at random. */
const harm = (router: Host, every: number, verdict: "drop" | "meta mark set 1"): void => {
  const rule = `iifname { "eth0", "eth1" } udp dport 4789 numgen random mod ${every} == 0 counter ${verdict}`;
  const chain = `chain harm {\n type filter hook prerouting priority mangle;\n ${rule}\n }`;
  router.run("nft", ["-f", "-"], { input: `table ip underlay {\n ${chain}\n}\n` });
};
const harmed = (router: Host): number =>
  Number(router.run("nft", ["list", "table", "ip", "underlay"]).match(/counter packets (\d+)/)?.[1]);

const start = async (left: Host, right: Host): Promise<RunningDaemon[]> => {
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  const tunnel = (local: string, remote: string, address: string): string =>
    `{ ov0: { mode: vxlan, id: 42, local: ${local}, remote: ${remote}, addresses: [${address}/24] } }`;
  return Promise.all([
    RunningDaemon.start(left, tunnel("192.0.2.1", "198.51.100.1", "10.42.0.1")),
    RunningDaemon.start(right, tunnel("198.51.100.1", "192.0.2.1", "10.42.0.2")),
  ]);
};

const expectTransfers = async (left: Host, right: Host): Promise<void> => {
  const transfers = await Promise.all([
    transfer(left, right, "10.42.0.2", TRANSFER_BYTES),
    transfer(right, left, "10.42.0.1", TRANSFER_BYTES),
  ]);
  for (const { sent, received } of transfers) expect(received).toBe(sent);
};

/** Segments that came before others that were due. */
const outOfOrder = (host: Host): number =>
  Number(host.run("nstat", ["-azs", "TcpExtTCPOFOQueue"]).match(/TCPOFOQueue\s+(\d+)/)?.[1]);

describe("TCP between two vtepd", () => {
  it("arrives unchanged over an underlay that loses one datagram in a hundred", async () => {
    const { left, right, router } = routed();
    const daemons = await start(left, right);
    harm(router, 100, "drop");
    await expectTransfers(left, right);
    // 6 MB are some 4300 segments.
    expect(harmed(router)).toBeGreaterThan(10);
    for (const daemon of daemons) expect([daemon.drops("encap"), daemon.drops("decap")]).toEqual([{}, {}]);
  });

  it("arrives unchanged over an underlay that swaps datagrams", async () => {
    const { left, right, router } = routed();
    const daemons = await start(left, right);
    harm(router, 20, "meta mark set 1");
    await expectTransfers(left, right);
    expect(harmed(router)).toBeGreaterThan(50);
    // Nothing is lost here, so only swapped datagrams can come out of order.
    expect(outOfOrder(left) + outOfOrder(right)).toBeGreaterThan(0);
    for (const daemon of daemons) expect([daemon.drops("encap"), daemon.drops("decap")]).toEqual([{}, {}]);
  });
});
