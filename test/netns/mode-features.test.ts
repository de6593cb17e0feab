/**
 * What tunnels of all modes have in common, in modes that differ in what they carry and in what carries them: outer header,
 * congestion marks, sizes, trust, recovery, and what is shown of them. test/netns/outer-header.test.ts and its neighbours
 * have the same for VXLAN in more cases.
 *
 *   left: vtepd, ov0 10.42.0.1, fd00:42::1 --- eth0 192.0.2.1, 2001:db8::1 === eth0 ...2 --- vtepd, ov0 ...2 :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { httpGet } from "../support/http.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { unixHttp } from "../support/unix-http.ts";
import { waitFor } from "../support/wait-for.ts";

const MEGABYTE = 1_000_000;

interface Mode {
  readonly mode: string;
  /** Keys of both ends, YAML. */
  readonly keys?: string;
  readonly inner: "IPv4" | "IPv6";
  /** Between inner and outer packet, bytes. */
  readonly overhead: number;
  readonly protocol: number;
  /** Behind the kind in `vtepctl -d link show`; L and R stand for the underlay's addresses. */
  readonly shown: string;
}

const MODES: readonly Mode[] = [
  {
    mode: "gre",
    keys: "key: 42",
    inner: "IPv4",
    overhead: 28,
    protocol: 47,
    shown: "gre remote R local L ttl auto nopmtudisc ignore-df ikey 0.0.0.42 okey 0.0.0.42",
  },
  {
    mode: "gre",
    inner: "IPv6",
    overhead: 24,
    protocol: 47,
    shown: "gre remote R local L ttl auto nopmtudisc ignore-df",
  },
  {
    mode: "gretap",
    inner: "IPv4",
    overhead: 38,
    protocol: 47,
    shown: "gretap remote R local L ttl auto nopmtudisc ignore-df",
  },
  { mode: "ipip", inner: "IPv4", overhead: 20, protocol: 4, shown: "ipip ipip remote R local L ttl auto nopmtudisc" },
  { mode: "sit", inner: "IPv6", overhead: 20, protocol: 41, shown: "sit ip6ip remote R local L ttl auto nopmtudisc" },
  {
    mode: "ip6gre",
    inner: "IPv4",
    overhead: 44,
    protocol: 47,
    shown: "ip6gre remote R local L hoplimit auto encaplimit none tclass 0x00 flowlabel 0x00000",
  },
];

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
});
afterEach(() => lab.close());

const isOverIpv6 = ({ mode }: Mode): boolean => mode.includes("6");
const overlay = ({ inner }: Mode, n: number): string => (inner === "IPv4" ? `10.42.0.${n}` : `fd00:42::${n}`);
const prefix = ({ inner }: Mode): number => (inner === "IPv4" ? 24 : 64);
const underlay = (mode: Mode, n: number): string => (isOverIpv6(mode) ? `2001:db8::${n}` : `192.0.2.${n}`);
const outerFamily = (mode: Mode): string => (isOverIpv6(mode) ? "ip6" : "ip");

const wire = (): void => {
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const [host, n] of [
    [left, 1],
    [right, 2],
  ] as const) {
    host.sysctl("net.ipv6.conf.all.keep_addr_on_down", 1);
    host.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1);
    host.address("eth0", `2001:db8::${n}/64`);
  }
};

/** @param keys of the left end, YAML @param ends underlay addresses */
const start = async (
  mode: Mode,
  keys = "",
  [a, b] = [underlay(mode, 1), underlay(mode, 2)],
  moreRight = "",
): Promise<void> => {
  const tunnel = (local: string, remote: string, n: number, more: string): string => {
    const address = `${overlay(mode, n)}/${prefix(mode)}`;
    const rest = [mode.keys ?? "", more].filter((text) => text !== "").map((text) => `, ${text}`);
    return `{ ov0: { mode: ${mode.mode}, local: "${local}", remote: "${remote}", addresses: ["${address}"]${rest.join("")} } }`;
  };
  [daemon] = await Promise.all([
    RunningDaemon.start(left, tunnel(a!, b!, 1, keys)),
    RunningDaemon.start(right, tunnel(b!, a!, 2, moreRight)),
  ]);
};

const ping = (host: Host, mode: Mode, n: number, ...args: readonly string[]): string =>
  host.exec("ping", ["-c", "2", "-i", "0.1", "-W", "2", ...args, overlay(mode, n)]).stdout;
const answered = (mode: Mode, ...args: readonly string[]): void => {
  expect(left.run("ping", [...requests(2), ...args, overlay(mode, 2)])).toContain(" 0% packet loss");
};

