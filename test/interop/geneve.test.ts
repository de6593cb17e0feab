/**
 * Geneve with Open vSwitch, which can put options into its headers, and one segment over three VTEPs of three makes. The rows
 * of tunnel-rows.ts have it with Linux.
 *
 *   left   vtepd        gn42 10.42.0.1   192.0.2.1, 2001:db8::1 -+
 *   guest  Linux 6.1    ov0  10.42.0.2   192.0.2.2, 2001:db8::2 -+- switch
 *   right  Open vSwitch ov0  10.42.0.3   192.0.2.3, 2001:db8::3 -+
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { lan } from "../support/lan.ts";
import { OvsPeer } from "../support/ovs-peer.ts";
import { transfer } from "../support/transfer.ts";
import { UmlPeer } from "../support/uml-peer.ts";
import { waitFor } from "../support/wait-for.ts";
import { type Family, overlay4, overlay6, overlayMac, underlayAddress } from "./peer.ts";

const BYTES = 1_000_000;
const GUEST = 2;
const OVS = 3;

let lab: Lab;
let left: Host;
let right: Host;
let guest: UmlPeer;
let ovs: OvsPeer;
let daemon: RunningDaemon | undefined;

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  right = lab.host("right");
  const addresses = (n: number): string[] => [`192.0.2.${n}/24`, `2001:db8::${n}/64`];
  const hub = lan(lab, [
    { host: left, addresses: addresses(1) },
    { host: right, addresses: [] },
  ]);
  hub.ip("tuntap", "add", "dev", "to-guest", "mode", "tap");
  hub.ip("link", "set", "to-guest", "master", "br0", "up");
  guest = await UmlPeer.start(hub, "to-guest");
  for (const address of addresses(GUEST)) await guest.run(`ip address add ${address} dev eth0`);
  ovs = await OvsPeer.start(right, "eth0", addresses(OVS));
});

afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  ovs.vsctl("--if-exists", "del-br", "ov0");
  await guest.run("ip link delete ov0 2>/dev/null; true");
});

afterAll(async () => {
  await ovs?.stop();
  await guest?.stop();
  await lab.close();
});

const vtepd = async (family: Family, keys: string): Promise<RunningDaemon> => {
  const own = `local: "${underlayAddress(family, 1)}", macaddress: "${overlayMac(1)}"`;
  const addresses = `addresses: [${overlay4(1)}/24, "${overlay6(1)}/64"]`;
  daemon = await RunningDaemon.start(left, `{ gn42: { mode: geneve, id: 42, ${own}, ${keys}, ${addresses} } }`);
  return daemon;
};

const remote = (family: Family, n: number): string => `remote: "${underlayAddress(family, n)}"`;

const startOvs = (family: Family, mtu: number, vni = 42): void => {
  const hardware = `other-config:hwaddr="${overlayMac(OVS)}"`;
  const to = `options:remote_ip="${underlayAddress(family, 1)}"`;
  ovs.vsctl(
    ...["add-br", "ov0", "--", "set", "bridge", "ov0", "datapath_type=netdev", hardware],
    ...["--", "set", "interface", "ov0", `mtu_request=${mtu}`],
    ...["--", "add-port", "ov0", "gn0", "--", "set", "interface", "gn0", "ofport_request=9"],
    ...["--", "set", "interface", "gn0", "type=geneve", to, `options:key=${vni}`],
  );
  right.address("ov0", `${overlay4(OVS)}/24`);
  right.address("ov0", `${overlay6(OVS)}/64`);
};

/** Has Open vSwitch put an option into each Geneve header. @param type with 0x80, a critical one */
const sendOption = (type: number): void => {
  ovs.openflow("add-tlv-map", "ov0", `{class=0xffff,type=${type},len=8}->tun_metadata0`);
  ovs.openflow("add-flow", "ov0", "priority=9,in_port=LOCAL,actions=set_field:0x1234567890->tun_metadata0,normal");
};

