import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";

/** Code and lines of the error; none for a good file. */
const conflictsOf = (text: string): { code?: string; lines: string[] } => {
  try {
    parseConfig(text, "vtepd.yaml");
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return { code, lines: message.split("\n") };
  }
  return { lines: [] };
};

/** Tunnels written in flow style, the first in line 3. */
const tunnels = (...lines: string[]): string => `version: 1\ntunnels:\n${lines.map((line) => `  ${line}\n`).join("")}`;

/** One tunnel, whose keys begin in line 6. */
const tunnel = (...lines: string[]): string =>
  tunnels("vx1:", "  mode: vxlan", "  id: 1", ...lines.map((line) => `  ${line}`));

describe("a conflict", () => {
  it.each<[string, string, string[]]>([
    [
      "between two neighbours with one address",
      tunnel(
        "arp-proxy: true",
        "neighbours:",
        "  - { address: fd00::2, mac: 02:00:00:00:00:02 }",
        "  - { address: 'fd00:0::2', mac: 02:00:00:00:00:03 }",
      ),
      [
        "9:20: tunnels.vx1.neighbours[1].address: expected each address once, got fd00::2 again: tunnels.vx1.neighbours[0].address (vtepd.yaml:8:20)",
      ],
    ],
    [
      "between neighbours and nobody who asks for them",
      tunnel("notifications: [l2-miss]", "neighbours: [{ address: 10.0.0.2, mac: 02:00:00:00:00:02 }]"),
      [
        "7:17: tunnels.vx1.neighbours: expected `arp-proxy: true` or `notifications: [l3-miss]` beside neighbours, which are for nothing else",
      ],
    ],
    [
      "between a neighbour and the device's own MAC",
      tunnel(
        "arp-proxy: true",
        "macaddress: 02:00:00:00:00:01",
        "neighbours: [{ address: 10.0.0.2, mac: 02:00:00:00:00:01 }]",
      ),
      [
        "8:44: tunnels.vx1.neighbours[0].mac: expected the MAC of another station, got 02:00:00:00:00:01, which is the device's own: tunnels.vx1.macaddress (vtepd.yaml:7:17)",
      ],
    ],
    [
      "between the limits of a tunnel and of its remote VTEPs",
      tunnel("limit: 100", "limit-per-remote: 101"),
      ["7:23: tunnels.vx1.limit-per-remote: expected at most 100, which `limit` gives the whole tunnel, got 101"],
    ],
    [
      "between a clamp and an MTU that such segments do not fit",
      tunnel("mtu: 1400", "mss-clamp: 1361"),
      ["7:16: tunnels.vx1.mss-clamp: expected at most 1360 beside tunnels.vx1.mtu (vtepd.yaml:6:10), got 1361"],
    ],
    [
      "between two spellings of neighbours",
      tunnel("neighbours: []", "neighbors: []"),
      [
        "7:16: tunnels.vx1.neighbors: expected one spelling of the key, got `neighbors` beside tunnels.vx1.neighbours (vtepd.yaml:6:17)",
      ],
    ],
    [
      "between two tunnels with one VNI on one port and local address",
      tunnels(
        "vx1: { mode: vxlan, id: 7, local: 192.0.2.1, remote: 192.0.2.2 }",
        "vx2: { mode: vxlan, id: 7, local: 192.0.2.1, remote: 192.0.2.3 }",
      ),
      [
        "4:27: tunnels.vx2.id: expected a VNI of its own on port 4789 and local address 192.0.2.1, got 7 again: tunnels.vx1.id (vtepd.yaml:3:27)",
      ],
    ],
    [
      "between three such tunnels, told twice",
      tunnels("a: { mode: vxlan, id: 7 }", "b: { mode: vxlan, id: 7 }", "c: { mode: vxlan, id: 7 }"),
      [
        "4:25: tunnels.b.id: expected a VNI of its own on port 4789 and a local address found by route, got 7 again: tunnels.a.id (vtepd.yaml:3:25)",
        "5:25: tunnels.c.id: expected a VNI of its own on port 4789 and a local address found by route, got 7 again: tunnels.a.id (vtepd.yaml:3:25)",
      ],
    ],
    [
      "between local addresses that are written differently",
      tunnels("a: { mode: vxlan, id: 7, local: 2001:db8::1 }", "b: { mode: vxlan, id: 7, local: 2001:DB8:0::1 }"),
      [
        "4:25: tunnels.b.id: expected a VNI of its own on port 4789 and local address 2001:db8::1, got 7 again: tunnels.a.id (vtepd.yaml:3:25)",
      ],
    ],
    [
      "between the headers of two tunnels on one socket",
      tunnels(
        "a: { mode: gretap, local: 192.0.2.1, remote: 192.0.2.2, encap: { type: gue, port: 7000 } }",
        "b: { mode: gretap, local: 192.0.2.1, remote: 192.0.2.3, encap: { type: fou, port: 7000 } }",
        "c: { mode: vxlan, id: 7, local: 192.0.2.1, port: 7000 }",
      ),
      [
        "4:66: tunnels.b.encap: expected one format of tunnel header on port 7000 and local address 192.0.2.1, got another than tunnels.a.encap (vtepd.yaml:3:66)",
        "5:14: tunnels.c.mode: expected one format of tunnel header on port 7000 and local address 192.0.2.1, got another than tunnels.a.mode (vtepd.yaml:3:14)",
      ],
    ],
    [
      "between remote and local",
      tunnel("local: 192.0.2.1", "remote: 192.0.2.1"),
      [
        "7:13: tunnels.vx1.remote: expected a remote VTEP, got 192.0.2.1, which is our own: tunnels.vx1.local (vtepd.yaml:6:12)",
      ],
    ],
    [
      "between the flood list and local",
      tunnel("flood: [192.0.2.2, 192.0.2.1]", "local: 192.0.2.1"),
      [
        "6:24: tunnels.vx1.flood[1]: expected a remote VTEP, got 192.0.2.1, which is our own: tunnels.vx1.local (vtepd.yaml:7:12)",
      ],
    ],
    [
      "between an FDB entry and local",
      tunnel("local: 192.0.2.1", "fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.1 }]"),
      [
        "7:42: tunnels.vx1.fdb[0].dst: expected a remote VTEP, got 192.0.2.1, which is our own: tunnels.vx1.local (vtepd.yaml:6:12)",
      ],
    ],
    [
      "between families, with local",
      tunnel("local: 192.0.2.1", "remote: 2001:db8::2"),
      [
        "7:13: tunnels.vx1.remote: expected an IPv4 address as the local address 192.0.2.1 is one, got 2001:db8::2; `local` may be a list with an address of each family: tunnels.vx1.local (vtepd.yaml:6:12)",
      ],
    ],
    [
      "between two local addresses of one family",
      tunnel("local: [192.0.2.1, 192.0.2.9]", "remote: 192.0.2.2"),
      [
        "6:24: tunnels.vx1.local[1]: expected one local address of each family beside tunnels.vx1.local[0] (vtepd.yaml:6:13), got 192.0.2.9",
      ],
    ],
    [
      "between a group and a remote, and a group and no link",
      tunnel("group: 239.1.1.1", "remote: 192.0.2.2"),
      [
        "6:12: tunnels.vx1.group: expected one default destination, got the group 239.1.1.1 beside tunnels.vx1.remote (vtepd.yaml:7:13)",
        "6:12: tunnels.vx1.group: expected `link`, the interface to join the group on, got 239.1.1.1 without one",
      ],
    ],
    [
      "between the receiving port as the only source port and DF",
      tunnel("port-range: [4789, 4789]", "do-not-fragment: true"),
      [
        "6:17: tunnels.vx1.port-range: expected source ports other than the port that receives, whose socket cannot be set to what tunnels.vx1.do-not-fragment (vtepd.yaml:7:22) asks, got 4789",
      ],
    ],
    [
      "between DF and fragments",
      tunnel("oversize: fragment", "do-not-fragment: true"),
      [
        "6:15: tunnels.vx1.oversize: expected `icmp` or `drop` beside tunnels.vx1.do-not-fragment (vtepd.yaml:7:22), got `fragment`",
      ],
    ],
    [
      "between a link-local address and no link",
      tunnel("remote: fe80::2"),
      [
        "6:13: tunnels.vx1.remote: expected `link` beside a link-local address, got fe80::2 and no interface to use it on",
      ],
    ],
    [
      "between host names and no address that would tell the local one",
      tunnel("remote: vtep.example", "flood: [other.example]"),
      [
        "6:13: tunnels.vx1.remote: expected `local` beside the host name vtep.example, because there is no remote VTEP whose route would tell it",
      ],
    ],
    [
      "of host names within the flood list",
      tunnel("local: 192.0.2.1", "flood: [vtep.example, VTEP.example.]"),
      [
        "7:27: tunnels.vx1.flood[1]: expected each member of the flood list once, got vtep.example again: tunnels.vx1.flood[0] (vtepd.yaml:7:13)",
      ],
    ],
    [
      "within the flood list",
      tunnel("flood: [192.0.2.2, 192.0.2.2]"),
      [
        "6:24: tunnels.vx1.flood[1]: expected each member of the flood list once, got 192.0.2.2 again: tunnels.vx1.flood[0] (vtepd.yaml:6:13)",
      ],
    ],
    [
      "between remote and the flood list",
      tunnel("remote: 192.0.2.2", "flood: [192.0.2.2]"),
      [
        "7:13: tunnels.vx1.flood[0]: expected each member of the flood list once, got 192.0.2.2 again: tunnels.vx1.remote (vtepd.yaml:6:13)",
      ],
    ],
    [
      "between the flood list and a zero-MAC entry that spells out the tunnel's own port and VNI",
      tunnel("flood: [192.0.2.2]", "fdb: [{ mac: 00:00:00:00:00:00, dst: 192.0.2.2, port: 4789, vni: 1 }]"),
      [
        "7:42: tunnels.vx1.fdb[0].dst: expected each member of the flood list once, got 192.0.2.2 again: tunnels.vx1.flood[0] (vtepd.yaml:6:13)",
      ],
    ],
    [
      "between the flood list and a zero-MAC entry that spells out the tunnel's own interface",
      tunnel("link: eth0", "flood: [192.0.2.2]", "fdb: [{ mac: 00:00:00:00:00:00, dst: 192.0.2.2, via: eth0 }]"),
      [
        "8:42: tunnels.vx1.fdb[0].dst: expected each member of the flood list once, got 192.0.2.2 again: tunnels.vx1.flood[0] (vtepd.yaml:7:13)",
      ],
    ],
    [
      "between an entry's interface and the tunnel's own device",
      tunnel("fdb: [{ mac: 02:00:00:00:00:03, dst: 192.0.2.2, via: vx1 }]"),
      ["6:58: tunnels.vx1.fdb[0].via: expected an underlay interface, got vx1, the device of the tunnel itself"],
    ],
    [
      "between an entry's interface and sending from the receiving port",
      tunnel("port-range: [4789, 4789]", "fdb: [{ mac: 02:00:00:00:00:03, dst: 192.0.2.2, via: eth1 }]"),
      [
        "7:58: tunnels.vx1.fdb[0].via: expected source ports other than 4789 beside `via`, because the sockets that receive are bound to no interface, got eth1",
      ],
    ],
    [
      "between a flood-list member and sticky",
      tunnel("fdb: [{ mac: 00:00:00:00:00:00, dst: 192.0.2.2, sticky: true }]"),
      [
        "6:61: tunnels.vx1.fdb[0].sticky: expected a sticky entry for a MAC that a station can have, got one for a member of the flood list",
      ],
    ],
    [
      "between two FDB entries of one MAC",
      tunnel(
        "fdb:",
        "  - { mac: 02:00:00:00:00:0a, dst: 192.0.2.2 }",
        "  - { mac: 02:00:00:00:00:0A, dst: 192.0.2.3 }",
      ),
      [
        "8:16: tunnels.vx1.fdb[1].mac: expected each MAC once, got 02:00:00:00:00:0a again: tunnels.vx1.fdb[0].mac (vtepd.yaml:7:16)",
      ],
    ],
    [
      "between an FDB entry and the device's own MAC",
      tunnel("macaddress: 02:00:00:00:00:01", "fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2 }]"),
      [
        "7:18: tunnels.vx1.fdb[0].mac: expected the MAC of another station, got 02:00:00:00:00:01, which is the device's own: tunnels.vx1.macaddress (vtepd.yaml:6:17)",
      ],
    ],
    [
      "within addresses",
      tunnel('addresses: [10.0.0.1/24, "fd00::1/64", 10.0.0.1/24]'),
      [
        "6:44: tunnels.vx1.addresses[2]: expected each address once, got 10.0.0.1/24 again: tunnels.vx1.addresses[0] (vtepd.yaml:6:17)",
      ],
    ],
    [
      "between a tunnel and itself as underlay",
      tunnel("link: vx1"),
      ["6:11: tunnels.vx1.link: expected an underlay interface, got vx1, the device of the tunnel itself"],
    ],
    [
      "between link and the namespace that the interface is in",
      tunnels("vx1: { mode: vxlan, id: 1, link: vx2 }", "vx2: { mode: vxlan, id: 2, netns: blue }"),
      [
        "3:36: tunnels.vx1.link: expected an interface in the daemon's namespace, got vx2, which is in that of tunnels.vx2.netns (vtepd.yaml:4:37)",
      ],
    ],
    [
      "between two routes to one network",
      tunnels(
        "t: { mode: gre, local: 192.0.2.1, routes: [{ to: 10.2.0.0/16, via: 192.0.2.2 }, { to: 10.2.0.0/16, via: 192.0.2.3 }] }",
      ),
      [
        "3:89: tunnels.t.routes[1].to: expected each network once, got 10.2.0.0/16 again: tunnels.t.routes[0].to (vtepd.yaml:3:52)",
      ],
    ],
    [
      "between a route and what the mode carries, and what carries it",
      tunnels('t: { mode: ipip, local: 192.0.2.1, routes: [{ to: "fd00:2::/64", via: "2001:db8::2" }] }'),
      [
        "3:53: tunnels.t.routes[0].to: expected an IPv4 network as mode ipip carries IPv4, got fd00:2::/64",
        "3:73: tunnels.t.routes[0].via: expected an IPv4 address as mode ipip is over IPv4, got 2001:db8::2",
      ],
    ],
    [
      "between two tunnels of one remote VTEP, by route and by `remote`",
      tunnels(
        "a: { mode: ipip, local: 192.0.2.1, remote: 192.0.2.2 }",
        "b: { mode: ipip, local: 192.0.2.1, routes: [{ to: 10.2.0.0/16, via: 192.0.2.2 }] }",
      ),
      [
        "4:6: tunnels.b.remote: expected one tunnel for such packets from 192.0.2.2 on local address 192.0.2.1, got another: tunnels.a.remote (vtepd.yaml:3:46)",
      ],
    ],
    [
      "between two spellings of ageing",
      tunnel("ageing: 300", "aging: 300"),
      [
        "7:12: tunnels.vx1.aging: expected one spelling of the key, got `aging` beside tunnels.vx1.ageing (vtepd.yaml:6:13)",
      ],
    ],
  ])("%s", (_, text, lines) => {
    expect(conflictsOf(text)).toEqual({
      code: "ERR_CONFIG_CONFLICT",
      lines: lines.map((line) => `vtepd.yaml:${line}`),
    });
  });
});

