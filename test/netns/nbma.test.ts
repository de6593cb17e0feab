/**
 * Tunnels of IP packets with more than one remote VTEP. Hosts 1, 2, 3 on one switch, a vtepd on each:
 *
 *   ov0 10.42.0.N, fd00:42::N -- eth0 192.0.2.N, 2001:db8::N;  behind host N: 10.N.0.1, fd00:N::1 on lo
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
const daemons: RunningDaemon[] = [];

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await lab.close();
});

const hosts = (): [Host, Host, Host] => {
  lab = Lab.create();
  const all = ["one", "two", "three"].map((label) => lab.host(label)) as [Host, Host, Host];
  lan(
    lab,
    all.map((host, n) => ({ host, addresses: [`192.0.2.${n + 1}/24`, `2001:db8::${n + 1}/64`] })),
  );
  for (const [n, host] of all.entries()) {
    host.ip("link", "set", "lo", "up");
    host.ip("address", "add", `10.${n + 1}.0.1/32`, "dev", "lo");
    host.ip("address", "add", `fd00:${n + 1}::1/128`, "dev", "lo");
  }
  return all;
};

const start = async (host: Host, tunnel: string): Promise<RunningDaemon> => {
  const daemon = await RunningDaemon.start(host, `{ ov0: ${tunnel} }`, { workers: 2 });
  daemons.push(daemon);
  return daemon;
};

const pings = (from: Host, to: string): void => {
  expect(from.run("ping", [...requests(3), to])).toContain(" 0% packet loss");
};

type Family = "IPv4" | "IPv6";
const BOTH: readonly Family[] = ["IPv4", "IPv6"];
const far = (family: Family, n: number): string => (family === "IPv4" ? `10.${n}.0.1` : `fd00:${n}::1`);
const near = (family: Family, n: number): string => (family === "IPv4" ? `10.42.0.${n}` : `fd00:42::${n}`);
const width = (family: Family): number => (family === "IPv4" ? 24 : 64);
const networks = (family: Family, n: number): string[] =>
  family === "IPv4" ? [`10.${n}.0.0/16`, `10.42.0.${n}/32`] : [`fd00:${n}::/64`, `fd00:42::${n}/128`];

describe("routes", () => {
  it.each([
    ["gre", "key: 7", BOTH],
    ["ip6gre", "", BOTH],
    ["ipip", "", ["IPv4"]],
    ["sit", "", ["IPv6"]],
    ["ip6tnl", "", BOTH],
    ["ipip6", "", ["IPv4"]],
    ["ip6ip6", "", ["IPv6"]],
    ["gre", "encap: { type: gue }", BOTH],
  ] as const)("of %s %s lead to two remote VTEPs and back", async (mode, keys, carries) => {
    const all = hosts();
    const underlay = (n: number): string => (mode.includes("6") ? `2001:db8::${n}` : `192.0.2.${n}`);
    await Promise.all(
      all.map((host, index) => {
        const own = index + 1;
        const routes = carries.flatMap((family) =>
          [1, 2, 3]
            .filter((n) => n !== own)
            .flatMap((n) => networks(family, n).map((to) => `{ to: "${to}", via: "${underlay(n)}" }`)),
        );
        const addresses = carries.map((family) => `"${near(family, own)}/${width(family)}"`);
        const more = keys === "" ? "" : `, ${keys}`;
        return start(
          host,
          `{ mode: ${mode}, local: "${underlay(own)}", addresses: [${addresses}], routes: [${routes}]${more} }`,
        );
      }),
    );
    for (const family of carries) {
      for (const to of [2, 3]) {
        pings(all[0], far(family, to));
        pings(all[0], near(family, to));
      }
      const { sent, received } = await transfer(all[1], all[2], near(family, 3), 500_000);
      expect(received).toBe(sent);
    }
    for (const daemon of daemons) expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
  });

  it("leave the rest to `remote`, the longest prefix counts, and they are shown", async () => {
    const [one, two, three] = hosts();
    const daemon = await start(
      one,
      "{ mode: gre, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24], routes: " +
        "[{ to: 10.0.0.0/8, via: 192.0.2.2 }, { to: 10.3.0.0/16, via: 192.0.2.3 }, { to: 10.42.0.0/24, via: 192.0.2.3 }] }",
    );
    for (const [host, n] of [
      [two, 2],
      [three, 3],
    ] as const) {
      await start(
        host,
        `{ mode: gre, local: 192.0.2.${n}, remote: 192.0.2.1, addresses: [10.42.0.${n}/24], routes: [{ to: 10.1.0.0/16, via: 192.0.2.1 }] }`,
      );
    }
    one.ip("route", "add", "198.51.100.0/24", "dev", "ov0");
    two.ip("address", "add", "198.51.100.2/32", "dev", "lo");
    pings(one, "10.2.0.1");
    pings(one, "10.3.0.1");
    pings(one, "10.42.0.3");
    pings(one, "198.51.100.2");
    const [link] = daemon.json<{ vtepd: { routes: unknown } }[]>("-d", "link", "show", "ov0");
    expect(link?.vtepd.routes).toEqual([
      { to: "10.0.0.0/8", via: "192.0.2.2" },
      { to: "10.3.0.0/16", via: "192.0.2.3" },
      { to: "10.42.0.0/24", via: "192.0.2.3" },
    ]);
    expect(daemon.vtepctl("-d", "link", "show", "ov0").stdout).toContain("route 10.3.0.0/16 via 192.0.2.3");
    // What its own address is in is routed by the kernel already.
    expect(one.ip("route", "show", "dev", "ov0", "10.42.0.0/24")).toContain("proto kernel");
    expect(one.ip("route", "show", "dev", "ov0", "10.3.0.0/16")).not.toBe("");
  });

  it("without `remote` drop what is in none of them, and packets of others are no tunnel's", async () => {
    const [one, two] = hosts();
    const daemon = await start(
      one,
      "{ mode: ipip, local: 192.0.2.1, addresses: [10.42.0.1/24], routes: [{ to: 10.3.0.0/16, via: 192.0.2.3 }] }",
    );
    one.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.9"]);
    expect(daemon.drops("encap")).toEqual({ no_tx_target: 1 });
    const other = "{ mode: ipip, local: 192.0.2.2, remote: 192.0.2.1, addresses: [10.42.0.2/24] }";
    await start(two, other);
    two.exec("ping", ["-c", "1", "-W", "0.2", "10.42.0.1"]);
    await waitFor(() => daemon.drops("socket")["no_tunnel"] === 1, { what: "no_tunnel" });
    expect(daemon.stats().links[0]?.rx.packets).toBe(0);
  });
});

describe("next hops of the host's routes", () => {
  it.each([
    ["gre", "key: 7", BOTH],
    ["ipip", "", ["IPv4"]],
    ["sit", "", ["IPv6"]],
  ] as const)("are the remote VTEPs of %s %s without one", async (mode, keys, carries) => {
    const all = hosts();
    const underlay = (n: number): string => `192.0.2.${n}`;
    const tunnel = (n: number, more: string): string => {
      const addresses = carries.map((family) => `"${near(family, n)}/${family === "IPv4" ? 32 : 128}"`);
      return `{ mode: ${mode}, local: "${underlay(n)}", addresses: [${addresses}]${more} }`;
    };
    const own = keys === "" ? "" : `, ${keys}`;
    const [one] = await Promise.all(all.map((host, index) => start(host, tunnel(index + 1, own))));
    const route = (host: Host, verb: string, to: string, n: number): void => {
      host.ip("route", verb, to, "via", `${to.includes(":") ? "::" : ""}${underlay(n)}`, "dev", "ov0", "onlink");
    };
    for (const [index, host] of all.entries()) {
      for (const n of [1, 2, 3].filter((other) => other !== index + 1)) {
        for (const to of carries.flatMap((family) => networks(family, n))) route(host, "add", to, n);
      }
    }
    const shown = (): unknown[] =>
      one!.json<{ vtepd: { routes: unknown[] } }[]>("-d", "link", "show", "ov0")[0]!.vtepd.routes;
    const family = carries[0];
    await Promise.all(
      daemons.map((daemon) =>
        waitFor(
          () =>
            daemon.json<{ vtepd: { routes: unknown[] } }[]>("link", "show", "ov0")[0]!.vtepd.routes.length ===
            4 * carries.length,
          { what: "routes of the tunnel" },
        ),
      ),
    );
    expect(shown()).toContainEqual({ to: networks(family, 3)[0], via: underlay(3) });
    for (const inner of carries) for (const n of [2, 3]) pings(all[0], near(inner, n));
    for (const inner of carries) all[0].run("ping", ["-c", "1", "-W", "2", "-I", near(inner, 1), far(inner, 3)]);
    for (const daemon of daemons) expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);

    // Another next hop, and none.
    const [network] = networks(family, 3) as [string];
    route(all[0], "replace", network, 2);
    await waitFor(() => JSON.stringify(shown()).includes(`{"to":"${network}","via":"${underlay(2)}"}`), {
      what: "the other next hop",
    });
    // With `remote` they are of no account, and without it again.
    for (const [more, count] of [
      [", remote: 192.0.2.3", 0],
      ["", 4 * carries.length],
    ] as const) {
      one!.rewrite(`{ ov0: ${tunnel(1, own + more)} }`);
      one!.vtepctl("config", "reload");
      await waitFor(() => shown().length === count, { what: `${count} routes` });
    }
    const other = family === "IPv4" ? "10.99.0.0/16" : "fd00:99::/64";
    all[0].ip("route", "add", other, "dev", "ov0");
    for (const to of carries.flatMap((inner) => [...networks(inner, 2), ...networks(inner, 3)])) {
      all[0].ip("route", "del", to, "dev", "ov0");
    }
    await waitFor(() => shown().length === 0, { what: "no routes" });
    const before = one!.drops("encap")["no_tx_target"] ?? 0;
    all[0].exec("ping", ["-c", "1", "-W", "0.2", family === "IPv4" ? "10.99.0.1" : "fd00:99::1"]);
    expect(one!.drops("encap")["no_tx_target"] ?? 0).toBeGreaterThan(before);
    expect(one!.stats().links[0]!.remotes).toEqual([]);
  });
});

describe("a multicast group", () => {
  it.each([
    ["gre", "239.1.1.1", "IPv4"],
    ["ip6gre", "ff05::42", "IPv6"],
  ] as const)("of %s is where packets go that no route takes, and anybody is heard", async (mode, group, family) => {
    const all = hosts();
    await Promise.all(
      all.map((host, index) => {
        const local = mode === "gre" ? `192.0.2.${index + 1}` : `"2001:db8::${index + 1}"`;
        const addresses = BOTH.map((of) => `"${near(of, index + 1)}/${width(of)}"`);
        return start(
          host,
          `{ mode: ${mode}, group: "${group}", link: eth0, local: ${local}, addresses: [${addresses}] }`,
        );
      }),
    );
    for (const inner of BOTH) {
      pings(all[0], near(inner, 2));
      pings(all[0], near(inner, 3));
      pings(all[2], near(inner, 2));
    }
    const { sent, received } = await transfer(all[1], all[2], near(family, 3), 200_000);
    expect(received).toBe(sent);
    for (const daemon of daemons) {
      expect(daemon.drops("socket")).toEqual({});
      expect(Object.keys(daemon.drops("decap")).filter((reason) => reason !== "looped_back")).toEqual([]);
    }
    const [link] = daemons[0]!.json<{ linkinfo: { info_data: Record<string, string> } }[]>("-d", "link", "show", "ov0");
    const { ikey, okey } = link!.linkinfo.info_data;
    expect([ikey, okey]).toEqual(mode === "gre" ? [group, group] : [undefined, undefined]);
  });
});

/** Of host n, whose underlay address is 192.0.2.n. */
const EMBEDDED = {
  "6to4": (n: number) => `2002:c000:20${n}::1`,
  "6rd": (n: number) => `fd00:6:2:${n}00::1`,
  isatap: (n: number) => `fd00:15::5efe:c000:20${n}`,
} as const;
const PREFIXES = { "6to4": 16, "6rd": 32, isatap: 64 } as const;
const KEYS = { "6to4": "", "6rd": ', prefix: "fd00:6::/32", relay-prefix: 192.0.0.0/8', isatap: "" } as const;
type Automatic = keyof typeof EMBEDDED;