/** Asked again each second, because Open vSwitch loses what comes before it has the underlay's neighbours. */
const answered = (address: string, ...words: string[]): void => {
  expect(left.run("ping", ["-c", "1", "-w", "20", ...words, address])).toMatch(/ [1-9]\d* received/);
};
const silent = (host: Host, address: string): void => {
  expect(host.exec("ping", ["-c", "2", "-i", "0.05", "-W", "0.3", address]).stdout).toContain("100% packet loss");
};

describe("vtepd and Open vSwitch", () => {
  it.each([
    ["IPv4", 1450],
    ["IPv6", 1430],
  ] as const)(
    "over %s: ping, MTU, TCP",
    async (family, mtu) => {
      startOvs(family, mtu);
      await vtepd(family, remote(family, OVS));
      answered(overlay4(OVS), "-M", "do", "-s", String(mtu - 28));
      answered(overlay6(OVS), "-M", "do", "-s", String(mtu - 48));
      for (const [from, to, n] of [
        [left, right, OVS],
        [right, left, 1],
      ] as const) {
        const { sent, received } = await transfer(from, to, overlay4(n), BYTES);
        expect(received).toBe(sent);
      }
      expect([daemon?.drops("decap"), daemon?.drops("socket")]).toEqual([{}, {}]);
    },
    60_000,
  );

  it("another VNI: nothing passes", async () => {
    startOvs("IPv4", 1450, 43);
    const running = await vtepd("IPv4", remote("IPv4", OVS));
    silent(right, overlay4(1));
    await waitFor(() => (running.drops("socket")["vxlan_vni_not_found"] ?? 0) > 0, { what: "a drop" });
    expect(running.stats().links[0]?.rx.packets).toBe(0);
  });

  it("options are ignored", async () => {
    startOvs("IPv4", 1438);
    sendOption(0x01);
    const running = await vtepd("IPv4", remote("IPv4", OVS));
    answered(overlay4(OVS), "-s", "1000");
    const { sent, received } = await transfer(right, left, overlay4(1), BYTES);
    expect(received).toBe(sent);
    expect([running.drops("decap"), running.drops("socket")]).toEqual([{}, {}]);
  });

  it.each([
    ["options, where they are refused", 0x01, ", options: refuse"],
    ["critical options", 0x81, ""],
  ])(
    "%s: nothing passes",
    async (_what, type, keys) => {
      startOvs("IPv4", 1438);
      sendOption(type);
      const running = await vtepd("IPv4", remote("IPv4", OVS) + keys);
      silent(right, overlay4(1));
      await waitFor(() => (running.drops("socket")["invalid_hdr"] ?? 0) > 0, { what: "a drop" });
      expect(running.stats().links[0]?.rx.packets).toBe(0);
    },
    40_000,
  );
});

describe("one segment over vtepd, Linux and Open vSwitch", () => {
  it.each(["IPv4", "IPv6"] as const)(
    "over %s: learning, and nothing is handed on",
    async (family) => {
      startOvs(family, 1430);
      await guest.run(
        `ip link add ov0 address ${overlayMac(GUEST)} type geneve id 42 remote ${underlayAddress(family, 1)} && ` +
          `ip link set ov0 mtu 1430 up && ip address add ${overlay4(GUEST)}/24 dev ov0`,
      );
      const flood = `flood: ["${underlayAddress(family, GUEST)}", "${underlayAddress(family, OVS)}"]`;
      const running = await vtepd(family, flood);
      for (const n of [GUEST, OVS]) answered(overlay4(n));
      const learned = running
        .json<{ mac: string; dst: string }[]>("fdb", "show", "dev", "gn42")
        .filter(({ mac }) => [overlayMac(GUEST), overlayMac(OVS)].includes(mac));
      expect(Object.fromEntries(learned.map(({ mac, dst }) => [mac, dst]))).toEqual({
        [overlayMac(GUEST)]: underlayAddress(family, GUEST),
        [overlayMac(OVS)]: underlayAddress(family, OVS),
      });
      const flooded = running.stats().links[0]?.tx.packets;
      expect(flooded).toBeGreaterThan(0);
      silent(right, overlay4(GUEST)); // vtepd is a VTEP, no hub
    },
    60_000,
  );
});
