/**
 * Three hosts on a switch, each with a gretap tunnel to the two others: what tunnels with a VNI do with many remote VTEPs,
 * these do as well.
 *
 *   one, two, three: vtepd, ov0 10.42.0.1, .2, .3 --- eth0 192.0.2.1, .2, .3; 2001:db8::1, ::2, ::3 --- switch
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DaemonSettings, RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

const NUMBERS = [1, 2, 3] as const;
const MACS = ["", "02:00:00:00:42:01", "02:00:00:00:42:02", "02:00:00:00:42:03"] as const;

let lab: Lab;
let hosts: readonly [Host, Host, Host];
let daemons: RunningDaemon[];

beforeEach(() => {
  lab = Lab.create();
  hosts = [lab.host("one"), lab.host("two"), lab.host("three")];
  for (const host of hosts) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  lan(
    lab,
    hosts.map((host, index) => ({ host, addresses: [`192.0.2.${index + 1}/24`] })),
  );
  for (const [index, host] of hosts.entries()) {
    host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0);
    host.address("eth0", `2001:db8::${index + 1}/64`);
  }
});
afterEach(() => lab.close());

const underlay = (mode: string, n: number): string => (mode === "ip6gretap" ? `2001:db8::${n}` : `192.0.2.${n}`);

const others = (mode: string, n: number): string =>
  NUMBERS.filter((m) => m !== n)
    .map((m) => `"${underlay(mode, m)}"`)
    .join(", ");

/** @param keys of each tunnel beside mode, addresses and MAC, YAML */
const start = async (
  mode: string,
  keys = (n: number): string => `flood: [${others(mode, n)}]`,
  settings: DaemonSettings = {},
): Promise<void> => {
  const daemonOf = (host: Host, n: number): Promise<RunningDaemon> => {
    const own = `mode: ${mode}, local: "${underlay(mode, n)}", macaddress: "${MACS[n]}", addresses: [10.42.0.${n}/24]`;
    return RunningDaemon.start(host, `{ ov0: { ${own}, ${keys(n)} } }`, settings);
  };
  daemons = await Promise.all(hosts.map((host, index) => daemonOf(host, index + 1)));
};

const ping = (from: number, to: number): string => hosts[from - 1]!.run("ping", [...requests(3), `10.42.0.${to}`]);

/** Frames that a daemon has received from a remote VTEP; -1 = it knows no such. */
const receivedFrom = (n: number, address: string): number =>
  daemons[n - 1]!.stats().links[0]!.remotes.find((remote) => remote.address === address)?.rx.packets ?? -1;

const flooded = (n: number): number => daemons[n - 1]!.stats().links[0]!.flooded;

describe.each(["gretap", "ip6gretap"])("a mesh of %s", (mode) => {
  it("learns who is where, and sends unicast to one remote VTEP only", async () => {
    await start(mode, undefined, { workers: 2 });
    for (const from of NUMBERS)
      for (const to of NUMBERS) if (from !== to) expect(ping(from, to)).toContain(" 0% packet");
    for (const n of NUMBERS) {
      const wanted = NUMBERS.filter((m) => m !== n).map((m) => `${MACS[m]} ${underlay(mode, m)}`);
      expect(daemons[n - 1]!.learned("ov0")).toEqual(wanted.sort());
    }
    const [receivedBefore, floodedBefore] = [receivedFrom(3, underlay(mode, 1)), flooded(1)];
    const { sent, received } = await transfer(hosts[0], hosts[1], "10.42.0.2", 2_000_000);
    expect(received).toBe(sent);
    expect(flooded(1)).toBe(floodedBefore);
    // The kernel asks its neighbours now and then whether they are still there.
    expect(receivedFrom(3, underlay(mode, 1)) - receivedBefore).toBeLessThan(4);
    for (const daemon of daemons) {
      expect([daemon.drops("encap"), daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}, {}]);
    }
  });
});

