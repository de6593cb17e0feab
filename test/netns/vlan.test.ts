/**
 * Tagged frames come from raw VTEPs, because not every kernel has VLAN devices; the bridge takes them for any other frame.
 *
 *   left: vtepd, tap ov0 (VNI 42) -- br0 10.42.0.1 -- tap ov1 (VNI 43)
 *     eth0 192.0.2.1 ==+== .2 right: the kernel's vxlan (VNI 42, 10.42.0.2)
 *                      +== .3 third: raw VTEP (VNI 43)
 *                      +== .4 fourth: raw VTEP (VNI 42)
 */
import { afterEach, describe, expect, it } from "vitest";
import type { Child } from "../support/child.ts";
import { RunningDaemon } from "../support/daemon.ts";
import {
  ETHERTYPE_IPV4,
  ethernetFrame,
  ipPacket,
  MAC_A,
  onesComplementSum,
  udpFrame,
  vxlanDatagram,
} from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

const LOCAL = "192.0.2.1";
const BRIDGE_MAC = "02:00:00:00:ff:01";
const STATION_IP = "10.42.0.9";

let lab: Lab;
let left: Host;
let right: Host;
let daemon: RunningDaemon;
/** Behind ov1 and behind ov0. */
let inside: RawVtep;
let outside: RawVtep;
afterEach(() => lab.close());

