/**
 *   left (ov0 10.42.0.1)                                        right (ov0 10.42.0.2)
 *     vtepd --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 --- the kernel's vxlan, and tcpdump
 */
import { afterEach, describe, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";

let lab: Lab;
afterEach(() => lab.close());

const UNDERLAYS = { IPv4: ["192.0.2.1", "192.0.2.2"], IPv6: ["2001:db8::1", "2001:db8::2"] } as const;

interface Setting {
  readonly family?: keyof typeof UNDERLAYS;
  /** Keys of the tunnel, YAML. */
  readonly keys: string;
  /** Of the kernel's device. */
  readonly kernel?: string;
  readonly daemon?: string;
  readonly workers?: number;
}

const start = async ({ family = "IPv4", keys, kernel = "", daemon, workers = 1 }: Setting) => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  const [a, b] = UNDERLAYS[family];
  const prefix = family === "IPv4" ? 24 : 64;
  lab.wire(left, "eth0", right, "eth0", { addresses: [`${a}/${prefix}`, `${b}/${prefix}`] });
  const options = `id 42 dstport 4789 local ${b} remote ${a} dev eth0 ${kernel}`.trim().split(" ");
  right.ip("link", "add", "ov0", "type", "vxlan", ...options);
  right.address("ov0", "10.42.0.2/24");
  right.address("ov0", "fd00:42::2/64");
  const running = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: "${a}", remote: "${b}", addresses: [10.42.0.1/24, "fd00:42::1/64"]${keys === "" ? "" : `, ${keys}`} } }`,
    { workers, ...(daemon === undefined ? {} : { daemon }) },
  );
  left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]); // ARP and neighbour discovery are done
  left.run("ping", ["-c", "1", "-W", "5", "fd00:42::2"]);
  return { left, right, running, a };
};

/** The outer header lines of what the left VTEP sends meanwhile, as tcpdump -v prints them. */
const outerLines = async (right: Host, a: string, send: () => void, count = 2): Promise<string[]> => {
  // Longer than what hosts send by themselves.
  const filter = `udp dst port 4789 and src ${a} and greater 500`;
  const capture = right.spawn("tcpdump", ["-nnvlt", "-i", "eth0", "-c", String(count), filter]);
  await capture.waitForOutput(/listening/);
  send();
  const lines = (): string[] => capture.stdout.split("\n").filter((line) => /^IP6? \(.* UDP \(17\)/.test(line));
  await waitFor(() => lines().length >= count, { what: `${count} packets` });
  return lines();
};

const ping = (left: Host, ...args: readonly string[]): void => {
  expect(left.run("ping", [...requests(2), "-s", "500", ...args])).toContain(" 0% packet loss");
};

const CASES: readonly [what: string, setting: Setting, args: readonly string[], wanted: RegExp][] = [
  ["by default TTL 64, no DF", { keys: "" }, ["10.42.0.2"], /tos 0x0, ttl 64, .*flags \[none\]/],
  ["a fixed TTL", { keys: "ttl: 9" }, ["10.42.0.2"], /ttl 9,/],
  ["an inherited TTL", { keys: "ttl: inherit" }, ["-t", "33", "10.42.0.2"], /ttl 33,/],
  ["a fixed TOS", { keys: "type-of-service: 0xb8" }, ["10.42.0.2"], /tos 0xb8,/],
  ["an inherited TOS", { keys: "type-of-service: inherit" }, ["-Q", "0x40", "10.42.0.2"], /tos 0x40,/],
  ["the inner ECN, ECT(0)", { keys: "" }, ["-Q", "0x2", "10.42.0.2"], /tos 0x2,ECT\(0\)/],
  [
    "the inner ECN, CE, beside a fixed TOS",
    { keys: "type-of-service: 0x40" },
    ["-Q", "0x3", "10.42.0.2"],
    /tos 0x43,CE/,
  ],
  ["DF", { keys: "do-not-fragment: true" }, ["10.42.0.2"], /flags \[DF\]/],
  ["an inherited DF, set", { keys: "do-not-fragment: inherit" }, ["-M", "do", "10.42.0.2"], /flags \[DF\]/],
  ["an inherited DF, clear", { keys: "do-not-fragment: inherit" }, ["-M", "dont", "10.42.0.2"], /flags \[none\]/],
  ["an inherited DF, of IPv6", { keys: "do-not-fragment: inherit" }, ["fd00:42::2"], /flags \[DF\]/],
  ["over IPv6 a hop limit", { family: "IPv6", keys: "ttl: 9" }, ["10.42.0.2"], /hlim 9,/],
  [
    "over IPv6 a traffic class",
    { family: "IPv6", keys: "type-of-service: inherit" },
    ["-Q", "0x41", "10.42.0.2"],
    /class 0x41,/,
  ],
  ["over IPv6 a flow label", { family: "IPv6", keys: "flow-label: 0xabcde" }, ["10.42.0.2"], /flowlabel 0xabcde,/],
];

describe("outer packets have", () => {
  it.each(CASES)("%s", async (_what, setting, args, wanted) => {
    const { left, right, a } = await start(setting);
    for (const line of await outerLines(right, a, () => ping(left, ...args))) expect(line).toMatch(wanted);
  });

  it("over IPv6 the flow label of the IPv6 packet inside, and the host's while somebody keeps one for itself", async () => {
    const { left, right, a, running } = await start({ family: "IPv6", keys: "flow-label: inherit" });
    const filter = `udp dst port 4789 and src ${a} and greater 500`;
    const capture = right.spawn("tcpdump", ["-nnvlt", "--immediate-mode", "-i", "eth0", "-c", "4", filter]);
    await capture.waitForOutput(/listening/, 10_000);
    ping(left, "fd00:42::2");
    // A label that ping leases is its own alone.
    ping(left, "-F", "0x12345", "fd00:42::2");
    const labels = (): (string | undefined)[] =>
      [...capture.stdout.matchAll(/IP6 \((?:flowlabel (0x\w+), )?hlim/g)].map(([, label]) => label);
    await waitFor(() => labels().length >= 8, { what: "four packets, outer and inner header" });
    const [outer1, inner1, outer2, inner2, outer3, inner3, outer4, inner4] = labels();
    expect([outer1, outer2]).toEqual([inner1, inner2]);
    expect(outer1).not.toBeUndefined();
    expect([inner3, inner4]).toEqual(["0x12345", "0x12345"]);
    expect([outer3, outer4]).not.toContain("0x12345");
    expect(running.drops("encap")).toEqual({});
  });

  it.skipIf(addon.probeTap().tunnel !== "")("all of it in tier tunnel", async () => {
    const keys = "ttl: 9, type-of-service: 0x40, do-not-fragment: inherit";
    const { left, right, a } = await start({ keys, daemon: "offload: tunnel" });
    const send = (): void => ping(left, "-Q", "0x1", "-M", "do", "10.42.0.2");
    for (const line of await outerLines(right, a, send)) {
      expect(line).toMatch(/tos 0x41,ECT\(1\), ttl 9, .*flags \[DF\]/);
    }
  });

  it("source ports of the range, one for each flow", async () => {
    const { left, right, a } = await start({ keys: "port-range: [50000, 50099]" });
    const capture = right.spawn("tcpdump", ["-nnlt", "-i", "eth0", "-c", "20", `udp dst port 4789 and src ${a}`]);
    await capture.waitForOutput(/listening/);
    const mac = right.ipJson("link", "show", "ov0")[0].address as string;
    for (let n = 0; n < 20; n++) {
      left.ip("neigh", "replace", `10.42.0.${100 + n}`, "lladdr", mac, "dev", "ov0");
      left.exec("ping", ["-c", "1", "-W", "0.01", `10.42.0.${100 + n}`]);
    }
    const ports = (): number[] =>
      [...capture.stdout.matchAll(/192\.0\.2\.1\.(\d+) >/g)].map(([, port]) => Number(port));
    await waitFor(() => ports().length === 20, { what: "20 packets" });
    expect(Math.min(...ports())).toBeGreaterThanOrEqual(50_000);
    expect(Math.max(...ports())).toBeLessThanOrEqual(50_099);
    expect(new Set(ports()).size).toBeGreaterThan(5);
  });

  it.each([50_000, 4789])("the one fixed source port %i, with several workers", async (port) => {
    const { left, right, a } = await start({ keys: `port-range: [${port}, ${port}]`, workers: 3 });
    const capture = right.spawn("tcpdump", ["-nnlt", "-i", "eth0", "-c", "10", `udp dst port 4789 and src ${a}`]);
    await capture.waitForOutput(/listening/);
    await transfer(left, right, "10.42.0.2", 1_000_000);
    await transfer(right, left, "10.42.0.1", 1_000_000);
    await waitFor(() => capture.stdout.split("\n").length > 10, { what: "10 packets" });
    for (const [, from] of capture.stdout.matchAll(/192\.0\.2\.1\.(\d+) >/g)) expect(Number(from)).toBe(port);
  });

  it("no checksum where none is wanted, and the peer's are taken", async () => {
    const { left, right, a } = await start({ keys: "checksums: []", kernel: "noudpcsum" });
    const capture = right.spawn("tcpdump", ["-nnvvlt", "-i", "eth0", "-c", "2", `udp dst port 4789 and src ${a}`]);
    await capture.waitForOutput(/listening/);
    ping(left, "10.42.0.2");
    await waitFor(() => capture.stdout.includes("no cksum"), { what: "a packet without checksum" });
    const { sent, received } = await transfer(left, right, "10.42.0.2", 5_000_000);
    expect(received).toBe(sent);
  });

  it("over IPv6 no checksum either, where both ends agree", async () => {
    const keys = "checksums: [zero-udp6-tx, zero-udp6-rx]";
    const { left, right } = await start({ family: "IPv6", keys, kernel: "udp6zerocsumtx udp6zerocsumrx" });
    ping(left, "10.42.0.2");
    const { sent, received } = await transfer(left, right, "10.42.0.2", 5_000_000);
    expect(received).toBe(sent);
  });

  it("the firewall mark", async () => {
    const { left } = await start({ keys: "fwmark: 42" });
    left.run("nft", [
      "add table ip t; add chain ip t o { type filter hook output priority 0; }; add rule ip t o meta mark 42 udp dport 4789 counter",
    ]);
    ping(left, "10.42.0.2");
    // Two that leave in one message are one packet here.
    await waitFor(() => /counter packets [1-9]/.test(left.run("nft", ["list", "table", "ip", "t"])), {
      what: "marked packets",
    });
  });
});

describe("congestion marks of the underlay", () => {
  /** Marks what the kernel peer sends, on its way out. */
  const mark = (right: Host, ecn: string): void => {
    const chain = "add chain ip t o { type filter hook output priority 0; }";
    right.run("nft", [`add table ip t; ${chain}; add rule ip t o udp dport 4789 ip ecn set ${ecn}`]);
  };

  it("are carried over to packets that understand them", async () => {
    const { left, right } = await start({ keys: "" });
    mark(right, "ce");
    const capture = left.spawn("tcpdump", ["-nnvlt", "-i", "ov0", "-c", "1", "icmp[icmptype] == icmp-echoreply"]);
    await capture.waitForOutput(/listening/);
    ping(left, "-Q", "0x2", "10.42.0.2");
    await waitFor(() => /tos 0x3,CE/.test(capture.stdout), { what: "CE inside" });
    expect(capture.stdout).not.toContain("bad cksum");
  });

  it("make others be dropped, and counted", async () => {
    const { left, right, running } = await start({ keys: "" });
    mark(right, "ce");
    left.exec("ping", ["-c", "3", "-i", "0.1", "-W", "0.2", "10.42.0.2"]);
    // Beside the three answers, what the host sends by itself.
    await waitFor(() => (running.drops("decap")["ip_tunnel_ecn"] ?? 0) >= 3, { what: "three drops" });
    expect(Object.keys(running.drops("decap"))).toEqual(["ip_tunnel_ecn"]);
  });
});