describe("gretap", () => {
  it("follows its flood list: who is not a member gets no copy, and is a stranger", async () => {
    await start("gretap", () => "key: 7");
    for (const [n, dst] of [
      [1, "192.0.2.2"],
      [2, "192.0.2.1"],
      [3, "192.0.2.1"],
    ] as const) {
      expect(daemons[n - 1]!.vtepctl("flood", "add", "ov0", "dst", dst).status).toBe(0);
    }
    expect(ping(1, 2)).toContain(" 0% packet loss");
    expect(hosts[2].exec("ping", ["-c", "1", "-W", "0.3", "10.42.0.1"]).status).not.toBe(0);
    await waitFor(() => (daemons[0]!.drops("socket")["no_tunnel"] ?? 0) > 0, { what: "a refused frame" });
    expect(daemons[0]!.learned("ov0")).toEqual([`${MACS[2]} 192.0.2.2`]);
    expect(daemons[0]!.vtepctl("flood", "add", "ov0", "dst", "192.0.2.3").status).toBe(0);
    expect(ping(3, 1)).toContain(" 0% packet loss");
    expect(daemons[0]!.vtepctl("flood", "del", "ov0", "dst", "192.0.2.3").status).toBe(0);
    expect(daemons[0]!.learned("ov0")).toEqual([`${MACS[2]} 192.0.2.2`]);
    expect(ping(1, 2)).toContain(" 0% packet loss");
  });

  it("carries unicast by static entries alone, and never learns another place", async () => {
    const fdb = (n: number): string =>
      NUMBERS.filter((m) => m !== n)
        .map((m) => `{ mac: "${MACS[m]}", dst: ${underlay("gretap", m)} }`)
        .join(", ");
    await start("gretap", (n) => `fdb: [${fdb(n)}], mac-learning: false, key: 9, checksum: true`);
    for (const [index, host] of hosts.entries()) {
      for (const m of NUMBERS) {
        if (m !== index + 1) host.ip("neigh", "replace", `10.42.0.${m}`, "lladdr", MACS[m], "dev", "ov0");
      }
    }
    for (const from of NUMBERS)
      for (const to of NUMBERS) if (from !== to) expect(ping(from, to)).toContain(" 0% packet");
    for (const n of NUMBERS) {
      expect(daemons[n - 1]!.learned("ov0")).toEqual([]);
      expect(flooded(n)).toBe(0);
    }
  });

  it("answers for far stations with arp-proxy, and floods only the first question", async () => {
    await start("gretap", (n) => `flood: [${others("gretap", n)}], arp-proxy: true`);
    const ask = (): void => {
      hosts[0].ip("neigh", "flush", "dev", "ov0");
      expect(ping(1, 3)).toContain(" 0% packet loss");
    };
    ask();
    await waitFor(() => daemons[0]!.vtepctl("neigh", "show", "dev", "ov0").stdout.includes("10.42.0.3 "), {
      what: "a neighbour",
    });
    const before = flooded(1);
    ask();
    expect(flooded(1)).toBe(before);
    expect(daemons[0]!.stats().links[0]!.neighbour_answers).toBeGreaterThan(0);
  });

  it("moves a station that turns up behind another remote VTEP", async () => {
    await start("gretap");
    expect(ping(1, 2)).toContain(" 0% packet loss");
    hosts[1].ip("address", "del", "10.42.0.2/24", "dev", "ov0");
    hosts[1].ip("link", "set", "ov0", "address", "02:00:00:00:42:99");
    hosts[2].ip("link", "set", "ov0", "address", MACS[2]);
    hosts[2].address("ov0", "10.42.0.2/24");
    hosts[2].run("ping", ["-c", "1", "-W", "5", "10.42.0.1"]);
    await waitFor(() => daemons[0]!.learned("ov0").includes(`${MACS[2]} 192.0.2.3`), { what: "the move" });
    expect(ping(1, 2)).toContain(" 0% packet loss");
  });
});