const build = async (vlan: string): Promise<void> => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  const [third, fourth] = [lab.host("third"), lab.host("fourth")];
  lan(lab, [
    { host: left, addresses: [`${LOCAL}/24`] },
    { host: right, addresses: ["192.0.2.2/24"] },
    { host: third, addresses: ["192.0.2.3/24"] },
    { host: fourth, addresses: ["192.0.2.4/24"] },
  ]);
  for (const host of [left, right]) host.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: ${LOCAL}, flood: [192.0.2.2, 192.0.2.4], vlan: ${vlan} },
       ov1: { mode: vxlan, id: 43, local: ${LOCAL}, remote: 192.0.2.3 } }`.replaceAll("\n", " "),
  );
  left.ip("link", "add", "br0", "address", BRIDGE_MAC, "type", "bridge", "mcast_snooping", "0");
  for (const dev of ["ov0", "ov1"]) left.ip("link", "set", dev, "master", "br0");
  left.address("br0", "10.42.0.1/24");
  const ends = ["local", "192.0.2.2", "remote", LOCAL, "dev", "eth0"];
  right.ip("link", "add", "vxlan0", "type", "vxlan", "id", "42", "dstport", "4789", ...ends);
  right.address("vxlan0", "10.42.0.2/24");
  [inside, outside] = await Promise.all([
    RawVtep.start(third, { address: "192.0.2.3" }),
    RawVtep.start(fourth, { address: "192.0.2.4" }),
  ]);
  // Who is asked knows the station.
  for (const [host, dev] of [
    [left, "br0"],
    [right, "vxlan0"],
  ] as const) {
    host.ip("neigh", "replace", STATION_IP, "lladdr", MAC_A, "dev", dev);
  }
};

/** An echo request of the station. */
const request = (dst: string, dstIp: string, vlans: readonly number[]): Uint8Array => {
  const icmp = Buffer.from([8, 0, 0, 0, 0x12, 0x34, 0, 1, ...Buffer.from("are you there?")]);
  icmp.writeUInt16BE(~onesComplementSum(icmp) & 0xffff, 2);
  const packet = ipPacket({ srcIp: STATION_IP, dstIp }, 1, icmp);
  return ethernetFrame({ dst, src: MAC_A, etherType: ETHERTYPE_IPV4, vlans }, packet);
};

const isReply = ({ bytes }: { bytes: Uint8Array }): boolean =>
  bytes.length > 42 && bytes[8 + 12] === 0x08 && bytes[8 + 13] === 0 && bytes[8 + 23] === 1 && bytes[8 + 34] === 0;

const kernelMac = (): string => right.ipJson("link", "show", "vxlan0")[0].address as string;

/** The station asks the kernel's vxlan, through br0 and out of ov0. */
const askOutwards = (...vlans: number[]): void =>
  inside.send(LOCAL, vxlanDatagram(43, request(kernelMac(), "10.42.0.2", vlans)));
/** The station asks br0, in through ov0. */
const askInwards = (...vlans: number[]): void =>
  outside.send(LOCAL, vxlanDatagram(42, request(BRIDGE_MAC, "10.42.0.1", vlans)));

/** No protocol's that tcpdump would take apart. */
const SERVICE_PORT = 9009;
const DATAGRAMS = [...Array(40).keys()];
const ROUNDS = 20;
const data = (number: number): Uint8Array => new Uint8Array(1000).fill(number);

/**
 * The station sends bursts of tagged datagrams, which vtepd merges as far as they arrive together, until `seen`, a tcpdump,
 * has told of a superframe in a line that fits. Each burst must arrive whole.
 */
const burst = async (
  from: RawVtep,
  vni: number,
  dst: string,
  to: RawVtep,
  dstIp: string,
  seen: Child,
  line: RegExp,
) => {
  const flow = { dst, src: MAC_A, srcIp: STATION_IP, dstIp, srcPort: SERVICE_PORT, dstPort: SERVICE_PORT, vlans: [10] };
  for (let round = 0; round < ROUNDS && !line.test(seen.stdout); round++) {
    to.clear();
    for (const n of DATAGRAMS) from.send(LOCAL, vxlanDatagram(vni, udpFrame({ ...flow, payload: data(n) })));
    await waitFor(() => to.received().length >= DATAGRAMS.length, { what: "the burst" });
    const received = to.received().map(({ bytes }) => bytes);
    expect(received.map((bytes) => bytes[0])).toEqual(DATAGRAMS);
    for (const bytes of received) expect(Buffer.compare(bytes, data(bytes[0]!))).toBe(0);
    await sleep(50);
  }
  expect(seen.stdout).toMatch(line);
};

const drops = (direction: "encap" | "decap"): number =>
  daemon.stats().links.find(({ ifname }) => ifname === "ov0")!.drops[direction]["vlan_tagged"] ?? 0;

describe("VLAN tags", () => {
  it("pass in both directions by default, as with the kernel's vxlan", async () => {
    await build("pass");
    const seen = right.spawn("tcpdump", ["-i", "vxlan0", "-nn", "-e", "-l", "-U", "icmp or vlan"]);
    const heard = left.spawn("tcpdump", ["-i", "ov0", "-nn", "-e", "-l", "-U", "icmp or vlan"]);
    await Promise.all([seen.waitForOutput(/listening on/), heard.waitForOutput(/listening on/)]);
    askOutwards(10);
    await seen.waitForOutput(/vlan 10,.*10\.42\.0\.2: ICMP echo request/);
    askInwards(20, 10);
    await heard.waitForOutput(/vlan 20,.*vlan 10,.*10\.42\.0\.1: ICMP echo request/);
    expect(inside.received().some(isReply)).toBe(false);
    // The same without tags is answered, so the tags are why not.
    askOutwards();
    await inside.receive(isReply);
  });

  it("make frames be dropped and counted in both directions where they are to be dropped, others pass", async () => {
    await build("drop");
    askOutwards(10);
    await waitFor(() => drops("encap") === 1, { what: "a drop" });
    askInwards(10);
    await waitFor(() => drops("decap") === 1, { what: "a drop" });
    askOutwards();
    await inside.receive(isReply);
    askInwards();
    await outside.receive(isReply);
    expect([drops("encap"), drops("decap")]).toEqual([1, 1]);
    expect(daemon.vtepctl("link", "show", "ov0").stdout).toContain("vlan drop");
  });

  it("are taken off in both directions where they are to be stripped, also for each copy of a flooded frame", async () => {
    await build("strip");
    outside.clear();
    askOutwards(10);
    await inside.receive(isReply);
    // The kernel's MAC was not known yet, so the frame was flooded.
    const copy = await outside.receive(({ bytes }) => Buffer.from(bytes).includes("are you there?"));
    expect(Buffer.from(copy.bytes.subarray(8))).toEqual(Buffer.from(request(kernelMac(), "10.42.0.2", [])));
    outside.clear();
    askInwards(10);
    await outside.receive(isReply);
    outside.clear();
    // Of two tags only the outer one goes.
    askInwards(20, 10);
    await sleep(200);
    expect(outside.received().some(isReply)).toBe(false);
    expect([drops("encap"), drops("decap")]).toEqual([0, 0]);
  });

  it("are taken off superframes in both directions", async () => {
    await build("strip");
    const [far, near] = await Promise.all([
      RawVtep.start(right, { address: "10.42.0.2", port: SERVICE_PORT }),
      RawVtep.start(left, { address: "10.42.0.1", port: SERVICE_PORT }),
    ]);
    const seen = left.spawn("tcpdump", ["-i", "ov0", "-nn", "-e", "-l", "-U", `udp port ${SERVICE_PORT} or vlan`]);
    await seen.waitForOutput(/listening on/);
    await burst(
      inside,
      43,
      kernelMac(),
      far,
      "10.42.0.2",
      seen,
      /length (\d{5}|[2-9]\d{3}): vlan 10,.*10\.42\.0\.2\.9009/,
    );
    await burst(
      outside,
      42,
      BRIDGE_MAC,
      near,
      "10.42.0.1",
      seen,
      /IPv4.*length (\d{5}|[2-9]\d{3}): .*10\.42\.0\.1\.9009/,
    );
    expect(seen.stdout).not.toMatch(/vlan.*10\.42\.0\.1\.9009/);
  });
});
