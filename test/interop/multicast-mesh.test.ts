/**
 * Four hosts find each other by a multicast group, and come and go. The switch snoops, and hands the group only to those
 * that have asked for it: so a host that does not report its membership hears nothing.
 *
 *   h1, h2, h3: vtepd; h4: the kernel's vxlan
 *     ov0 10.42.0.n --- eth0 192.0.2.n / 2001:db8::n === switch
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { waitFor } from "../support/wait-for.ts";
import { FrameTally } from "./frame-tally.ts";
import { overlay4, overlayMac, underlayAddress } from "./peer.ts";

const HOSTS = [1, 2, 3, 4] as const;
const KERNEL = 4;
const GROUPS = { IPv4: "239.1.1.1", IPv6: "ff05::42" } as const;
/** As hosts of today ask, and so that who has left is soon forgotten. Hundredths of a second. */
const SNOOPING = [
  "mcast_query_interval 100 mcast_startup_query_interval 100 mcast_query_response_interval 10",
  "mcast_last_member_interval 10 mcast_last_member_count 1",
  // These come last: whoever begins to ask floods for as long as an answer may take.
  "mcast_igmp_version 3 mcast_mld_version 2 mcast_snooping 1 mcast_querier 1",
];

describe.each(["IPv4", "IPv6"] as const)("a mesh of four hosts over multicast, %s underlay", (family) => {
  let lab: Lab;
  let hub: Host;
  let hosts: Host[];
  const daemons = new Map<number, RunningDaemon>();

  const host = (n: number): Host => hosts[n - 1]!;
  /** Hosts whose port gets the group. */
  const members = (): number[] =>
    HOSTS.filter((n) =>
      hub
        .run("bridge", ["mdb", "show", "dev", "br0"])
        .split("\n")
        .some((line) => line.includes(`port to-h${n} `) && line.includes(` grp ${GROUPS[family]} `)),
    );
  const areMembers = (...expected: readonly number[]): Promise<unknown> =>
    waitFor(() => members().join() === expected.join(), { what: () => `members ${expected}, there are ${members()}` });

  const join = async (n: number): Promise<void> => {
    if (n === KERNEL) {
      const options = `id 42 dstport 4789 group ${GROUPS[family]} dev eth0`.split(" ");
      host(n).ip("link", "add", "ov0", "address", overlayMac(n), "type", "vxlan", ...options);
      host(n).address("ov0", `${overlay4(n)}/24`);
      return;
    }
    const keys = `id: 42, group: "${GROUPS[family]}", link: eth0, macaddress: "${overlayMac(n)}"`;
    const tunnel = `{ mode: vxlan, ${keys}, addresses: [${overlay4(n)}/24] }`;
    daemons.set(n, await RunningDaemon.start(host(n), `{ ov0: ${tunnel} }`));
  };
  const leave = async (n: number, signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (n === KERNEL) {
      host(n).ip("link", "delete", "ov0");
      return;
    }
    const { child } = daemons.get(n)!;
    daemons.delete(n);
    child.signal(signal);
    await child.exited;
  };

  /** Each of them reaches each other one, once, and vtepd has learned all the others and nobody else. */
  const isMesh = async (...present: readonly number[]): Promise<void> => {
    await areMembers(...present);
    for (const [n, daemon] of daemons) {
      daemon.vtepctl("fdb", "flush", "dev", "ov0");
      host(n).ip("neigh", "flush", "dev", "ov0");
    }
    const othersOf = (n: number): number[] => present.filter((other) => other !== n);
    for (const from of present) {
      for (const to of othersOf(from)) {
        const said = host(from).run("ping", ["-c", "1", "-W", "5", overlay4(to)]);
        expect(said, `${from} to ${to}`).toContain("1 received, 0% packet loss");
      }
    }
    // The first frame of a VTEP that nobody knew teaches nothing yet, so this comes after all.
    for (const [n, daemon] of daemons) {
      const expected = othersOf(n).map((other) => `${overlayMac(other)} ${underlayAddress(family, other)}`);
      const known = (): string => daemon.learned("ov0").join();
      await waitFor(() => known() === expected.join(), { what: () => `${n} to know ${expected}, it knows ${known()}` });
    }
  };
  const hearsNothing = (from: number, to: number): void => {
    expect(host(from).exec("ping", ["-c", "1", "-W", "0.2", overlay4(to)]).stdout).toContain("100% packet loss");
  };

  beforeEach(() => {
    lab = Lab.create();
    hosts = HOSTS.map((n) => lab.host(`h${n}`));
    for (const each of hosts) each.sysctl("net.ipv6.conf.default.disable_ipv6", 0);
    hub = lan(
      lab,
      HOSTS.map((n) => ({ host: host(n), addresses: [`192.0.2.${n}/24`, `2001:db8::${n}/64`] })),
    );
    for (const options of SNOOPING) hub.ip("link", "set", "br0", "type", "bridge", ...options.split(" "));
  });
  afterEach(async () => {
    daemons.clear();
    await lab.close();
  });

  it("forms, loses a host, a second one without a word, and has both again", async () => {
    for (const n of [1, 2, KERNEL]) await join(n);
    await isMesh(1, 2, KERNEL);
    await join(3);
    await isMesh(1, 2, 3, KERNEL);

    await leave(2);
    await isMesh(1, 3, KERNEL);
    const group = `${family === "IPv4" ? "ip" : "ip6"} daddr ${GROUPS[family]} udp dport 4789`;
    const [member, former] = [new FrameTally(host(3), "eth0", group), new FrameTally(host(2), "eth0", group)];
    hearsNothing(1, 2);
    await member.reaches(1);
    expect(former.count).toBe(0);

    await leave(3, "SIGKILL");
    await isMesh(1, KERNEL);
    await leave(KERNEL);
    await areMembers(1);
    hearsNothing(1, KERNEL);

    for (const n of [KERNEL, 3, 2]) await join(n);
    await isMesh(1, 2, 3, KERNEL);
  });

  it("has a host again whose cable was out", async () => {
    for (const n of HOSTS) await join(n);
    await isMesh(...HOSTS);
    hub.ip("link", "set", "to-h1", "down");
    await isMeshWithout1();
    hub.ip("link", "set", "to-h1", "up");
    await isMesh(...HOSTS);
  });

  const isMeshWithout1 = async (): Promise<void> => {
    await areMembers(2, 3, KERNEL);
    hearsNothing(2, 1);
    for (const [from, to] of [
      [2, 3],
      [3, KERNEL],
      [KERNEL, 2],
    ] as const) {
      expect(host(from).run("ping", ["-c", "1", "-W", "5", overlay4(to)])).toContain("1 received");
    }
  };
});
