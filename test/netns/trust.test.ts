/**
 *   left: vtepd, taps "ov42" and "ov43" (their VNIs) --- 192.0.2.1, 2001:db8::1
 *     === 192.0.2.2 (a remote VTEP of 42), .3 (of 43), .9 (of none), .66 (sends with sources of our choice) :right
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import { MAC_A, udpFrame, vxlanDatagram } from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { waitFor } from "../support/wait-for.ts";

const LOCAL = "192.0.2.1";
const DEVICE_MAC = "02:00:00:00:ff:01";
/** Static, behind 192.0.2.9 and 2001:db8::9. */
const FIXED_MAC = "02:00:00:00:00:0f";
const FIXED_MAC6 = "02:00:00:00:06:0f";

let lab: Lab;
let left: Host;
let right: Host;

beforeEach(() => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: [`${LOCAL}/24`, "192.0.2.2/24"] });
  for (const address of ["192.0.2.3/24", "192.0.2.9/24", "192.0.2.66/24"]) right.address("eth0", address);
  left.address("eth0", "2001:db8::1/64");
  for (const address of ["2001:db8::2/64", "2001:db8::66/64"]) right.address("eth0", address);
  left.sysctl("net.ipv6.conf.default.disable_ipv6", 1); // no router solicitations from the TAPs
});
afterEach(() => lab.close());

const raw = (address: string): Promise<RawVtep> => RawVtep.start(right, { address });

let flow = 1000;
/** Each frame is a flow of its own, so that none are merged on their way to the device. */
const datagram = (vni: number, src: string): Uint8Array =>
  vxlanDatagram(
    vni,
    udpFrame({
      src,
      dst: DEVICE_MAC,
      srcIp: "10.42.0.5",
      dstIp: "10.42.0.1",
      srcPort: flow++,
      dstPort: 2000,
      payload: "hello",
    }),
  );

/** Frames that came out of a device, vtepd's or the kernel's. */
const received = (dev: string): number => left.ipJson("-s", "link", "show", dev)[0].stats64.rx.packets as number;

/** What 192.0.2.66 and 2001:db8::66 send leaves with other sources. */
const forge = (source: string, source6: string): void => {
  right.exec("nft", ["delete", "table", "inet", "forge"]);
  right.run("nft", ["-f", "-"], {
    input: `table inet forge { chain out { type filter hook output priority 0;
      ip saddr 192.0.2.66 udp dport 4789 ip saddr set ${source}
      ip6 saddr 2001:db8::66 udp dport 4789 ip6 saddr set ${source6}
    }
  }\n`,
  });
};

