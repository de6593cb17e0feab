import { describe, expect, it } from "vitest";
import { daemonWith, mistakesOf, NAME, QUOTE, tunnelWith } from "./mistakes-of.ts";

const UNICAST = "expected a unicast IPv4 or IPv6 address";
const REMOTE = `${UNICAST} or a host name`;
const SERVER =
  "expected the address of a name server, with or without a port, such as 192.0.2.53 or [2001:db8::53]:5353";
const FOR_GROUPS = "the key `group` is for those";
const MAC = "expected a unicast MAC such as 02:00:00:00:00:01";
const FDB_MAC = `${MAC}, or 00:00:00:00:00:00 for a member of the flood list`;
const CIDR = "expected an address with its prefix length, such as 10.42.0.1/24 or fd00:42::1/64";
const AGEING = "expected seconds from 0 to 2147483647, a time such as 300s, 5m or 1h, or none";
const LISTEN = "expected host:port or [IPv6 address]:port, such as 127.0.0.1:19784";

describe("a wrong value under a tunnel", () => {
  // The line, the column of the value, the path below tunnels.vx42, what the message says.
  it.each<[string, number, string, string]>([
    ["port: 0", 11, "port", "expected an integer from 1 to 65535, got 0"],
    ["port: 65536", 11, "port", "expected an integer from 1 to 65535, got 65536"],
    ["port: 47.5", 11, "port", "expected an integer from 1 to 65535, got 47.5"],
    ["port: -1", 11, "port", "expected an integer from 1 to 65535, got -1"],
    ['port: "4789"', 11, "port", 'expected an integer from 1 to 65535, got "4789"'],
    ["port: 4_789", 11, "port", 'expected an integer from 1 to 65535, got "4_789"'],
    ["port: .inf", 11, "port", "expected an integer from 1 to 65535, got Infinity"],
    ["port: .nan", 11, "port", "expected an integer from 1 to 65535, got NaN"],
    ["port:", 10, "port", "expected an integer from 1 to 65535, got nothing"],
    ["port: [1]", 11, "port", "expected an integer from 1 to 65535, got a list"],
    ["port: { a: 1 }", 11, "port", "expected an integer from 1 to 65535, got a map"],
    ["local: 192.0.2", 12, "local", `${UNICAST}, got "192.0.2"`],
    ["local: 192.0.2.256", 12, "local", `${UNICAST}, got "192.0.2.256"`],
    ["local: 0300.0.2.1", 12, "local", `${UNICAST}, got "0300.0.2.1"`],
    ["local: 3221225985", 12, "local", `${UNICAST}, got 3221225985`],
    ["local: host.example", 12, "local", `${UNICAST}, got "host.example"`],
    ['local: ""', 12, "local", `${UNICAST}, got ""`],
    ["local: 0.0.0.0", 12, "local", `${UNICAST}, got "0.0.0.0" (the unspecified address)`],
    ['local: "::"', 12, "local", `${UNICAST}, got "::" (the unspecified address)`],
    ["local: 255.255.255.255", 12, "local", `${UNICAST}, got "255.255.255.255" (the broadcast address)`],
    [
      "local: ::ffff:192.0.2.1",
      12,
      "local",
      `${UNICAST}, got "::ffff:192.0.2.1" (an IPv4-mapped address: write it as IPv4)`,
    ],
    [
      "local: fe80::1%eth0",
      12,
      "local",
      `${UNICAST}, got "fe80::1%eth0" (an address with a zone: name the interface under \`link\` instead)`,
    ],
    ["local: 192.0.2.1/24", 12, "local", `${UNICAST}, got "192.0.2.1/24" (a VTEP address has no prefix length)`],
    ["remote: 239.1.1.1", 13, "remote", `${REMOTE}, got "239.1.1.1" (a multicast address; ${FOR_GROUPS})`],
    ["remote: ff02::1", 13, "remote", `${REMOTE}, got "ff02::1" (a multicast address; ${FOR_GROUPS})`],
    ["flood: 192.0.2.2", 12, "flood", 'expected a list, got "192.0.2.2"'],
    [
      "flood: [192.0.2.2, 224.0.0.1]",
      24,
      "flood[1]",
      `${REMOTE}, got "224.0.0.1" (a multicast address; ${FOR_GROUPS})`,
    ],
    ["remote: host_1.example", 13, "remote", `${REMOTE}, got "host_1.example"`],
    ["remote: -host.example", 13, "remote", `${REMOTE}, got "-host.example"`],
    ["remote: host..example", 13, "remote", `${REMOTE}, got "host..example"`],
    ["remote: 192.0.2.2:4789", 13, "remote", `${REMOTE}, got "192.0.2.2:4789"`],
    ["remote: 192.0.2.256", 13, "remote", `${REMOTE}, got "192.0.2.256"`],
    ["remote: 192.0.2", 13, "remote", `${REMOTE}, got "192.0.2"`],
    ["remote: 7", 13, "remote", `${REMOTE}, got 7`],
    [`remote: ${"a".repeat(64)}.example`, 13, "remote", `${REMOTE}, got "${"a".repeat(60)}..."`],
    [
      "flood: [vtep.example, http://vtep.example]",
      27,
      "flood[1]",
      `${REMOTE}, got "http://vtep.example" (a VTEP address has no prefix length)`,
    ],
    ["flood: [2001:db8::]", 13, "flood[0]", `${REMOTE}, got a map (${QUOTE})`],
    ["fdb: {}", 10, "fdb", "expected a list, got a map"],
    ["fdb: [ab]", 11, "fdb[0]", 'expected a map, got "ab"'],
    ["fdb: [{ dst: 192.0.2.2 }]", 11, "fdb[0].mac", `${FDB_MAC}, got nothing: the key is required`],
    ["fdb: [{ mac: 02:00:00:00:00:01 }]", 11, "fdb[0].dst", `${REMOTE}, got nothing: the key is required`],
    [
      "fdb: [{ mac: 01:00:5e:00:00:01, dst: 192.0.2.2 }]",
      18,
      "fdb[0].mac",
      `${FDB_MAC}, got "01:00:5e:00:00:01" (a group address)`,
    ],
    ["fdb: [{ mac: 2:0:0:0:0:1, dst: 192.0.2.2 }]", 18, "fdb[0].mac", `${FDB_MAC}, got "2:0:0:0:0:1"`],
    [
      "fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2, port: 0 }]",
      59,
      "fdb[0].port",
      "expected an integer from 1 to 65535, got 0",
    ],
    [
      "fdb: [{ mac: 02:00:00:00:00:01, dst: 192.0.2.2, vni: 16777216 }]",
      58,
      "fdb[0].vni",
      "expected an integer from 0 to 16777215, got 16777216",
    ],
    ["mac-learning: yes", 19, "mac-learning", 'expected true or false, got "yes"'],
    ["mac-learning: 1", 19, "mac-learning", "expected true or false, got 1"],
    ["ageing: -1", 13, "ageing", `${AGEING}, got -1`],
    ["ageing: 1.5", 13, "ageing", `${AGEING}, got 1.5`],
    ["ageing: 5 m", 13, "ageing", `${AGEING}, got "5 m"`],
    ["ageing: 2d", 13, "ageing", `${AGEING}, got "2d"`],
    ["ageing: never", 13, "ageing", `${AGEING}, got "never"`],
    ["ageing: 2147483648", 13, "ageing", `${AGEING}, got 2147483648`],
    ["ageing: 596524h", 13, "ageing", `${AGEING}, got "596524h"`],
    ["aging: soon", 12, "aging", `${AGEING}, got "soon"`],
    ["limit: 0", 12, "limit", "expected an integer from 1 to 1048576, got 0"],
    ["limit: 1048577", 12, "limit", "expected an integer from 1 to 1048576, got 1048577"],
    ["mtu: 67", 10, "mtu", "expected an integer from 68 to 65535, got 67"],
    ["mtu: 65536", 10, "mtu", "expected an integer from 68 to 65535, got 65536"],
    ["macaddress: 01:00:00:00:00:01", 17, "macaddress", `${MAC}, got "01:00:00:00:00:01" (a group address)`],
    ["macaddress: 00:00:00:00:00:00", 17, "macaddress", `${MAC}, got "00:00:00:00:00:00" (the zero address)`],
    ["macaddress: ff:ff:ff:ff:ff:ff", 17, "macaddress", `${MAC}, got "ff:ff:ff:ff:ff:ff" (a group address)`],
    ["macaddress: 02-00-00-00-00-01", 17, "macaddress", `${MAC}, got "02-00-00-00-00-01"`],
    [
      "addresses: [10.42.0.1]",
      17,
      "addresses[0]",
      `${CIDR}, got "10.42.0.1" (the prefix length is missing; a single address has /32)`,
    ],
    ["addresses: [10.42.0.1/33]", 17, "addresses[0]", `${CIDR}, got "10.42.0.1/33" (a prefix length is 0 to 32)`],
    ["addresses: [10.42.0.1/024]", 17, "addresses[0]", `${CIDR}, got "10.42.0.1/024" (a prefix length is 0 to 32)`],
    ["addresses: [fd00::1/129]", 17, "addresses[0]", `${CIDR}, got "fd00::1/129" (a prefix length is 0 to 128)`],
    ["addresses: [10.42.0.1/24/8]", 17, "addresses[0]", `${CIDR}, got "10.42.0.1/24/8"`],
    ["addresses: [239.1.1.1/32]", 17, "addresses[0]", `${CIDR}, got "239.1.1.1/32" (a multicast address)`],
    ["addresses: 10.42.0.1/24", 16, "addresses", 'expected a list, got "10.42.0.1/24"'],
    ["netns: a/b", 12, "netns", 'expected the name of a network namespace or an absolute path, got "a/b"'],
    ["netns: ..", 12, "netns", 'expected the name of a network namespace or an absolute path, got ".."'],
    ["netns: /", 12, "netns", 'expected the name of a network namespace or an absolute path, got "/"'],
    ["link: eth0:1", 11, "link", `${NAME}, got "eth0:1"`],
    ["link: eth%d", 11, "link", `${NAME}, got "eth%d"`],
    ["link: abcdefghijklmnop", 11, "link", `${NAME}, got "abcdefghijklmnop"`],
    ["queues: 0", 13, "queues", "expected auto or an integer from 1 to 256, got 0"],
    ["queues: 257", 13, "queues", "expected auto or an integer from 1 to 256, got 257"],
    ["queues: many", 13, "queues", 'expected auto or an integer from 1 to 256, got "many"'],
  ])("%s", (line, column, path, message) => {
    expect(mistakesOf(tunnelWith(line))).toEqual({
      code: "ERR_CONFIG_VALUE",
      path: `tunnels.vx42.${path}`,
      lines: [`vtepd.yaml:6:${column}: tunnels.vx42.${path}: ${message}`],
    });
  });

  it("repeats no more than the beginning of a long value", () => {
    const { lines } = mistakesOf(tunnelWith(`local: ${"x".repeat(1000)}`));
    expect(lines).toEqual([`vtepd.yaml:6:12: tunnels.vx42.local: ${UNICAST}, got "${"x".repeat(60)}..."`]);
  });
});

