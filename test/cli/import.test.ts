/** `vtepctl import`: netplan's, networkd's and the kernel's tunnels as our configuration, which vtepd takes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../src/cli/vtepctl.ts";
import { run as vtepd } from "../../src/cli/vtepd.ts";
import type { TunnelConfig } from "../../src/config/config.ts";
import { parseConfig } from "../../src/config/load.ts";
import { captureIo } from "../support/capture-io.ts";

let folder: string;

const write = (name: string, text: string): string => {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vtepd-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

interface Result {
  readonly text: string;
  readonly warnings: string;
  /** What vtepd makes of it. */
  readonly tunnels: Readonly<Record<string, TunnelConfig>>;
  readonly settings: Readonly<Record<string, unknown>>;
}

const imported = async (argv: readonly string[], answers: Readonly<Record<string, unknown>> = {}): Promise<Result> => {
  const io = captureIo();
  const execute = (program: string, args: readonly string[]) => {
    const answer = answers[[program, ...args].join(" ")];
    if (answer === undefined) throw new Error(`asked: ${program} ${args.join(" ")}`);
    return { status: 0, stdout: JSON.stringify(answer), stderr: "" };
  };
  const status = await run(["import", ...argv], Object.assign(io, { execute }));
  expect({ status, stderr: status === 0 ? "" : io.stderr }).toEqual({ status: 0, stderr: "" });
  const file = write("imported.yaml", io.stdout);
  const check = captureIo();
  expect({ status: await vtepd(["--check", "--config", file], check), stderr: check.stderr }).toEqual({
    status: 0,
    stderr: "",
  });
  const { tunnels, settings } = parseConfig(io.stdout, "imported.yaml");
  return {
    text: io.stdout,
    warnings: io.stderr,
    tunnels: Object.fromEntries(tunnels.map((tunnel) => [tunnel.name, tunnel])),
    settings: settings.tunnels,
  };
};

const NETPLAN = `
network:
  version: 2
  renderer: networkd
  ethernets: { eth0: { addresses: [192.0.2.1/24] } }
  bridges:
    br0: { interfaces: [vx42, eth1], dhcp4: no }
  tunnels:
    vx42:
      mode: vxlan
      id: 42
      link: eth0
      local: 192.0.2.1
      remote: 239.1.1.1
      port: 8472
      port-range: [4000, 4200]
      mac-learning: yes
      aging: 100
      limit: 0
      arp-proxy: off
      notifications: [l2-miss]
      short-circuit: true
      checksums: [udp, zero-udp6-rx, remote-tx]
      do-not-fragment: inherit
      type-of-service: inherit
      ttl: 16
      neigh-suppress: true
      macaddress: 02:00:00:00:00:42
    vx43: { mode: vxlan, id: 43, remote: 192.0.2.3, addresses: [10.43.0.1/24],
            routes: [ { to: 10.50.0.0/16, via: 10.43.0.2 }, { to: default, via: 10.43.0.2, metric: 50 } ] }
    vx44: { mode: vxlan, id: 44 }
    gre1: { mode: gre, local: 192.0.2.1, remote: 192.0.2.9, keys: { input: 7, output: 1.2.3.4 }, ttl: 255,
            addresses: [10.1.0.1/30, "fd00:1::1/64": { label: "gre1:x" }], routes: [ { to: 10.60.0.0/16, via: 10.1.0.2 } ] }
    gt1: { mode: gretap, local: 192.0.2.1, remote: 192.0.2.10, key: "5", mtu: 1400 }
    ip6gre1: { mode: ip6gre, local: "2001:db8::1", remote: "2001:db8::2" }
    ip6gt1: { mode: ip6gretap, local: "2001:db8::1", remote: "2001:db8::3", key: 9 }
    ipip1: { mode: ipip, local: 192.0.2.1, remote: 192.0.2.11, dhcp6: false }
    sit1: { mode: sit, local: 192.0.2.1, remote: 192.0.2.12, addresses: ["fd00:2::1/64"], gateway6: "fd00:2::2" }
    ip6ip6: { mode: ip6ip6, local: "2001:db8::1", remote: "2001:db8::4" }
    ipip6: { mode: ipip6, local: "2001:db8::1", remote: "2001:db8::5" }
    isatap1: { mode: isatap, local: 192.0.2.1 }
    vti1: { mode: vti, local: 192.0.2.1, remote: 192.0.2.13, key: 1 }
    wg0: { mode: wireguard, port: 51820 }
`;