describe("a tunnel takes nothing from whom it does not know", () => {
  let daemon: RunningDaemon;

  beforeEach(async () => {
    const shared = `mode: vxlan, local: [${LOCAL}, "2001:db8::1"], macaddress: "${DEVICE_MAC}"`;
    const fdb = `fdb: [{ mac: "${FIXED_MAC}", dst: 192.0.2.9 }, { mac: "${FIXED_MAC6}", dst: "2001:db8::9" }]`;
    daemon = await RunningDaemon.start(
      left,
      `{ ov42: { ${shared}, id: 42, flood: [192.0.2.2, "2001:db8::2"], ${fdb} }, ov43: { ${shared}, id: 43, flood: [192.0.2.3] } }`,
    );
  });

  const nothingIn = (): void => {
    for (const dev of ["ov42", "ov43"]) {
      expect(daemon.learned(dev)).toEqual([]);
      expect(received(dev)).toBe(0);
    }
  };

  it("a remote VTEP of one VNI gets nothing into another VNI of the daemon", async () => {
    const [second, third] = await Promise.all(
      ["192.0.2.2", "192.0.2.3"].map(raw) as [Promise<RawVtep>, Promise<RawVtep>],
    );
    for (let n = 0; n < 3; n++) {
      second.send(LOCAL, datagram(43, MAC_A));
      third.send(LOCAL, datagram(42, MAC_A));
      second.send(LOCAL, datagram(44, MAC_A));
    }
    await daemon.waitForDrops("decap", { unknown_vtep: 6 });
    await daemon.waitForDrops("socket", { vxlan_vni_not_found: 3 });
    nothingIn();
    // Between the refused ones, those that are right go through.
    second.send(LOCAL, datagram(42, MAC_A));
    await waitFor(() => received("ov42") === 1, { what: "a frame of VNI 42" });
    expect(daemon.learned("ov42")).toEqual([`${MAC_A} 192.0.2.2`]);
    expect(received("ov43")).toBe(0);
  });

  it("a remote VTEP gets into the VNIs that name it, which its counters tell, and into those alone", async () => {
    const vnisOf = (address: string): number[] =>
      daemon
        .stats()
        .links.flatMap(({ remotes }) => remotes.filter((one) => one.address === address).map(({ vni }) => vni));
    const second = await raw("192.0.2.2");
    expect(vnisOf("192.0.2.2")).toEqual([42]);
    expect(daemon.vtepctl("flood", "add", "ov43", "dst", "192.0.2.2").status).toBe(0);
    expect(vnisOf("192.0.2.2")).toEqual([42, 43]);
    for (const vni of [42, 43, 44]) second.send(LOCAL, datagram(vni, MAC_A));
    await daemon.waitForDrops("socket", { vxlan_vni_not_found: 1 });
    await waitFor(() => received("ov42") === 1 && received("ov43") === 1, { what: "a frame of each VNI" });
    expect(daemon.vtepctl("flood", "del", "ov42", "dst", "192.0.2.2").status).toBe(0);
    expect(vnisOf("192.0.2.2")).toEqual([43]);
    for (const vni of [42, 43]) second.send(LOCAL, datagram(vni, MAC_A));
    await daemon.waitForDrops("decap", { unknown_vtep: 1 });
    await waitFor(() => received("ov43") === 2, { what: "a frame of VNI 43" });
    expect(received("ov42")).toBe(1);
  });

  it("the VTEP of a static entry is known as long as the entry is there", async () => {
    const stranger = await raw("192.0.2.66");
    stranger.send(LOCAL, datagram(43, MAC_A));
    await daemon.waitForDrops("decap", { unknown_vtep: 1 });
    expect(daemon.vtepctl("fdb", "add", FIXED_MAC, "dev", "ov43", "dst", "192.0.2.66", "vni", "7").status).toBe(0);
    stranger.send(LOCAL, datagram(43, MAC_A));
    await waitFor(() => received("ov43") === 1, { what: "a frame of VNI 43" });
    expect(daemon.vtepctl("fdb", "del", FIXED_MAC, "dev", "ov43").status).toBe(0);
    expect(daemon.learned("ov43")).toEqual([]);
    stranger.send(LOCAL, datagram(43, MAC_A));
    await daemon.waitForDrops("decap", { unknown_vtep: 2 });
    expect(received("ov43")).toBe(1);
  });

  it.each<[what: string, source: string, source6: string, src: string, drops: Record<string, number>]>([
    ["of a stranger", "192.0.2.67", "2001:db8::67", MAC_A, { unknown_vtep: 6 }],
    ["of our own address", LOCAL, "2001:db8::1", MAC_A, { unknown_vtep: 6 }],
    ["of a remote VTEP of another VNI", "192.0.2.3", "2001:db8::3", MAC_A, { unknown_vtep: 6 }],
    ["of a remote VTEP, with the device's own MAC", "192.0.2.2", "2001:db8::2", DEVICE_MAC, { local_mac: 6 }],
    ["of a remote VTEP, with a group MAC", "192.0.2.2", "2001:db8::2", "01:00:5e:00:00:01", { mac_invalid_source: 6 }],
    ["of a remote VTEP, with no MAC", "192.0.2.2", "2001:db8::2", "00:00:00:00:00:00", { mac_invalid_source: 6 }],
    [
      "of a remote VTEP, with a static MAC of another",
      "192.0.2.2",
      "2001:db8::2",
      FIXED_MAC,
      { vxlan_entry_exists: 6 },
    ],
    [
      "of a remote VTEP, with one of the other family",
      "192.0.2.2",
      "2001:db8::2",
      FIXED_MAC6,
      { vxlan_entry_exists: 6 },
    ],
  ])("nor what is sent with a forged source: %s", async (_, source, source6, src, drops) => {
    forge(source, source6);
    // Without this the kernel itself drops what comes with an address of ours.
    for (const dev of ["all", "eth0"]) {
      left.sysctl(`net.ipv4.conf.${dev}.accept_local`, 1);
      left.sysctl(`net.ipv4.conf.${dev}.rp_filter`, 0);
    }
    const [spoofer, spoofer6] = await Promise.all([raw("192.0.2.66"), raw("2001:db8::66")]);
    for (let n = 0; n < 3; n++) {
      spoofer.send(LOCAL, datagram(42, src));
      spoofer6.send("2001:db8::1", datagram(42, src));
    }
    await daemon.waitForDrops("decap", drops);
    nothingIn();
    expect(daemon.drops("socket")).toEqual({});
  });

  it("a remote VTEP of IPv4 is not one of IPv6 because its address is mapped", async () => {
    forge("192.0.2.2", "::ffff:192.0.2.2");
    const [spoofer, spoofer6] = await Promise.all([raw("192.0.2.66"), raw("2001:db8::66")]);
    for (let n = 0; n < 3; n++) spoofer6.send("2001:db8::1", datagram(42, MAC_A));
    await daemon.waitForDrops("decap", { unknown_vtep: 3 });
    nothingIn();
    spoofer.send(LOCAL, datagram(42, MAC_A));
    await waitFor(() => received("ov42") === 1, { what: "the frame with the true family" });
  });

  it("and nothing that is sent to another address of the host, whose port stays free", async () => {
    left.address("eth0", "192.0.2.11/24");
    left.address("eth0", "2001:db8::11/64");
    const [second, second6] = await Promise.all([raw("192.0.2.2"), raw("2001:db8::2")]);
    const refused = (): number =>
      Number(/^Udp:.*\nUdp: \d+ (\d+)/m.exec(left.run("cat", ["/proc/self/net/snmp"]))?.[1] ?? 0);
    second.send("192.0.2.11", datagram(42, MAC_A));
    await waitFor(() => refused() === 1, { what: "a datagram for a port where nobody is" });
    const others = await Promise.all(["192.0.2.11", "2001:db8::11"].map((address) => RawVtep.start(left, { address })));
    second.send("192.0.2.11", datagram(42, MAC_A));
    second6.send("2001:db8::11", datagram(42, MAC_A));
    for (const other of others) await other.receive();
    nothingIn();
    expect([daemon.drops("decap"), daemon.drops("socket")]).toEqual([{}, {}]);
    second.send(LOCAL, datagram(42, MAC_A));
    await waitFor(() => received("ov42") === 1, { what: "the frame to the local address" });
  });
});

