/** The checks of the kernel's own selftest vxlan_bridge_1d, made anew with vtepd in the place of the device under test. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { waitFor } from "../support/wait-for.ts";
import { ADDRESSES, BridgeLab, BURST, MACS, NOBODY } from "./bridge-lab.ts";
import { FrameTally } from "./frame-tally.ts";

/** nftables' words for fields of the outer header. */
const OUTER = {
  IPv4: { ip: "ip", ttl: "ip ttl", tos: (n: number) => `ip dscp ${n >> 2} ip ecn ${n & 3}` },
  IPv6: { ip: "ip6", ttl: "ip6 hoplimit", tos: (n: number) => `ip6 dscp ${n >> 2} ip6 ecn ${n & 3}` },
} as const;

describe.each(["IPv4", "IPv6"] as const)("vtepd as a port of a bridge, %s underlay", (family) => {
  const { ip, ttl, tos } = OUTER[family];
  let net: BridgeLab;
  let hosts: BridgeLab["hosts"];
  let daemon: RunningDaemon;

  beforeAll(() => {
    net = new BridgeLab(family);
    hosts = net.hosts;
  });
  afterEach(() => net.clear());
  afterAll(() => net?.lab.close());

  it("ping", async () => {
    daemon = await net.start();
    net.everybodyPings();
    for (const [host, dev, address] of [
      [hosts.h1, "eth0", "fd00:42::1"],
      [hosts.v2, "br0", "fd00:42::12"],
    ] as const) {
      host.sysctl(`net.ipv6.conf.${dev}.disable_ipv6`, 0);
      host.address(dev, `${address}/64`);
    }
    expect(hosts.h1.run("ping", ["-c", "1", "-W", "5", "fd00:42::12"])).toContain("1 received");
    expect(hosts.v2.run("ping", ["-c", "1", "-W", "5", "fd00:42::1"])).toContain("1 received");
    hosts.h1.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1);
    hosts.v2.sysctl("net.ipv6.conf.br0.disable_ipv6", 1);
  });

  it("flood", async () => {
    daemon = await net.start();
    await net.burst(NOBODY, { h2: BURST, v2: BURST, v3: BURST });
    await net.burst("ff:ff:ff:ff:ff:ff", { h2: BURST, v2: BURST, v3: BURST });
    await net.burst("01:00:5e:00:00:99", { h2: BURST, v2: BURST, v3: BURST });
    // What comes out of the tunnel does not go back into it: v3 has v2's own copy and no second one.
    await net.burst(NOBODY, { h1: BURST, h2: BURST, v3: BURST }, "v2");
    // Nothing goes to those that have left the list.
    daemon.vtepctl("fdb", "del", "00:00:00:00:00:00", "dev", "ov0", "dst", net.at(3));
    await net.burst(NOBODY, { h2: BURST, v2: BURST });
    daemon.vtepctl("fdb", "append", "00:00:00:00:00:00", "dev", "ov0", "dst", net.at(3));
    await net.burst(NOBODY, { h2: BURST, v2: BURST, v3: BURST });
  });

  it("flood of unknown unicast off", async () => {
    daemon = await net.start("unknown-unicast: drop");
    await net.burst(NOBODY, { h2: BURST });
    await net.burst("ff:ff:ff:ff:ff:ff", { h2: BURST, v2: BURST, v3: BURST });
    expect(daemon.drops("encap")).toEqual({ unknown_unicast: BURST });
  });

  it("unicast", async () => {
    daemon = await net.start();
    // The bridge does not know the MAC and gives it to h2 too.
    daemon.vtepctl("fdb", "add", NOBODY, "dev", "ov0", "dst", net.at(2));
    await net.burst(NOBODY, { h2: BURST, v2: BURST });
    daemon.vtepctl("fdb", "replace", NOBODY, "dev", "ov0", "dst", net.at(3));
    await net.burst(NOBODY, { h2: BURST, v3: BURST });
    daemon.vtepctl("fdb", "del", NOBODY, "dev", "ov0");
    await net.burst(NOBODY, { h2: BURST, v2: BURST, v3: BURST });
    // And not to us what the bridge knows to be elsewhere.
    net.ping("h2", "h1");
    await net.burst(MACS.h2, { h2: BURST });
  });

  it("ttl", async () => {
    daemon = await net.start("ttl: 99");
    const tally = new FrameTally(hosts.v2, "eth0", `udp dport 4789 ${ttl} 99`);
    const others = new FrameTally(hosts.v2, "eth0", `${ip} saddr ${net.at(1)} udp dport 4789 ${ttl} != 99`);
    net.ping("h1", "v2");
    await tally.reaches(1);
    expect(others.count).toBe(0);
  });

  it("tos", async () => {
    daemon = await net.start("type-of-service: inherit");
    for (const value of [0x40, 0x00, 0xb8]) {
      const tally = new FrameTally(hosts.v2, "eth0", `udp dport 4789 ${tos(value)} meta length 500-700`);
      net.ping("h1", "v2", "-s", "500", "-Q", String(value));
      await tally.reaches(1);
    }
  });

  it("ecn encap", async () => {
    daemon = await net.start();
    for (const value of [0, 1, 2, 3]) {
      const tally = new FrameTally(hosts.v2, "eth0", `udp dport 4789 ${tos(value)} meta length 500-700`);
      net.ping("h1", "v2", "-s", "500", "-Q", String(value));
      await tally.reaches(1);
    }
  });

  it("ecn decap (RFC 6040, figure 4)", async () => {
    daemon = await net.start();
    net.ping("v2", "h1"); // ARP is done
    // A row for each inner value, a column for each outer one: Not-ECT, ECT(1), ECT(0), CE.
    const expected = [
      [0, 0, 0, "drop"],
      [1, 1, 1, 3],
      [2, 1, 2, 3],
      [3, 3, 3, 3],
    ];
    const filter = `icmp[0] == 8 and src ${ADDRESSES.v2}`;
    const capture = hosts.h1.spawn("tcpdump", ["--immediate-mode", "-nnvlt", "-i", "eth0", filter]);
    await capture.waitForOutput(/listening/);
    const ecns = ["not-ect", "ect1", "ect0", "ce"];
    for (const [outer, name] of ecns.entries()) {
      const chain = "add chain inet path out { type filter hook output priority 0; }; flush chain inet path out";
      hosts.v2.run("nft", [
        `add table inet path; ${chain}; add rule inet path out udp dport 4789 ${ip} ecn set ${name}`,
      ]);
      // The length says which combination it was.
      for (const inner of ecns.keys()) {
        const words = `-c 1 -W 0.1 -Q ${inner} -s ${100 + 4 * inner + outer} ${ADDRESSES.h1}`;
        hosts.v2.exec("ping", words.split(" "));
      }
    }
    hosts.v2.run("nft", ["flush", "ruleset"]);
    net.ping("v2", "h1", "-s", "200");
    await capture.waitForOutput(/length 228/);
    await capture.stop();
    const seen = expected.map((row, inner) =>
      row.map((_, outer) => {
        const tos = new RegExp(`tos 0x(\\d).* length ${128 + 4 * inner + outer}\\)`).exec(capture.stdout)?.[1];
        return tos === undefined ? "drop" : Number(tos);
      }),
    );
    expect(seen).toEqual(expected);
    expect(daemon.drops("decap")["ip_tunnel_ecn"]).toBeGreaterThanOrEqual(1);
  });

  it("reapply: other values after a restart, and the first ones again", async () => {
    daemon = await net.start();
    net.everybodyPings();
    await daemon.stop();
    net.remotes({ vni: 77, port: 8472 });
    daemon = await net.start("port: 8472, ttl: 33", 77);
    const tally = new FrameTally(hosts.v2, "eth0", `udp dport 8472 ${ttl} 33`);
    net.everybodyPings();
    await net.burst(NOBODY, { h2: BURST, v2: BURST, v3: BURST });
    expect(tally.count).toBeGreaterThan(0);
    await daemon.stop();
    net.remotes();
    daemon = await net.start();
    net.everybodyPings();
  });

  it("learning: learn, flush", async () => {
    daemon = await net.start();
    await net.burst(MACS.v2, { h2: BURST, v2: BURST, v3: BURST });
    net.ping("v2", "h1");
    expect(daemon.learned("ov0")).toContain(`${MACS.v2} ${net.at(2)}`);
    await net.burst(MACS.v2, { v2: BURST });
    daemon.vtepctl("fdb", "flush", "dev", "ov0");
    expect(daemon.learned("ov0")).toEqual([]);
    await net.burst(MACS.v2, { v2: BURST, v3: BURST });
  });

  it("learning: age", async () => {
    daemon = await net.start("ageing: 1");
    net.ping("v2", "h1");
    expect(daemon.learned("ov0")).toContain(`${MACS.v2} ${net.at(2)}`);
    await waitFor(() => !daemon.learned("ov0").some((line) => line.startsWith(MACS.v2)), {
      what: "ageing",
    });
    await net.burst(MACS.v2, { v2: BURST, v3: BURST });
  });

  it("no learning", async () => {
    daemon = await net.start("mac-learning: false");
    net.ping("v2", "h1");
    expect(daemon.learned("ov0")).toEqual([]);
    await net.burst(MACS.v2, { v2: BURST, v3: BURST });
  });

  it("mtu: the largest frame passes both ways, a larger one does not", async () => {
    const mtu = family === "IPv4" ? 1450 : 1430;
    daemon = await net.start();
    hosts.h1.ip("link", "set", "eth0", "mtu", String(mtu));
    hosts.v2.ip("link", "set", "br0", "mtu", String(mtu));
    const size = mtu - 28;
    net.ping("h1", "v2", "-M", "do", "-s", String(size));
    net.ping("v2", "h1", "-M", "do", "-s", String(size));
    hosts.h1.ip("link", "set", "eth0", "mtu", "1500");
    const words = `-c 2 -i 0.02 -W 0.2 -M do -s ${size + 1} ${ADDRESSES.v2}`;
    const said = hosts.h1.exec("ping", words.split(" "));
    expect(said.stdout).toContain("100% packet loss");
    hosts.h1.ip("link", "set", "eth0", "mtu", "1430");
    net.ping("h1", "v2");
  });

  it("move: a station appears behind another VTEP, and then here", async () => {
    daemon = await net.start();
    const guest = "02:00:00:00:03:03";
    /** A station behind a port of the bridge of `host`, which goes again. */
    const appears = (host: Host): (() => void) => {
      const place = net.lab.host(`g${host.label}`);
      net.lab.wire(place, "eth0", host, "to-guest");
      host.ip("link", "set", "to-guest", "master", "br0");
      place.ip("link", "set", "eth0", "address", guest, "mtu", "1430");
      place.address("eth0", "10.42.0.50/24");
      expect(place.run("ping", ["-c", "1", "-W", "5", ADDRESSES.h1])).toContain("1 received");
      expect(hosts.h1.run("ping", ["-c", "1", "-W", "5", "10.42.0.50"])).toContain("1 received");
      return () => host.ip("link", "delete", "to-guest");
    };
    const where = (): string | undefined => daemon.learned("ov0").find((line) => line.startsWith(guest));
    let leaves = appears(hosts.v2);
    expect(where()).toBe(`${guest} ${net.at(2)}`);
    leaves();
    leaves = appears(hosts.v3);
    expect(where()).toBe(`${guest} ${net.at(3)}`);
    expect(daemon.stats().links[0]?.fdb.moves).toBe(1);
    leaves();
    leaves = appears(hosts.v1);
    await net.burst(guest, {});
    leaves();
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("restart of the daemon after %s", async (signal) => {
    daemon = await net.start();
    net.everybodyPings();
    daemon.child.signal(signal);
    await daemon.child.exited;
    hosts.h1.exec("ping", ["-c", "1", "-W", "0.1", ADDRESSES.v2]);
    daemon = await net.start();
    net.everybodyPings();
    expect(daemon.learned("ov0")).toEqual([`${MACS.v2} ${net.at(2)}`, `${MACS.v3} ${net.at(3)}`]);
  });
});
