/**
 *   left (ov0 10.42.0.1)                               right (ov0 10.42.0.2)
 *     vtepd --- eth0 192.0.2.1 / 2001:db8::1 === 192.0.2.2 / 2001:db8::2 --- vtepd
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";

let lab: Lab;
afterEach(() => lab.close());

const UNDERLAYS = { IPv4: ["192.0.2.1", "192.0.2.2", 1450], IPv6: ["2001:db8::1", "2001:db8::2", 1430] } as const;

const build = async (mode: WireMode, family: keyof typeof UNDERLAYS, workers: number) => {
  lab = Lab.create();
  const [left, right] = [lab.host("left"), lab.host("right")];
  const [a, b, mtu] = UNDERLAYS[family];
  const prefix = family === "IPv4" ? 24 : 64;
  lab.wire(left, "eth0", right, "eth0", { mode, addresses: [`${a}/${prefix}`, `${b}/${prefix}`] });
  const tunnel = (local: string, remote: string, host: number) =>
    `{ ov0: { mode: vxlan, id: 42, local: "${local}", remote: "${remote}", addresses: [10.42.0.${host}/24, "fd00:42::${host}/64"] } }`;
  const daemons = [
    await RunningDaemon.start(left, tunnel(a, b, 1), { workers }),
    await RunningDaemon.start(right, tunnel(b, a, 2), { workers }),
  ] as const;
  return { left, right, daemons, mtu };
};

describe.each([
  ["wire-like", "IPv4", 1],
  ["wire-like", "IPv6", 1],
  ["virtual", "IPv4", 1],
  ["virtual", "IPv6", 1],
  ["wire-like", "IPv4", 3],
] as const)("two vtepd, %s underlay, %s, workers: %i", (mode, family, workers) => {
  it("ping, carry TCP unchanged both ways, learn each other's MAC, and lose nothing", async () => {
    const { left, right, daemons, mtu } = await build(mode, family, workers);
    expect(left.ipJson("link", "show", "ov0")[0].mtu).toBe(mtu);
    expect(left.run("ping", [...requests(3), "10.42.0.2"])).toContain(" 0% packet loss");
    expect(right.run("ping", [...requests(2), "fd00:42::1"])).toContain(" 0% packet loss");
    // Full size and do-not-fragment: the device's MTU is what the underlay really carries.
    left.run("ping", ["-c", "1", "-W", "5", "-M", "do", "-s", String(mtu - 28), "10.42.0.2"]);
    for (const [from, to, address] of [
      [left, right, "10.42.0.2"],
      [right, left, "fd00:42::1"],
    ] as const) {
      const { sent, received } = await transfer(from, to, address, 20_000_000);
      expect(received).toBe(sent);
    }
    const mac = right.ipJson("link", "show", "ov0")[0].address as string;
    expect(daemons[0].learned("ov0")).toEqual([`${mac} ${UNDERLAYS[family][1]}`]);
    for (const daemon of daemons)
      expect([daemon.drops("encap"), daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}, {}]);
  });
});

describe("two vtepd", () => {
  it("count every frame and byte once, on the link and on the remote VTEP", async () => {
    const { left, daemons } = await build("wire-like", "IPv4", 1);
    left.sysctl("net.ipv6.conf.ov0.disable_ipv6", 1);
    left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]); // ARP is done
    const before = daemons[0].stats().links[0]!;
    left.run("ping", [...requests(5), "-s", "100", "10.42.0.2"]);
    const after = daemons[0].stats().links[0]!;
    // 5 * (14 Ethernet + 20 IPv4 + 8 ICMP + 100)
    expect(after.tx.bytes - before.tx.bytes).toBe(710);
    expect(after.tx.packets - before.tx.packets).toBe(5);
    const [remoteBefore, remoteAfter] = [before.remotes[0]!, after.remotes[0]!];
    expect(remoteAfter.tx.bytes - remoteBefore.tx.bytes).toBe(710);
    expect(remoteAfter.rx.packets - remoteBefore.rx.packets).toBe(after.rx.packets - before.rx.packets);
  });
});