describe("import netplan", () => {
  it("takes over every mode and key that vtepd has, and says what it has not", async () => {
    const { text, warnings, tunnels, settings } = await imported(["netplan", write("50.yaml", NETPLAN)]);
    expect(settings["vx42"]).toEqual({
      mode: "vxlan",
      id: 42,
      local: "192.0.2.1",
      group: "239.1.1.1",
      link: "eth0",
      port: 8472,
      "port-range": [4000, 4200],
      ttl: 16,
      "type-of-service": "inherit",
      "do-not-fragment": "inherit",
      "mac-learning": true,
      ageing: 100,
      "arp-proxy": false,
      notifications: ["l2-miss"],
      checksums: ["udp", "zero-udp6-rx"],
      macaddress: "02:00:00:00:00:42",
    });
    expect(settings["vx43"]).toMatchObject({
      routes: [{ to: "10.50.0.0/16", via: "192.0.2.3", gateway: "10.43.0.2" }],
    });
    expect(settings["vx44"]).toMatchObject({ accept: "any" });
    expect(settings["gre1"]).toEqual({
      mode: "gre",
      local: "192.0.2.1",
      remote: "192.0.2.9",
      key: { input: 7, output: "1.2.3.4" },
      ttl: 255,
      "do-not-fragment": true,
      addresses: ["10.1.0.1/30", "fd00:1::1/64"],
      routes: [{ to: "10.60.0.0/16", via: "192.0.2.9" }],
    });
    expect(settings["sit1"]).toMatchObject({ ttl: "inherit", addresses: ["fd00:2::1/64"] });
    expect(settings["ip6gre1"]).toMatchObject({ ttl: 64 });
    expect(Object.keys(tunnels).sort()).toEqual(
      "gre1 gt1 ip6gre1 ip6gt1 ip6ip6 ipip1 ipip6 isatap1 sit1 vx42 vx43 vx44".split(" "),
    );
    for (const each of [
      "vx42: short-circuit: ",
      "vx42: checksums remote-tx",
      "vx42: neigh-suppress: ",
      "vx42: bridges br0 has it: ip link set vx42 master br0",
      "vx43: route default via 10.43.0.2 metric 50: ip route add default via 10.43.0.2 dev vx43",
      "sit1: route default via fd00:2::2: ip route add default via fd00:2::2 dev sit1",
      "vti1: key 1: mode vti has no such key",
      "gre1: address fd00:1::1/64: its label",
      "ipip1: dhcp6: false",
      "wg0: mode wireguard is none of vtepd's",
      "vti1 is left out: ",
    ]) {
      expect(warnings).toContain(`vtepctl: ${each}`);
    }
    expect(text).toContain("  # bridges br0 has it");
    expect(text).toMatch(/# refused: tunnels\.vti1.*\n(.*\n)* {2}#vti1:\n/);
  });

  it("merges files as netplan does, and tells about wrong ones with their place", async () => {
    const files = [
      write("10.yaml", "network: { tunnels: { t1: { mode: ipip, local: 192.0.2.1, remote: 192.0.2.2 } } }\n"),
      write("20.yaml", "network: { tunnels: { t1: { remote: 192.0.2.3 } } }\n"),
    ];
    expect((await imported(["netplan", ...files])).settings["t1"]).toMatchObject({ remote: "192.0.2.3" });
    const io = captureIo();
    expect(await run(["import", "netplan", files[0]!, write("30.yaml", "a: b: c\n")], io)).toBe(1);
    expect(io.stderr).toContain("30.yaml:1:");
    const none = captureIo();
    expect(await run(["import", "netplan"], none)).toBe(1);
    expect(none.stderr).toContain("expected FILE");
    const absent = captureIo();
    expect(await run(["import", "netplan", join(folder, "nosuch")], absent)).toBe(1);
    expect(absent.stderr).toContain("expected a readable file");
  });
});

describe("import networkd", () => {
  it("takes devices from .netdev, and what is on them from .network", async () => {
    const files: Record<string, string> = {
      "10-vx42.netdev": `# a comment
[NetDev]
Name=vx42
Kind=vxlan
MTUBytes=1400
MACAddress=02:00:00:00:00:42

[VXLAN]
VNI=42
Group=239.1.1.1
Local=192.0.2.1
TTL=16
MacLearning=no
FDBAgeingSec=5min 10s
MaximumFDBEntries=500
ReduceARPProxy=true
L2MissNotification=yes
UDP6ZeroChecksumRx=yes
PortRange=4000-4200
IPDoNotFragment=inherit
GroupPolicyExtension=yes
`,
      "10-vx42.netdev.d/port.conf": "[VXLAN]\nDestinationPort=4790\nTTL=\nTTL=17\n",
      "20-vx42.network": `[Match]
Name=vx4?

[Network]
Address=10.42.0.1/24
Bridge=br0

[Address]
Address=fd00:42::1/64
Label=x

[BridgeFDB]
MACAddress=02:00:00:00:00:03
Destination=192.0.2.3
VNI=43
`,
      "eth0.network": "[Match]\nName=eth0\n\n[Network]\nVXLAN=vx42\nTunnel=gre1\n",
      "gre1.netdev": `[NetDev]
Name=gre1
Kind=gre
[Tunnel]
Local=192.0.2.1
Remote=192.0.2.2
InputKey=1
OutputKey=0.0.0.2
DiscoverPathMTU=no
TTL=64
FooOverUDP=yes
Encapsulation=GenericUDPEncapsulation
FOUDestinationPort=6080
`,
      "gre1.network":
        "[Match]\nName=gre1\n[Route]\nDestination=10.2.0.0/16\nGateway=10.1.0.2\n[Route]\nGateway=10.1.0.2\nTable=5\n",
      "six.netdev": "[NetDev]\nName=six\nKind=ip6tnl\n[Tunnel]\nMode=ipip6\nLocal=2001:db8::1\nRemote=2001:db8::2\n",
      "sit.netdev":
        "[NetDev]\nName=rd\nKind=sit\n[Tunnel]\nLocal=192.0.2.1\nIPv6RapidDeploymentPrefix=2001:db8::/32\nTTL=64\n",
      "gnv.netdev": "[NetDev]\nName=gnv\nKind=geneve\n[GENEVE]\nId=7\nRemote=192.0.2.7\nUDPChecksum=no\n",
      "wg.netdev": "[NetDev]\nName=wg0\nKind=wireguard\n",
      "br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
    };
    for (const [name, text] of Object.entries(files)) write(`network/${name}`, text);
    const { warnings, settings } = await imported(["networkd", join(folder, "network")]);
    expect(settings["vx42"]).toEqual({
      mode: "vxlan",
      mtu: 1400,
      macaddress: "02:00:00:00:00:42",
      id: 42,
      group: "239.1.1.1",
      local: "192.0.2.1",
      ttl: 17,
      "mac-learning": false,
      ageing: 310,
      limit: 500,
      "arp-proxy": true,
      notifications: ["l2-miss"],
      checksums: ["udp", "zero-udp6-rx"],
      "port-range": [4000, 4200],
      "do-not-fragment": "inherit",
      port: 4790,
      link: "eth0",
      addresses: ["10.42.0.1/24", "fd00:42::1/64"],
      fdb: [{ mac: "02:00:00:00:00:03", dst: "192.0.2.3", vni: 43 }],
    });
    expect(settings["gre1"]).toMatchObject({
      key: { input: 1, output: "0.0.0.2" },
      ttl: 64,
      "do-not-fragment": "inherit",
      encap: { type: "gue", port: 6080 },
      link: "eth0",
      routes: [{ to: "10.2.0.0/16", via: "192.0.2.2" }],
    });
    expect(settings["six"]).toMatchObject({ mode: "ipip6", ttl: 64 });
    expect(settings["rd"]).toMatchObject({ mode: "6rd", prefix: "2001:db8::/32", ttl: 64 });
    expect(settings["gnv"]).toMatchObject({ id: 7, checksums: [] });
    for (const each of [
      "wg0: kind wireguard",
      "vx42: GroupPolicyExtension=yes",
      "vx42: [Address] fd00:42::1/64 Label=x",
      "vx42: Bridge=br0: ip link set vx42 master br0",
      "gre1: route default via 10.1.0.2 Table=5",
    ]) {
      expect(warnings).toContain(`vtepctl: ${each}`);
    }
    expect(warnings).not.toContain("br0:\n");
  });
});

describe("import live", () => {
  const device = (ifname: string, kind: string, data: object, more: object = {}): object => ({
    ifname,
    mtu: 1400,
    address: "02:00:00:00:00:01",
    flags: ["UP"],
    linkinfo: { info_kind: kind, info_data: data },
    addr_info: [],
    ...more,
  });

  it("takes devices, entries, addresses and routes of a namespace", async () => {
    const enter = "nsenter --net=/run/netns/blue";
    const { settings, warnings } = await imported(["live", "netns", "blue"], {
      [`${enter} ip -d -j address show`]: [
        { ifname: "lo", mtu: 65536, addr_info: [{ local: "127.0.0.1", prefixlen: 8 }] },
        device(
          "vx1",
          "vxlan",
          {
            id: 1,
            remote: "192.0.2.2",
            local: "192.0.2.1",
            link: "eth0",
            port: 4789,
            port_range: { low: 0, high: 0 },
            learning: true,
            ttl: 0,
            df: "unset",
            ageing: 300,
            udp_csum: true,
            udp_zero_csum6_tx: false,
            udp_zero_csum6_rx: false,
          },
          {
            master: "br0",
            addr_info: [
              { local: "10.1.0.1", prefixlen: 24, scope: "global" },
              { local: "fe80::1", prefixlen: 64, scope: "link" },
              { local: "fd00::99", prefixlen: 64, scope: "global", dynamic: true },
            ],
          },
        ),
        device("any", "vxlan", { external: true, port: 4789 }),
        device("vtepgro4789", "vxlan", { id: 16777215, port: 4789 }),
        device("gre0", "gre", { remote: "any", local: "any" }),
        device("er1", "erspan", {
          remote: "192.0.2.8",
          local: "192.0.2.1",
          ttl: 64,
          pmtudisc: true,
          ikey: "0.0.0.42",
          okey: "0.0.0.42",
          iseq: true,
          oseq: true,
          erspan_ver: 1,
        }),
        device(
          "g1",
          "gre",
          {
            remote: "192.0.2.9",
            local: "192.0.2.1",
            ttl: 0,
            tos: "0x1",
            pmtudisc: false,
            ikey: "0.0.0.7",
            okey: "0.0.0.7",
            ocsum: true,
          },
          { flags: [], link_netnsid: 0 },
        ),
      ],
      [`${enter} bridge -j fdb show`]: [
        { mac: "00:00:00:00:00:00", ifname: "vx1", dst: "192.0.2.2", flags: ["self"], state: "permanent" },
        { mac: "00:00:00:00:00:00", ifname: "vx1", dst: "192.0.2.3", flags: ["self"], state: "permanent" },
        {
          mac: "02:00:00:00:00:09",
          ifname: "vx1",
          dst: "192.0.2.3",
          vni: 5,
          port: 8472,
          viaIf: "eth1",
          flags: ["self", "sticky"],
          state: "static",
        },
        { mac: "02:00:00:00:00:0a", ifname: "vx1", dst: "192.0.2.3", flags: ["self"], state: "" },
        { mac: "33:33:00:00:00:01", ifname: "eth0", flags: ["self"], state: "permanent" },
      ],
      [`${enter} ip -4 -j route show`]: [
        { dst: "10.1.0.0/24", dev: "vx1", protocol: "kernel" },
        { dst: "10.9.0.0/16", dev: "g1", flags: [] },
        { dst: "default", gateway: "192.0.2.254", dev: "eth0" },
      ],
      [`${enter} ip -6 -j route show`]: [{ dst: "fd00:9::/64", dev: "g1", metric: 1024 }],
    });
    expect(settings).toEqual({
      vx1: {
        mode: "vxlan",
        local: "192.0.2.1",
        remote: "192.0.2.2",
        link: "eth0",
        id: 1,
        port: 4789,
        ageing: 300,
        mtu: 1400,
        macaddress: "02:00:00:00:00:01",
        netns: "blue",
        "underlay-netns": "blue",
        addresses: ["10.1.0.1/24"],
        flood: ["192.0.2.3"],
        fdb: [{ mac: "02:00:00:00:00:09", dst: "192.0.2.3", port: 8472, vni: 5, via: "eth1", sticky: true }],
      },
      er1: expect.objectContaining({ mode: "erspan", session: 42, ttl: 64, "do-not-fragment": true }),
      g1: expect.objectContaining({
        key: "0.0.0.7",
        ttl: "inherit",
        "type-of-service": "inherit",
        "do-not-fragment": "inherit",
        checksum: { input: false, output: true },
        routes: [
          { to: "10.9.0.0/16", via: "192.0.2.9" },
          { to: "fd00:9::/64", via: "192.0.2.9" },
        ],
      }),
    });
    expect(warnings).toContain("vtepctl: vx1: ip link set vx1 master br0");
    expect(warnings).toContain("vtepctl: any: tunnels by metadata");
    expect(warnings).toContain("vtepctl: g1: it was down");
    expect(warnings).toContain("vtepctl: g1: its underlay is in another network namespace");
  });
});