describe("a wrong value under daemon", () => {
  it.each<[string, number, string, string]>([
    [
      "log: { level: verbose }",
      17,
      "log.level",
      'expected one of fatal, error, warn, info, debug, trace, silent, got "verbose"',
    ],
    ["log: info", 8, "log", 'expected a map, got "info"'],
    ["workers: 0", 12, "workers", "expected auto or an integer from 1 to 64, got 0"],
    ["workers: 65", 12, "workers", "expected auto or an integer from 1 to 64, got 65"],
    ["workers: 1.5", 12, "workers", "expected auto or an integer from 1 to 64, got 1.5"],
    ["resolver: 192.0.2.53", 13, "resolver", 'expected a list, got "192.0.2.53"'],
    ["resolver: [dns.example]", 14, "resolver[0]", `${SERVER}, got "dns.example"`],
    ["resolver: [192.0.2.53:0]", 14, "resolver[0]", `${SERVER}, got "192.0.2.53:0"`],
    ["resolver: [192.0.2.53:65536]", 14, "resolver[0]", `${SERVER}, got "192.0.2.53:65536"`],
    ['resolver: ["[192.0.2.53"]', 14, "resolver[0]", `${SERVER}, got "[192.0.2.53"`],
    ["fdb-capacity: 0", 17, "fdb-capacity", "expected an integer from 1 to 1048576, got 0"],
    ["fdb-capacity: 1048577", 17, "fdb-capacity", "expected an integer from 1 to 1048576, got 1048577"],
    ["control: { mode: 0o660 }", 20, "control.mode", "expected one of 0600, 0660, 0666, got 432"],
    ['control: { mode: "0777" }', 20, "control.mode", 'expected one of 0600, 0660, 0666, got "0777"'],
    ["control: { group: 5 }", 21, "control.group", "expected the name of a group, got 5"],
    ["control: { group: a b }", 21, "control.group", 'expected the name of a group, got "a b"'],
    [
      "control: { socket: run.sock }",
      22,
      "control.socket",
      'expected an absolute path of at most 107 bytes, got "run.sock"',
    ],
    ["control: { socket: /run/ }", 22, "control.socket", 'expected an absolute path of at most 107 bytes, got "/run/"'],
    ["metrics: { listen: 19784 }", 22, "metrics.listen", `${LISTEN}, got 19784`],
    ["metrics: { listen: 127.0.0.1 }", 22, "metrics.listen", `${LISTEN}, got "127.0.0.1"`],
    ["metrics: { listen: 127.0.0.1:0 }", 22, "metrics.listen", `${LISTEN}, got "127.0.0.1:0"`],
    ["metrics: { listen: 127.0.0.1:65536 }", 22, "metrics.listen", `${LISTEN}, got "127.0.0.1:65536"`],
    ["metrics: { listen: 192.0.2:80 }", 22, "metrics.listen", `${LISTEN}, got "192.0.2:80"`],
    ['metrics: { listen: "::1:80" }', 22, "metrics.listen", `${LISTEN}, got "::1:80"`],
    ['metrics: { listen: "[192.0.2.1]:80" }', 22, "metrics.listen", `${LISTEN}, got "[192.0.2.1]:80"`],
    ['metrics: { listen: ":80" }', 22, "metrics.listen", `${LISTEN}, got ":80"`],
  ])("%s", (line, column, path, message) => {
    expect(mistakesOf(daemonWith(line))).toEqual({
      code: "ERR_CONFIG_VALUE",
      path: `daemon.${path}`,
      lines: [`vtepd.yaml:3:${column}: daemon.${path}: ${message}`],
    });
  });

  it("refuses a socket path that does not fit into sun_path", () => {
    const path = `/${"s".repeat(107)}`;
    const shown = `${path.slice(0, 60)}...`;
    expect(mistakesOf(daemonWith(`control: { socket: ${path} }`)).lines).toEqual([
      `vtepd.yaml:3:22: daemon.control.socket: expected an absolute path of at most 107 bytes, got "${shown}"`,
    ]);
  });
});
