/**
 *   a, b: vtepd; k: the kernel's vxlan; all on one switch, group 239.1.1.1 or ff05::42
 *     ov0 10.42.0.x --- eth0 192.0.2.x / 2001:db8::x
 */
import { afterEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { requests } from "../support/requests.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
afterEach(() => lab.close());

const FAMILIES = {
  IPv4: { group: "239.1.1.1", address: (n: number) => `192.0.2.${n}` },
  IPv6: { group: "ff05::42", address: (n: number) => `2001:db8::${n}` },
} as const;
type Family = keyof typeof FAMILIES;

const hostsOf = (labels: readonly string[]): Host[] => {
  lab = Lab.create();
  const hosts = labels.map((label) => lab.host(label));
  lan(
    lab,
    hosts.map((host, index) => ({ host, addresses: [`192.0.2.${index + 1}/24`, `2001:db8::${index + 1}/64`] })),
  );
  return hosts;
};

/** Tunnel of host n, 1 and up. */
const tunnel = (family: Family, n: number, more = ""): string =>
  `{ ov0: { mode: vxlan, id: 42, group: "${FAMILIES[family].group}", link: eth0, addresses: [10.42.0.${n}/24]${more} } }`;

const kernelVxlan = (host: Host, family: Family, n: number): void => {
  const options = `id 42 dstport 4789 group ${FAMILIES[family].group} dev eth0`.split(" ");
  host.ip("link", "add", "ov0", "type", "vxlan", ...options);
  host.address("ov0", `10.42.0.${n}/24`);
};

const pings = (from: Host, n: number): void => {
  // Duplicates would be a copy too many.
  const said = from.run("ping", [...requests(3), `10.42.0.${n}`]);
  expect(said).toContain("3 received, 0% packet loss");
};

describe.each(["IPv4", "IPv6"] as const)("a multicast group, %s", (family) => {
  it.each([1, 3])("floods, learns and answers among vtepd and the kernel; workers: %i", async (workers) => {
    const [a, b, k] = hostsOf(["a", "b", "k"]) as [Host, Host, Host];
    kernelVxlan(k, family, 3);
    const daemons = [
      await RunningDaemon.start(a, tunnel(family, 1), { workers }),
      await RunningDaemon.start(b, tunnel(family, 2), { workers }),
    ];
    for (const [from, to] of [
      [a, 2],
      [a, 3],
      [k, 1],
      [k, 2],
      [b, 3],
      [b, 1],
    ] as const) {
      pings(from, to);
    }
    const macOf = (host: Host): string => host.ipJson("link", "show", "ov0")[0].address as string;
    const { address } = FAMILIES[family];
    const known = (): string[] => daemons[0]!.learned("ov0");
    await waitFor(() => known().length === 2, { what: "two learned MACs" });
    expect(known()).toEqual([`${macOf(b)} ${address(2)}`, `${macOf(k)} ${address(3)}`].sort());
    // The flood list is the group and nothing else.
    const flood = daemons[0]!.fdb("ov0").filter(({ mac }) => mac === "00:00:00:00:00:00");
    expect(flood.map(({ dst }) => dst)).toEqual([FAMILIES[family].group]);
  });

  it("gets nothing of other groups and other VNIs, and drops its own datagrams that come back", async () => {
    const [a, b] = hostsOf(["a", "b"]) as [Host, Host];
    const daemon = await RunningDaemon.start(a, tunnel(family, 1), {});
    const other = family === "IPv4" ? "239.1.1.2" : "ff05::43";
    b.ip("link", "add", "ov0", "type", "vxlan", ..."id 42 dstport 4789 dev eth0 group".split(" "), other);
    b.address("ov0", "10.42.0.2/24");
    b.exec("ping", ["-c", "2", "-i", "0.1", "-W", "0.1", "10.42.0.1"]);
    a.exec("ping", ["-c", "1", "-W", "0.1", "10.42.0.2"]);
    await waitFor(() => (daemon.drops("decap")["looped_back"] ?? 0) > 0, { what: "looped_back" });
    expect(daemon.stats().links[0]!.rx.packets).toBe(0);
    expect(Object.keys(daemon.drops("decap"))).toEqual(["looped_back"]);
  });
});

it("a group may stay in a flood list that is set, and nothing else leads to it", async () => {
  const [a] = hostsOf(["a"]) as [Host];
  const daemon = await RunningDaemon.start(a, tunnel("IPv4", 1), {});
  const set = (...members: string[]) => daemon.vtepctl("flood", "set", "ov0", ...members);
  expect(set("dst", "192.0.2.9", "dst", "239.1.1.1").stderr).toBe("");
  expect(daemon.vtepctl("flood", "show", "ov0").stdout).toBe("dst 192.0.2.9\ndst 239.1.1.1\n");
  const refusal = (address: string): string =>
    `dst: expected a unicast IPv4 or IPv6 address or a host name, got "${address}" (a multicast address; the key \`group\` is for those)\n`;
  expect(set("dst", "239.1.1.2").stderr).toBe(`vtepctl: 0.${refusal("239.1.1.2")}`);
  const entry = ["02:00:00:00:00:05", "dev", "ov0", "dst", "239.1.1.1"];
  expect(daemon.vtepctl("fdb", "add", ...entry).stderr).toBe(`vtepctl: ${refusal("239.1.1.1")}`);
  expect(daemon.vtepctl("flood", "del", "ov0", "dst", "239.1.1.1").status).toBe(0);
  expect(daemon.fdb("ov0").map(({ dst }) => dst)).toEqual(["192.0.2.9"]);
});

it.skipIf(addon.probeTap().tunnel !== "")("a group in tier tunnel, where packet sockets receive", async () => {
  const [a, b, k] = hostsOf(["a", "b", "k"]) as [Host, Host, Host];
  kernelVxlan(k, "IPv4", 3);
  const daemon = await RunningDaemon.start(a, tunnel("IPv4", 1), { workers: 2, daemon: "offload: tunnel" });
  await RunningDaemon.start(b, tunnel("IPv4", 2), { workers: 2, daemon: "offload: tunnel" });
  for (const [from, to] of [
    [a, 2],
    [k, 1],
    [b, 3],
  ] as const) {
    pings(from, to);
  }
  expect(daemon.vtepctl("-d", "link", "show").stdout).toContain("receive packet");
});

it("more groups than one socket may join, each in its own tunnel", async () => {
  const [a, b] = hostsOf(["a", "b"]) as [Host, Host];
  const count = 30;
  const tunnels = (n: number): string =>
    `{ ${Array.from(
      { length: count },
      (_, i) => `ov${i}: { mode: vxlan, id: ${i}, group: 239.1.2.${i}, link: eth0, addresses: [10.${i}.0.${n}/24] }`,
    ).join(", ")} }`;
  await RunningDaemon.start(a, tunnels(1));
  await RunningDaemon.start(b, tunnels(2));
  for (const i of [0, 19, 20, 29]) expect(a.run("ping", ["-c", "1", "-W", "5", `10.${i}.0.2`])).toContain("1 received");
  expect(a.run("ip", ["maddr", "show", "dev", "eth0"]).match(/inet +239\.1\.2\./g)).toHaveLength(count);
});
