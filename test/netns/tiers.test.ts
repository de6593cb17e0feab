/**
 * Every tier of daemon/offload.ts carries the same traffic, with a vtepd or the kernel's vxlan at the other end.
 *
 *   left (ov0 10.42.0.1)                               right (ov0 10.42.0.2)
 *     vtepd --- eth0 192.0.2.1 === 192.0.2.2 eth0 --- vtepd or kernel
 */
import { afterEach, describe, expect, it } from "vitest";
import { OFFLOAD_TIERS, type OffloadTier } from "../../src/config/config.ts";
import type { StatusJson } from "../../src/control/stats-json.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { type BurstReport, DatagramBurst } from "../support/datagram-burst.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";

const TRANSFER_BYTES = 5_000_000;
const DATAGRAMS = 400;
const DATAGRAM_BYTES = 1400;
const COMPLETE: BurstReport = { count: DATAGRAMS, sizes: [DATAGRAM_BYTES], isInOrder: true };

let lab: Lab;
afterEach(() => lab.close());

const hosts = (mode: WireMode): [Host, Host] => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  // No router solicitations, which would meet a vtepd that has its socket but not yet its tunnel.
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  return [left, right];
};

const startVtepd = (host: Host, own: 1 | 2, tier?: OffloadTier): Promise<RunningDaemon> => {
  const tunnel = `{ mode: vxlan, id: 42, local: 192.0.2.${own}, remote: 192.0.2.${3 - own}, addresses: [10.42.0.${own}/24] }`;
  return RunningDaemon.start(host, `{ ov0: ${tunnel} }`, tier === undefined ? {} : { daemon: `offload: ${tier}` });
};

const startKernel = (host: Host): void => {
  const ends = ["local", "192.0.2.2", "remote", "192.0.2.1", "dev", "eth0"];
  host.ip("link", "add", "ov0", "type", "vxlan", "id", "42", "dstport", "4789", ...ends);
  host.address("ov0", "10.42.0.2/24");
};

const offloadOf = (daemon: RunningDaemon): StatusJson["offload"] => daemon.json<StatusJson>("status").offload;

/** The programs take as long to start as the daemons, and can do so beside them. */
const prepareBurst = (left: Host, right: Host): DatagramBurst => {
  const ends = [
    { host: left, peer: "10.42.0.2" },
    { host: right, peer: "10.42.0.1" },
  ];
  return DatagramBurst.start(ends, DATAGRAMS, DATAGRAM_BYTES);
};

/** Ping, TCP both ways at once, UDP both ways at once. */
const expectTraffic = async (left: Host, right: Host, burst: DatagramBurst): Promise<void> => {
  expect(left.run("ping", [...requests(3), "10.42.0.2"])).toContain(" 0% packet loss");
  const transfers = await Promise.all([
    transfer(left, right, "10.42.0.2", TRANSFER_BYTES),
    transfer(right, left, "10.42.0.1", TRANSFER_BYTES),
  ]);
  for (const { sent, received } of transfers) expect(received).toBe(sent);
  expect(await burst.run()).toEqual([COMPLETE, COMPLETE]);
};

const expectNoDrops = (daemon: RunningDaemon): void =>
  expect([daemon.drops("encap"), daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}, {}]);

const cases = OFFLOAD_TIERS.flatMap((tier) => (["wire-like", "virtual"] as const).map((mode) => [tier, mode] as const));

describe.each(cases)("tier %s over a %s underlay", (tier, mode) => {
  it("carries frames between two vtepd", async () => {
    const [left, right] = hosts(mode);
    const burst = prepareBurst(left, right);
    const daemons = await Promise.all([startVtepd(left, 1, tier), startVtepd(right, 2, tier)]);
    await expectTraffic(left, right, burst);
    for (const daemon of daemons) {
      expect(offloadOf(daemon)).toMatchObject({ tier, segment_refused: 0, segment_lost: 0 });
      expectNoDrops(daemon);
    }
  });

  it("carries frames between vtepd and the kernel's vxlan", async () => {
    const [left, right] = hosts(mode);
    const burst = prepareBurst(left, right);
    const daemon = await startVtepd(left, 1, tier);
    startKernel(right);
    await expectTraffic(left, right, burst);
    expect(offloadOf(daemon).tier).toBe(tier);
    expectNoDrops(daemon);
    expect(left.run("nstat", ["-azs", "TcpInCsumErrors", "UdpInCsumErrors"])).not.toMatch(/CsumErrors\s+[1-9]/);
  });
});

describe("tiers", () => {
  it("need not be the same at both ends", async () => {
    const [left, right] = hosts("wire-like");
    const burst = prepareBurst(left, right);
    const daemons = await Promise.all([startVtepd(left, 1, "plain"), startVtepd(right, 2, "socket")]);
    await expectTraffic(left, right, burst);
    expect(daemons.map((daemon) => offloadOf(daemon).tier)).toEqual(["plain", "socket"]);
    for (const daemon of daemons) expectNoDrops(daemon);
  });

  it("are as the environment says, whatever the file does", async () => {
    const [left] = hosts("wire-like");
    process.env["VTEPD_OFFLOAD"] = "mmsg";
    try {
      expect(offloadOf(await startVtepd(left, 1, "plain"))).toMatchObject({ tier: "mmsg", in_use: ["vnet-header"] });
    } finally {
      delete process.env["VTEPD_OFFLOAD"];
    }
  });

  it("are the best that works when nobody says", async () => {
    const [left] = hosts("wire-like");
    const offload = offloadOf(await startVtepd(left, 1));
    expect([offload.tier, offload.not_in_use]).toEqual(["socket", {}]);
  });
});