/** The outer header of one large ping that the left VTEP sends, as tcpdump -v prints it. */
const outerOf = async (mode: Mode, ...args: readonly string[]): Promise<string> => {
  const filter = `${outerFamily(mode)} proto ${mode.protocol} and src ${underlay(mode, 1)} and greater 500`;
  const capture = right.spawn("tcpdump", ["-nnvlt", "--immediate-mode", "-i", "eth0", "-c", "1", filter]);
  await capture.waitForOutput(/listening/);
  answered(mode, "-s", "500", ...args);
  const line = (): string | undefined => capture.stdout.split("\n").find((text) => /^IP6? \(/.test(text));
  await waitFor(() => line() !== undefined, { what: "an outer packet" });
  return line()!;
};

/** Congestion marks, or another source, for what the right host's VTEP sends. */
const mangle = (mode: Mode, what: string): void => {
  const chain = "chain o { type filter hook output priority 0;";
  const rule = `${outerFamily(mode)} daddr ${underlay(mode, 1)} meta l4proto ${mode.protocol} ${what}`;
  right.run("nft", ["-f", "-"], { input: `table inet t {\n${chain}\n${rule}\n}\n}\n` });
};

const named = MODES.map((mode) => [`${mode.mode}, ${mode.inner} inside`, mode] as const);

describe.each(named)("%s", (_name, mode) => {
  it("has the TTL and TOS that were asked for", async () => {
    wire();
    await start(mode, "ttl: 9, type-of-service: 0x40");
    expect(await outerOf(mode, "-Q", "0x3")).toMatch(isOverIpv6(mode) ? /class 0x43,.*hlim 9,/ : /tos 0x43,CE, ttl 9,/);
  });

  it("inherits TTL and TOS, and ECN always", async () => {
    wire();
    await start(mode, "ttl: inherit, type-of-service: inherit");
    const wanted = isOverIpv6(mode) ? /class 0x52,.*hlim 33,/ : /tos 0x52,ECT\(0\), ttl 33,/;
    expect(await outerOf(mode, "-Q", "0x52", "-t", "33")).toMatch(wanted);
  });

  it("tells the inner packet of congestion, and drops one that does not understand", async () => {
    wire();
    await start(mode);
    answered(mode);
    mangle(mode, `${outerFamily(mode)} ecn set ce`);
    const echo = mode.inner === "IPv4" ? "icmp[icmptype] == icmp-echoreply" : "icmp6 and ip6[40] == 129";
    const capture = left.spawn("tcpdump", ["-nnvlt", "--immediate-mode", "-i", "ov0", "-c", "1", echo]);
    await capture.waitForOutput(/listening/);
    answered(mode, "-Q", "0x2");
    await waitFor(() => /(tos|class) 0x0?3,/.test(capture.stdout), { what: "CE inside" });
    expect(capture.stdout).not.toMatch(/bad cksum|wrong/);
    expect(ping(left, mode, 2, "-W", "0.2")).toContain("100% packet loss");
    await waitFor(() => (daemon.drops("decap")["ip_tunnel_ecn"] ?? 0) >= 2, { what: "drops" });
    expect(Object.keys(daemon.drops("decap"))).toEqual(["ip_tunnel_ecn"]);
  });

  it("lets ECT(1) outside win over ECT(0) inside, and nothing else of it", async () => {
    wire();
    await start(mode);
    answered(mode);
    mangle(mode, `${outerFamily(mode)} ecn set ect1`);
    const echo = mode.inner === "IPv4" ? "icmp[icmptype] == icmp-echoreply" : "icmp6 and ip6[40] == 129";
    const capture = left.spawn("tcpdump", ["-nnvlt", "--immediate-mode", "-i", "ov0", "-c", "4", echo]);
    await capture.waitForOutput(/listening/);
    answered(mode, "-Q", "0x2");
    answered(mode, "-Q", "0x3");
    const marks = (): number[] => [...capture.stdout.matchAll(/(?:tos|class) (0x\w+)/g)].map(([, tos]) => Number(tos));
    await waitFor(() => marks().length === 4, { what: "four answers" });
    expect(marks()).toEqual([1, 1, 3, 3]);
    answered(mode); // not-ECT inside stays as it is
    expect(daemon.drops("decap")).toEqual({});
  });

  it("answers the sender of what does not fit", async () => {
    wire();
    await start(mode, "mtu: 1500");
    const fits = 1500 - mode.overhead;
    const words = mode.inner === "IPv4" ? `Frag needed and DF set (mtu = ${fits})` : `Packet too big: mtu=${fits}`;
    expect(
      ping(left, mode, 2, "-M", "do", "-W", "0.5", "-s", String(1500 - (mode.inner === "IPv4" ? 28 : 48))),
    ).toContain(words);
    expect(daemon.drops("encap")).toEqual({ pkt_too_big_told: 1 }); // the host has learned it then
    answered(mode, "-M", "do", "-s", String(fits - (mode.inner === "IPv4" ? 28 : 48)));
  });

  it("carries HTTP over a path of 1400 that nobody was told of", async () => {
    const [near, beyond] = [lab.host("near"), lab.host("beyond")];
    const net = isOverIpv6(mode) ? (n: number) => `2001:db8:${n}::` : (n: number) => `198.51.${n}.`;
    const bits = isOverIpv6(mode) ? 64 : 24;
    const ends = (n: number): [string, string] => [`${net(n)}1/${bits}`, `${net(n)}2/${bits}`];
    lab.wire(left, "eth0", near, "eth0", { addresses: ends(1) });
    lab.wire(near, "eth1", beyond, "eth1", { addresses: ends(2), mtu: 1400 });
    lab.wire(beyond, "eth0", right, "eth0", { addresses: ends(3) });
    for (const router of [near, beyond]) {
      router.sysctl("net.ipv4.ip_forward", 1);
      router.sysctl("net.ipv6.conf.all.forwarding", 1);
    }
    for (const [host, via] of [
      [left, `${net(1)}2`],
      [near, `${net(2)}2`],
      [beyond, `${net(2)}1`],
      [right, `${net(3)}1`],
    ] as const) {
      host.ip(isOverIpv6(mode) ? "-6" : "-4", "route", "add", "default", "via", via);
    }
    await start(mode, "do-not-fragment: true", [`${net(1)}1`, `${net(3)}2`], "do-not-fragment: true");
    expect(await httpGet(left, right, overlay(mode, 1), MEGABYTE)).toBe(MEGABYTE);
    expect(await httpGet(right, left, overlay(mode, 2), MEGABYTE)).toBe(MEGABYTE);
    // The other end's segments are as small then: TCP has heard of it.
    expect(daemon.drops("encap")["pkt_too_big_told"]).toBeGreaterThan(0);
    await waitFor(() => daemon.stats().links[0]!.remotes[0]!.path_mtu === 1400, { what: "a path MTU of 1400" });
  });

  it("takes nothing from others, and counts it", async () => {
    wire();
    await start(mode);
    answered(mode);
    mangle(mode, `${outerFamily(mode)} saddr set ${underlay(mode, 9)}`);
    right.exec("ping", ["-c", "3", "-i", "0.1", "-W", "0.2", overlay(mode, 1)]);
    await waitFor(() => (daemon.drops("socket")["no_tunnel"] ?? 0) >= 3, { what: "three refused packets" });
    expect(Object.keys(daemon.drops("socket"))).toEqual(["no_tunnel"]);
    expect(daemon.drops("decap")).toEqual({});
    right.run("nft", ["delete", "table", "inet", "t"]);
    answered(mode);
  });

  it("works again when the underlay's interface is back", async () => {
    wire();
    await start(mode);
    answered(mode);
    left.ip("link", "set", "eth0", "down");
    await daemon.child.waitForOutput(/underlay is missing/);
    expect(daemon.vtepctl("-d", "link", "show", "ov0").stdout).toContain(" underlay degraded ");
    left.ip("link", "set", "eth0", "up");
    await waitFor(() => left.exec("ping", ["-c", "1", "-W", "0.2", overlay(mode, 2)]).status === 0, {
      what: "an answer",
    });
    await daemon.child.waitForOutput(/underlay is back/);
    expect(daemon.child.stdout.match(/underlay is missing/g)).toHaveLength(1);
  });

  it("is shown as iproute2 shows it, and counted", async () => {
    wire();
    await start(mode);
    answered(mode);
    const words = mode.shown.replace("L", underlay(mode, 1)).replace("R", underlay(mode, 2));
    const lines = daemon.vtepctl("-d", "link", "show", "ov0").stdout.split("\n");
    expect(lines[0]).toMatch(new RegExp(`: ov0: <.*UP.*> mtu ${1500 - mode.overhead} `));
    expect(lines[1]).toMatch(mode.mode === "gretap" ? /^ {4}link\/ether .* brd / : /^ {4}link\/none$/);
    expect(lines[2]!.trim()).toBe(words);
    const [row] = daemon.json<[{ linkinfo: { info_kind: string; info_data: object } }]>("link", "show", "ov0");
    expect(row.linkinfo).toMatchObject({
      info_kind: mode.mode,
      info_data: { remote: underlay(mode, 2), local: underlay(mode, 1) },
    });
    // A host may say something by itself between two looks: they are taken again until nothing has come meanwhile.
    const seen = await waitFor(
      async () => {
        const link = daemon.stats().links[0]!;
        const text = daemon.vtepctl("stats", "dev", "ov0").stdout;
        const { text: metrics } = await unixHttp({ socket: daemon.socket, path: "/metrics" });
        return daemon.stats().links[0]!.rx.packets === link.rx.packets ? { link, text, metrics } : undefined;
      },
      { what: "silence", timeoutMs: 20_000 },
    );
    const { link, text, metrics } = seen!;
    expect(link.rx.packets).toBeGreaterThanOrEqual(2);
    expect(link.remotes).toMatchObject([{ address: underlay(mode, 2), rx: link.rx, tx: link.tx, path_mtu: 1500 }]);
    expect(text).toContain(`ov0 rx packets ${link.rx.packets} `);
    expect(metrics).toMatch(new RegExp(`vtepd_link_info\\{link="ov0",mode="${mode.mode}",`));
    expect(metrics).toContain(`vtepd_link_receive_packets_total{link="ov0"} ${link.rx.packets}\n`);
  });
});