const automatic = (mode: Automatic, n: number, more = ""): string =>
  `{ mode: ${mode}, local: 192.0.2.${n}, addresses: ["${EMBEDDED[mode](n)}/${PREFIXES[mode]}"]${KEYS[mode]}${more} }`;

describe.each(["6to4", "6rd", "isatap"] as const)("%s", (mode) => {
  it("finds the VTEP in the destination, between three hosts that nobody has named", async () => {
    const all = hosts();
    const started = await Promise.all(all.map((host, index) => start(host, automatic(mode, index + 1))));
    for (const [from, to] of [
      [0, 2],
      [0, 3],
      [2, 2],
    ] as const) {
      // The first, too: on either side it waits until the other has a slot.
      pings(all[from]!, EMBEDDED[mode](to));
    }
    const { sent, received } = await transfer(all[1], all[2], EMBEDDED[mode](3), 500_000);
    expect(received).toBe(sent);
    for (const daemon of started) {
      expect([daemon.drops("encap"), daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}, {}]);
    }
    const remotes = started[0]!.stats().links[0] as unknown as { remotes: { address: string }[] };
    expect(remotes.remotes.map(({ address }) => address).sort()).toEqual(["192.0.2.2", "192.0.2.3"]);
  });

  it("drops packets whose source is another's, and those from outside but for its relay's", async () => {
    const [one, two, three] = hosts();
    const relay = mode === "isatap" ? ", potential-routers: [192.0.2.3]" : ", remote: 192.0.2.3";
    const daemon = await start(one, automatic(mode, 1, relay));
    one.ip("route", "add", "2001:db8:ffff::/48", "dev", "ov0");
    for (const [host, n] of [
      [two, 2],
      [three, 3],
    ] as const) {
      // Sends whatever it is given, and has a foreign address.
      const addresses = `["${EMBEDDED[mode](n)}/${PREFIXES[mode]}", "2001:db8:ffff::${n}/128", "${EMBEDDED[mode](9)}/128"]`;
      await start(host, `{ mode: sit, local: 192.0.2.${n}, remote: 192.0.2.1, addresses: ${addresses} }`);
    }
    const ours = EMBEDDED[mode](1);
    one.exec("ping", ["-c", "1", "-W", "0.5", EMBEDDED[mode](2)]);
    one.exec("ping", ["-c", "1", "-W", "0.5", EMBEDDED[mode](3)]);
    expect(two.run("ping", ["-c", "2", "-W", "2", "-I", EMBEDDED[mode](2), ours])).toContain(" 0% packet loss");
    expect(three.run("ping", ["-c", "2", "-W", "2", "-I", "2001:db8:ffff::3", ours])).toContain(" 0% packet loss");
    pings(one, "2001:db8:ffff::3");
    const before = daemon.drops("decap")["ip_invalid_source"] ?? 0;
    two.exec("ping", ["-c", "1", "-W", "0.3", "-I", "2001:db8:ffff::2", ours]);
    two.exec("ping", ["-c", "1", "-W", "0.3", "-I", EMBEDDED[mode](9), ours]);
    three.exec("ping", ["-c", "1", "-W", "0.3", "-I", EMBEDDED[mode](9), ours]);
    await waitFor(() => (daemon.drops("decap")["ip_invalid_source"] ?? 0) >= before + 3, { what: "ip_invalid_source" });
  });
});
