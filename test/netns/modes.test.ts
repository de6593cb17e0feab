/**
 * Every mode between two hosts with vtepd, over a wire and over a plain veth: ping, and TCP by hash. test/interop has the same
 * modes with peers that others wrote.
 *
 *   left 10.42.0.1, fd00:42::1 -- ov0 -- eth0 192.0.2.1, 2001:db8::1 ===== eth0 -- ov0 -- right ...2
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";

const BYTES = 2_000_000;

interface ModeCase {
  readonly mode: string;
  /** Keys beside addresses, YAML. */
  readonly keys?: string;
  readonly carries: readonly ("IPv4" | "IPv6")[];
  readonly mtu: number;
}

const BOTH = ["IPv4", "IPv6"] as const;
const CASES: readonly ModeCase[] = [
  { mode: "gre", carries: BOTH, mtu: 1476 },
  { mode: "gre", keys: "key: 42", carries: BOTH, mtu: 1472 },
  { mode: "gre", keys: "key: 0.0.1.2, checksum: true, sequence: true", carries: BOTH, mtu: 1464 },
  { mode: "ip6gre", carries: BOTH, mtu: 1456 },
  { mode: "gretap", carries: BOTH, mtu: 1462 },
  { mode: "gretap", keys: "key: 7, checksum: true", carries: BOTH, mtu: 1454 },
  { mode: "ip6gretap", keys: "key: 7", carries: BOTH, mtu: 1438 },
  { mode: "ipip", carries: ["IPv4"], mtu: 1480 },
  { mode: "sit", carries: ["IPv6"], mtu: 1480 },
  { mode: "ipip6", carries: ["IPv4"], mtu: 1460 },
  { mode: "ip6ip6", carries: ["IPv6"], mtu: 1460 },
  { mode: "ip6tnl", carries: BOTH, mtu: 1460 },
  { mode: "gre", keys: "key: 42, encap: { type: gre-in-udp }", carries: BOTH, mtu: 1464 },
  { mode: "gretap", keys: "checksum: true, encap: { type: gue }", carries: BOTH, mtu: 1446 },
  { mode: "ip6gre", keys: "sequence: true, encap: { type: gue, port: 7000 }", carries: BOTH, mtu: 1440 },
  { mode: "ipip", keys: "encap: { type: fou }", carries: ["IPv4"], mtu: 1472 },
  { mode: "sit", keys: "encap: { type: gue }", carries: ["IPv6"], mtu: 1468 },
  { mode: "ip6tnl", keys: "encap: { type: gue }", carries: BOTH, mtu: 1448 },
];

const isOverIpv6 = (mode: string): boolean => mode.includes("6");
const underlay = (mode: string, n: number): string => (isOverIpv6(mode) ? `2001:db8::${n}` : `192.0.2.${n}`);
const overlay = { IPv4: (n: number) => `10.42.0.${n}`, IPv6: (n: number) => `fd00:42::${n}` } as const;

let lab: Lab;
let left: Host;
let right: Host;
const daemons: RunningDaemon[] = [];

const build = (wire: WireMode): void => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { mode: wire, addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::2/64");
};

const start = async (host: Host, { mode, keys, carries }: ModeCase, n: number): Promise<RunningDaemon> => {
  const ends = `local: "${underlay(mode, n)}", remote: "${underlay(mode, 3 - n)}"`;
  const addresses = carries.map((family) => `"${overlay[family](n)}/${family === "IPv4" ? 24 : 64}"`).join(", ");
  const more = keys === undefined ? "" : `, ${keys}`;
  const tunnel = `{ ov0: { mode: ${mode}, ${ends}, addresses: [${addresses}]${more} } }`;
  const daemon = await RunningDaemon.start(host, tunnel, { workers: 2 });
  daemons.push(daemon);
  return daemon;
};

afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.stop()));
  await lab.close();
});

/** Over a plain veth, those that differ in how they are received there. */
const VIRTUAL = CASES.filter(
  ({ mode, keys }) => ["gre", "gretap", "ip6gretap", "ipip", "sit"].includes(mode) && !keys?.includes("encap"),
);

describe.each([
  ["wire-like", CASES],
  ["virtual", VIRTUAL],
] as const)("over a %s underlay", (wire, cases) => {
  beforeEach(() => build(wire));

  it.each(cases)("$mode $keys", async (one) => {
    await Promise.all([start(left, one, 1), start(right, one, 2)]);
    expect(left.ip("-o", "link", "show", "ov0")).toContain(` mtu ${one.mtu} `);
    for (const family of one.carries) {
      expect(left.run("ping", [...requests(3), overlay[family](2)])).toContain(" 0% packet loss");
    }
    const family = one.carries.at(-1)!;
    const { sent, received } = await transfer(left, right, overlay[family](2), BYTES);
    expect(received).toBe(sent);
    for (const daemon of daemons) expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
  });
});
