/**
 * GRE keepalives: a router at the other end hears from vtepd itself that the tunnel is alive.
 *
 *   left: vtepd, ov0 (GRE) --- eth0 192.0.2.1, 2001:db8::1 === 192.0.2.2, 2001:db8::2: right, sends keepalives and sees what comes back
 */
import { afterEach, beforeEach, expect, it } from "vitest";
import { addon } from "../../src/binding/addon.ts";
import { RunningDaemon } from "../support/daemon.ts";
import { ipPacket } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { sendPackets } from "../support/raw-packets.ts";
import { unixHttp } from "../support/unix-http.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const GRE = 47;
const OVER = "mode: gre, local: 192.0.2.1, remote: 192.0.2.2, addresses: [10.42.0.1/24]";
const OVER6 = 'mode: ip6gre, local: "2001:db8::1", remote: "2001:db8::2", addresses: [10.42.0.1/24]';

let lab: Lab;
let left: Host;
let right: Host;
beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.eth0.disable_ipv6", 0);
  left.address("eth0", "2001:db8::1/64");
  right.address("eth0", "2001:db8::2/64");
});
afterEach(() => lab.close());

const bytes = (hex: string): Uint8Array => Buffer.from(hex, "hex");
/** @param header of both GRE headers, protocol type left out: flags and version, then what follows the type @param to whom it is sent back to */
const keepalive = ([start, rest]: readonly [string, string], to = "192.0.2.2"): Uint8Array => {
  const [from, back, type] = to.includes(":")
    ? ["2001:db8::2", "2001:db8::1", "86dd"]
    : ["192.0.2.2", "192.0.2.1", "0800"];
  const inner = ipPacket({ srcIp: back, dstIp: to, ttl: 255 }, GRE, bytes(`${start}0000${rest}`));
  return ipPacket({ srcIp: from, dstIp: back }, GRE, Buffer.concat([bytes(`${start}${type}${rest}`), inner]));
};

const SENT_OTHERWISE = ", key: 42, checksum: { input: false, output: true }, sequence: { input: false, output: true }";

it.each([
  [OVER, "", ["0000", ""], "auto"],
  [OVER, ", key: 42", ["2000", "0000002a"], "auto"],
  [OVER, SENT_OTHERWISE, ["2000", "0000002a"], "auto"],
  [OVER6, "", ["0000", ""], "auto"],
  [OVER6, SENT_OTHERWISE, ["2000", "0000002a"], "auto"],
  ...(addon.probeTap().tunnel === "" ? ([[OVER, ", key: 42", ["2000", "0000002a"], "tunnel"]] as const) : []),
] as const)("are sent back as they are, and counted: %s%s", async (over, keys, header, offload) => {
  const daemon = await RunningDaemon.start(left, `{ ov0: { ${over}${keys} } }`, { daemon: `offload: ${offload}` });
  const [to, back, outerHexDigits] =
    over === OVER ? (["192.0.2.1", "192.0.2.2", 40] as const) : (["2001:db8::1", "2001:db8::2", 80] as const);
  const filter = `proto 47 and src ${to}`;
  const capture = right.spawn("tcpdump", ["-nnlxt", "--immediate-mode", "-i", "eth0", filter]);
  await capture.waitForOutput(/listening/);
  for (let n = 0; n < 3; n++) sendPackets(right, to, keepalive(header, back));
  const answers = (): string[] =>
    capture.stdout
      .split(/^IP6? /m)
      .slice(1)
      .map((packet) => [...packet.matchAll(/0x\w{4}: {2}(.*)/g)].map(([, hex]) => hex!.replaceAll(" ", "")).join(""));
  await waitFor(() => answers().length === 3, { what: "three answers" });
  for (const answer of answers()) expect(answer.slice(outerHexDigits)).toBe(`${header[0]}0000${header[1]}`);
  const [link] = daemon.stats().links;
  expect(link).toMatchObject({
    keepalives: 3,
    drops: { encap: {}, decap: {} },
    rx: { packets: 3 },
    tx: { packets: 3 },
  });
  expect(left.ipJson("-s", "link", "show", "ov0")[0].stats64.rx.packets).toBe(0);
  expect(daemon.vtepctl("stats", "dev", "ov0").stdout).toContain(" keepalives 3\n");
  const { text } = await unixHttp({ socket: daemon.socket, path: "/metrics" });
  expect(text).toContain('vtepd_link_keepalives_total{link="ov0"} 3\n');
});

it("over IPv6 are not answered for others: one word of the address is not all of it", async () => {
  const daemon = await RunningDaemon.start(left, `{ ov0: { ${OVER6} } }`);
  const others = Buffer.from(keepalive(["0000", ""], "2001:db8::2"));
  others[44 + 24 + 4] = 1; // In the inner destination.
  sendPackets(right, "2001:db8::1", others);
  // An IPv4 packet whose addresses are the last words of ours.
  const inner = ipPacket({ srcIp: "0.0.0.1", dstIp: "0.0.0.2" }, GRE, bytes("00000000"));
  const outer = { srcIp: "2001:db8::2", dstIp: "2001:db8::1" };
  sendPackets(right, "2001:db8::1", ipPacket(outer, GRE, Buffer.concat([bytes("00000800"), inner])));
  await waitFor(() => daemon.stats().links[0]?.rx.packets === 2, { what: "two packets" });
  expect(daemon.stats().links[0]).toMatchObject({ keepalives: 0, tx: { packets: 0 } });
});

it("are not sent for others, nor to them", async () => {
  right.address("eth0", "192.0.2.9/24");
  const daemon = await RunningDaemon.start(left, `{ ov0: { ${OVER} } }`);
  const capture = right.spawn("tcpdump", ["-nnlt", "--immediate-mode", "-i", "eth0", "ip proto 47 and src 192.0.2.1"]);
  await capture.waitForOutput(/listening/);
  // For another address: a packet of the overlay like others. From a stranger: refused.
  sendPackets(right, "192.0.2.1", keepalive(["0000", ""], "192.0.2.9"));
  const stranger = Buffer.from(keepalive(["0000", ""], "192.0.2.9"));
  stranger.set([192, 0, 2, 9], 12);
  sendPackets(right, "192.0.2.1", stranger);
  await daemon.waitForDrops("socket", { no_tunnel: 1 });
  await waitFor(() => left.ipJson("-s", "link", "show", "ov0")[0].stats64.rx.packets === 1, { what: "the packet" });
  await sleep(300);
  expect(capture.stdout).not.toContain("GRE");
  expect(daemon.stats().links[0]).toMatchObject({ keepalives: 0, tx: { packets: 0 } });
});