describe("no conflict", () => {
  it.each<[string, string]>([
    ["one VNI on two ports", tunnels("a: { mode: vxlan, id: 7 }", "b: { mode: vxlan, id: 7, port: 8472 }")],
    [
      "one VNI on two local addresses",
      tunnels("a: { mode: vxlan, id: 7, local: 192.0.2.1 }", "b: { mode: vxlan, id: 7, local: 192.0.2.9 }"),
    ],
    ["two VNIs on one port", tunnels("a: { mode: vxlan, id: 7 }", "b: { mode: vxlan, id: 8 }")],
    [
      "several zero-MAC entries, and one VTEP on two ports",
      tunnel(
        "remote: 192.0.2.2",
        "fdb:",
        "  - { mac: 00:00:00:00:00:00, dst: 192.0.2.2, port: 8472 }",
        "  - { mac: 00:00:00:00:00:00, dst: 192.0.2.2, vni: 2 }",
        "  - { mac: 00:00:00:00:00:00, dst: 192.0.2.3 }",
      ),
    ],
    [
      "a static entry behind the remote",
      tunnel("remote: 192.0.2.2", "fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2 }]"),
    ],
    [
      "one MAC in two tunnels",
      tunnels(
        "a: { mode: vxlan, id: 7, fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2 }] }",
        "b: { mode: vxlan, id: 8, fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.3 }] }",
      ),
    ],
    [
      "host names beside a local address, or beside a remote VTEP that has an address",
      tunnels(
        "a: { mode: vxlan, id: 7, local: 192.0.2.1, remote: a.example, flood: [b.example, 7.example, localhost] }",
        "b: { mode: vxlan, id: 8, remote: 192.0.2.2, fdb: [{ mac: 02:00:00:00:00:01, dst: xn--a-1.example }] }",
      ),
    ],
    ["limits that are the same", tunnel("limit: 100", "limit-per-remote: 100")],
    ["a clamp at what the MTU leaves", tunnel("mtu: 1400", "mss-clamp: 1360")],
    ["IPv6 addresses on a device over IPv4", tunnel("local: 192.0.2.1", 'addresses: ["fd00::1/64"]')],
    ["one tunnel over another", tunnels("a: { mode: vxlan, id: 7 }", "b: { mode: vxlan, id: 8, link: a }")],
    [
      "a device in a namespace with the name of its underlay",
      tunnels("eth0: { mode: vxlan, id: 7, link: eth0, netns: blue }"),
    ],
  ])("%s", (_, text) => {
    expect(conflictsOf(text)).toEqual({ lines: [] });
  });
});
