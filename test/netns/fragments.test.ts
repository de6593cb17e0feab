/**
 * Outer fragments over IPv6: a tunnel whose packets are larger than the underlay's. vtepd puts together what it receives.
 *
 *   left: vtepd, ov0 10.42.0.1 --- 2001:db8::1 === 2001:db8::2 --- ov0 10.42.0.2, vtepd: right
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { ipPacket } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sendPackets } from "../support/raw-packets.ts";
import { requests } from "../support/requests.ts";
import { transfer } from "../support/transfer.ts";

const FRAGMENT = 44;

let lab: Lab;
let hosts: [Host, Host];
beforeEach(() => {
  lab = Lab.create();
  hosts = [lab.host("left"), lab.host("right")];
  lab.wire(hosts[0], "eth0", hosts[1], "eth0", { mtu: 1300 });
  for (const [n, host] of hosts.entries()) host.address("eth0", `2001:db8::${n + 1}/64`);
});
afterEach(() => lab.close());

const created = (host: Host): number =>
  Number(/^Ip6FragCreates\s+(\d+)$/m.exec(host.run("cat", ["/proc/net/snmp6"]))![1]);

it.each(["ip6gre", "ip6tnl", "ip6gretap"])("%s", async (mode) => {
  const daemons = await Promise.all(
    hosts.map((host, n) =>
      RunningDaemon.start(
        host,
        `{ ov0: { mode: ${mode}, local: "2001:db8::${n + 1}", remote: "2001:db8::${2 - n}", mtu: 1450, oversize: fragment, ` +
          `addresses: [10.42.0.${n + 1}/24] } }`,
        { workers: 2 },
      ),
    ),
  );
  const [left, right] = hosts;
  expect(left.run("ping", [...requests(3), "-s", "1400", "10.42.0.2"])).toContain(" 0% packet loss");
  const { sent, received } = await transfer(left, right, "10.42.0.2", 1_000_000);
  expect(received).toBe(sent);
  expect(Math.min(created(left), created(right))).toBeGreaterThan(3);
  expect(daemons.map((daemon) => [daemon.drops("decap"), daemon.drops("socket")])).toEqual([
    [{}, {}],
    [{}, {}],
  ]);
  if (mode !== "ip6tnl") return;
  // Overlapping: the packet is given up, and counted.
  const part = (at: number): Uint8Array =>
    Buffer.concat([Buffer.from([4, 0, 0, at | 1, 0, 0, 0, 9]), Buffer.alloc(24)]);
  const packet = (at: number): Uint8Array =>
    ipPacket({ srcIp: "2001:db8::2", dstIp: "2001:db8::1" }, FRAGMENT, part(at));
  sendPackets(right, "2001:db8::1", packet(0), packet(16));
  await daemons[0]!.waitForDrops("socket", { frag_reasm_timeout: 1 });
});