describe("accept: any", () => {
  it("learns from a stranger's first frame", async () => {
    const daemon = await RunningDaemon.start(
      left,
      `{ ov42: { mode: vxlan, id: 42, local: ${LOCAL}, accept: any, macaddress: "${DEVICE_MAC}" } }`,
    );
    const second = await raw("192.0.2.2");
    second.send(LOCAL, datagram(42, MAC_A));
    await waitFor(() => received("ov42") === 1, { what: "the frame" });
    expect(daemon.learned("ov42")).toEqual([`${MAC_A} 192.0.2.2`]);
  });

  /** Addresses that vtepd and the kernel's vxlan beside it have; they get the same datagrams. */
  const KERNEL = "192.0.2.12";

  it.each(["", "nolearning"])("takes what the kernel's device takes, and learns the same; %s", async (learning) => {
    left.address("eth0", `${KERNEL}/24`);
    // The kernel binds its port on all addresses, so it has another one.
    const device = ["id", "42", "local", KERNEL, "dstport", "4790", ...(learning === "" ? [] : [learning])];
    left.ip("link", "add", "k42", "address", DEVICE_MAC, "type", "vxlan", ...device);
    left.ip("link", "set", "k42", "up");
    left.run("bridge", ["fdb", "add", FIXED_MAC, "dev", "k42", "dst", "192.0.2.9", "self", "permanent"]);
    const entry = `fdb: [{ mac: "${FIXED_MAC}", dst: 192.0.2.9 }]`;
    const daemon = await RunningDaemon.start(
      left,
      `{ ov42: { mode: vxlan, id: 42, local: ${LOCAL}, accept: any, macaddress: "${DEVICE_MAC}", mac-learning: ${learning === ""}, ${entry} } }`,
    );
    const [second, ninth] = await Promise.all([raw("192.0.2.2"), raw("192.0.2.9")]);
    const senders: [RawVtep, string, string][] = [
      [second, MAC_A, "a stranger"],
      [second, FIXED_MAC, "a stranger with a static MAC of another VTEP"],
      [second, DEVICE_MAC, "the device's own MAC"],
      [second, "00:00:00:00:00:00", "no MAC"],
      [ninth, FIXED_MAC, "the VTEP of the static entry"],
      [ninth, MAC_A, "another VTEP, where the MAC moves"],
    ];
    const taken: Record<string, [ours: number, kernel: number]> = {};
    for (const [sender, src, what] of senders) {
      const before = [received("ov42"), received("k42")] as const;
      const dropsBefore = Object.values(daemon.drops("decap")).reduce((sum, count) => sum + count, 0);
      for (let n = 0; n < 3; n++) {
        sender.send(LOCAL, datagram(42, src));
        sender.send(KERNEL, datagram(42, src), 4790);
      }
      const dropped = (): number =>
        Object.values(daemon.drops("decap")).reduce((sum, count) => sum + count, 0) - dropsBefore;
      await waitFor(() => received("ov42") - before[0] + dropped() === 3, { what: `three frames of ${what}` });
      taken[what] = [received("ov42") - before[0], received("k42") - before[1]];
    }
    // Where the kernel does not learn it looks at no source MAC but its own; we never deliver one that nobody can have.
    if (learning !== "") expect(taken["no MAC"]).toEqual([0, 3]);
    else expect(taken["no MAC"]).toEqual([0, 0]);
    for (const [what, [ours, kernel]] of Object.entries(taken)) {
      if (what !== "no MAC") expect([what, ours]).toEqual([what, kernel]);
    }
    expect(taken["a stranger"]).toEqual([3, 3]);
    const known = left
      .run("bridge", ["fdb", "show", "dev", "k42"])
      .split("\n")
      .filter((line) => line.includes(" dst ") && !line.includes("permanent"));
    expect(daemon.learned("ov42")).toEqual(known.map((line) => `${line.split(" ")[0]} ${/dst (\S+)/.exec(line)![1]}`));
    expect(known).toHaveLength(learning === "" ? 1 : 0);
  });
});
