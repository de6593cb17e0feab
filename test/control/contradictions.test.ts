/**
 *   left: vtepd, tap "ov0" (VNI 42) 10.42.0.1 --- 192.0.2.1 === 192.0.2.2 --- kernel vxlan "ov0" 10.42.0.2 :right
 *
 * What the configuration refuses at load, the control socket refuses in the same words, and nothing changes. A message of
 * the file begins with its place, and ends with the place of the other value where there is one.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { RunningDaemon } from "../support/daemon.ts";
import type { Host } from "../support/host.ts";
import { Lab } from "../support/lab.ts";
import { SteadyPing } from "../support/steady-ping.ts";
import { unixJson } from "../support/unix-http.ts";

const OWN_MAC = "02:00:00:00:00:01";
const STATION = "02:00:00:00:00:05";
const ZERO = "00:00:00:00:00:00";
const KEYS = `mode: vxlan, id: 42, local: 192.0.2.1, macaddress: ${OWN_MAC}, addresses: [10.42.0.1/24]`;
const FLOOD = "flood: [192.0.2.2]";
const ENTRY = `{ mac: ${STATION}, dst: 192.0.2.2 }`;
const NEIGHBOUR = `{ address: 10.42.0.5, mac: ${STATION} }`;

let lab: Lab;
let left: Host;
let daemon: RunningDaemon;
let ping: SteadyPing;

/** The problem of the file without place and path, and without the place of the other value. */
const refusedByFile = (keys: string): { code: string; words: string } => {
  try {
    parseConfig(`version: 1\ntunnels: { ov0: { ${KEYS}, ${keys} } }\n`, "vtepd.yaml");
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    expect(message.split("\n")).toHaveLength(1);
    const words = message.replace(/^vtepd\.yaml:\d+:\d+: tunnels\.ov0\S*: /, "");
    return { code, words: words.replace(/: tunnels\.ov0\S* \(vtepd\.yaml:\d+:\d+\)$/, "") };
  }
  throw new Error("expected a contradiction, got a configuration");
};

/** Everything that a refused call must leave alone. */
const state = (): string[] => [
  daemon.vtepctl("link", "show").stdout,
  daemon.vtepctl("fdb", "show").stdout,
  daemon.vtepctl("flood", "show", "ov0").stdout,
  daemon.vtepctl("neigh", "show").stdout,
];

beforeAll(async () => {
  lab = Lab.create();
  left = lab.host("left");
  const right = lab.host("right");
  lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
  const peer = ["id", "42", "local", "192.0.2.2", "remote", "192.0.2.1", "dstport", "4789"];
  right.ip("link", "add", "ov0", "type", "vxlan", ...peer);
  right.address("ov0", "10.42.0.2/24");
  daemon = await RunningDaemon.start(
    left,
    `{ ov0: { ${KEYS}, ${FLOOD}, fdb: [${ENTRY}], arp-proxy: true, neighbours: [${NEIGHBOUR}] } }`,
  );
  left.run("ping", ["-c", "1", "-W", "5", "10.42.0.2"]);
  ping = await SteadyPing.start(left, "10.42.0.2");
});
afterAll(() => lab.close());

const fdb = (more: object): [string, string, object] => [
  "POST",
  "/v1/links/ov0/fdb",
  { verb: "append", mac: "02:00:00:00:00:09", dst: "192.0.2.3", ...more },
];
const flood = (...members: object[]): [string, string, object] => ["PUT", "/v1/links/ov0/flood", members];
const member = (more: object): [string, string, object] => ["POST", "/v1/links/ov0/flood", { ...more }];
const neighbour = (more: object): [string, string, object] => [
  "POST",
  "/v1/links/ov0/neighbours",
  { verb: "add", address: "10.42.0.9", mac: "02:00:00:00:00:09", ...more },
];
const named = (keys: string): string => `${FLOOD}, arp-proxy: true, neighbours: [{ ${keys} }]`;
const entry = (keys: string): string => `${FLOOD}, fdb: [{ ${keys} }]`;

describe("the control socket refuses, in the words of the configuration,", () => {
  it.each<[what: string, keys: string, call: [string, string, object], words: string]>([
    [
      "an entry at our own address",
      entry("mac: 02:00:00:00:00:09, dst: 192.0.2.1"),
      fdb({ dst: "192.0.2.1" }),
      "expected a remote VTEP, got 192.0.2.1, which is our own",
    ],
    [
      "a member that is our own address",
      "flood: [192.0.2.2, 192.0.2.1]",
      flood({ dst: "192.0.2.2" }, { dst: "192.0.2.1" }),
      "expected a remote VTEP, got 192.0.2.1, which is our own",
    ],
    [
      "our own address as the one member more",
      "flood: [192.0.2.2, 192.0.2.1]",
      member({ dst: "192.0.2.1", vni: 7 }),
      "expected a remote VTEP, got 192.0.2.1, which is our own",
    ],
    [
      "an entry of a family without a local address",
      entry('mac: 02:00:00:00:00:09, dst: "2001:DB8:0::2"'),
      fdb({ dst: "2001:DB8:0::2" }),
      "expected an IPv4 address as the local address 192.0.2.1 is one, got 2001:db8::2; `local` may be a list with an address of each family",
    ],
    [
      "such a member of the flood list",
      'flood: [192.0.2.2, "2001:db8::2"]',
      flood({ dst: "192.0.2.2" }, { dst: "2001:db8::2" }),
      "expected an IPv4 address as the local address 192.0.2.1 is one, got 2001:db8::2; `local` may be a list with an address of each family",
    ],
    [
      "a member twice",
      "flood: [192.0.2.2, 192.0.2.3, 192.0.2.2]",
      flood({ dst: "192.0.2.2" }, { dst: "192.0.2.3" }, { dst: "192.0.2.2" }),
      "expected each member of the flood list once, got 192.0.2.2 again",
    ],
    [
      "a member twice, once with the tunnel's own port and VNI spelled out",
      `flood: [192.0.2.2], fdb: [{ mac: ${ZERO}, dst: 192.0.2.2, port: 4789, vni: 42 }]`,
      flood({ dst: "192.0.2.2" }, { dst: "192.0.2.2", port: 4789, vni: 42 }),
      "expected each member of the flood list once, got 192.0.2.2 again",
    ],
    [
      "the device's own MAC",
      entry(`mac: ${OWN_MAC}, dst: 192.0.2.2`),
      fdb({ mac: OWN_MAC }),
      `expected the MAC of another station, got ${OWN_MAC}, which is the device's own`,
    ],
    [
      "a multicast destination",
      entry("mac: 02:00:00:00:00:09, dst: 239.1.1.1"),
      fdb({ dst: "239.1.1.1" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "239.1.1.1" (a multicast address; the key `group` is for those)',
    ],
    [
      "a multicast member",
      'flood: [192.0.2.2, "ff02::1"]',
      flood({ dst: "192.0.2.2" }, { dst: "ff02::1" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "ff02::1" (a multicast address; the key `group` is for those)',
    ],
    [
      "the broadcast address",
      entry("mac: 02:00:00:00:00:09, dst: 255.255.255.255"),
      fdb({ dst: "255.255.255.255" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "255.255.255.255" (the broadcast address)',
    ],
    [
      "no address at all",
      'flood: ["::"]',
      flood({ dst: "::" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "::" (the unspecified address)',
    ],
    [
      "an IPv4-mapped address",
      'flood: ["::ffff:192.0.2.3"]',
      member({ dst: "::ffff:192.0.2.3" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "::ffff:192.0.2.3" (an IPv4-mapped address: write it as IPv4)',
    ],
    [
      "a zone",
      'flood: ["fe80::2%eth0"]',
      member({ dst: "fe80::2%eth0" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "fe80::2%eth0" (an address with a zone: name the interface under `link` instead)',
    ],
    [
      "a prefix length",
      "flood: [192.0.2.3/24]",
      flood({ dst: "192.0.2.3/24" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "192.0.2.3/24" (a VTEP address has no prefix length)',
    ],
    [
      "IPv4 in three parts",
      "flood: [192.0.2]",
      flood({ dst: "192.0.2" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "192.0.2"',
    ],
    [
      "a host name that cannot be one",
      'flood: ["host_1.example"]',
      member({ dst: "host_1.example" }),
      'expected a unicast IPv4 or IPv6 address or a host name, got "host_1.example"',
    ],
    [
      "a host name twice",
      "flood: [vtep.example, VTEP.example]",
      flood({ dst: "vtep.example" }, { dst: "VTEP.example" }),
      "expected each member of the flood list once, got vtep.example again",
    ],
    [
      "an address that is a number",
      "flood: [7]",
      flood({ dst: 7 }),
      "expected a unicast IPv4 or IPv6 address or a host name, got 7",
    ],
    [
      "a group MAC",
      entry("mac: 01:00:5e:00:00:01, dst: 192.0.2.2"),
      fdb({ mac: "01:00:5e:00:00:01" }),
      `expected a unicast MAC such as 02:00:00:00:00:01, or ${ZERO} for a member of the flood list, got "01:00:5e:00:00:01" (a group address)`,
    ],
    [
      "a MAC in another spelling",
      entry("mac: 02-00-00-00-00-09, dst: 192.0.2.2"),
      fdb({ mac: "02-00-00-00-00-09" }),
      `expected a unicast MAC such as 02:00:00:00:00:01, or ${ZERO} for a member of the flood list, got "02-00-00-00-00-09"`,
    ],
    [
      "port 0",
      entry("mac: 02:00:00:00:00:09, dst: 192.0.2.2, port: 0"),
      fdb({ port: 0 }),
      "expected an integer from 1 to 65535, got 0",
    ],
    [
      "a port that is text",
      entry('mac: 02:00:00:00:00:09, dst: 192.0.2.2, port: "4789"'),
      flood({ dst: "192.0.2.2", port: "4789" }),
      'expected an integer from 1 to 65535, got "4789"',
    ],
    [
      "a VNI of 25 bits",
      entry("mac: 02:00:00:00:00:09, dst: 192.0.2.2, vni: 16777216"),
      member({ dst: "192.0.2.2", vni: 16_777_216 }),
      "expected an integer from 0 to 16777215, got 16777216",
    ],
    [
      "the tunnel's own device as an entry's interface",
      entry("mac: 02:00:00:00:00:09, dst: 192.0.2.3, via: ov0"),
      fdb({ via: "ov0" }),
      "expected an underlay interface, got ov0, the device of the tunnel itself",
    ],
    [
      "the same in a flood list",
      entry(`mac: ${ZERO}, dst: 192.0.2.3, via: ov0`),
      flood({ dst: "192.0.2.2" }, { dst: "192.0.2.3", via: "ov0" }),
      "expected an underlay interface, got ov0, the device of the tunnel itself",
    ],
    [
      "an interface with a name that none can have",
      entry("mac: 02:00:00:00:00:09, dst: 192.0.2.3, via: a/b"),
      fdb({ via: "a/b" }),
      'expected an interface name of 1 to 15 bytes without `/`, `:`, `%` or white space, got "a/b"',
    ],
    [
      "a sticky member",
      entry(`mac: ${ZERO}, dst: 192.0.2.3, sticky: true`),
      fdb({ mac: ZERO, sticky: true }),
      "expected a sticky entry for a MAC that a station can have, got one for a member of the flood list",
    ],
    [
      "sticky in another word",
      entry('mac: 02:00:00:00:00:09, dst: 192.0.2.2, sticky: "yes"'),
      fdb({ sticky: "yes" }),
      'expected true or false, got "yes"',
    ],
    [
      "a neighbour with the device's own MAC",
      named(`address: 10.42.0.9, mac: ${OWN_MAC}`),
      neighbour({ mac: OWN_MAC }),
      `expected the MAC of another station, got ${OWN_MAC}, which is the device's own`,
    ],
    [
      "a neighbour with a group MAC",
      named("address: 10.42.0.9, mac: 01:00:5e:00:00:01"),
      neighbour({ mac: "01:00:5e:00:00:01" }),
      'expected a unicast MAC such as 02:00:00:00:00:01, got "01:00:5e:00:00:01" (a group address)',
    ],
    [
      "a neighbour without a MAC",
      named(`address: 10.42.0.9, mac: ${ZERO}`),
      neighbour({ mac: ZERO }),
      `expected a unicast MAC such as 02:00:00:00:00:01, got "${ZERO}" (the zero address)`,
    ],
    [
      "a neighbour that is a group",
      named("address: 224.0.0.1, mac: 02:00:00:00:00:09"),
      neighbour({ address: "224.0.0.1" }),
      'expected a unicast IPv4 or IPv6 address, got "224.0.0.1" (a multicast address; the key `group` is for those)',
    ],
    [
      "a neighbour with a prefix length",
      named("address: 10.42.0.9/24, mac: 02:00:00:00:00:09"),
      neighbour({ address: "10.42.0.9/24" }),
      'expected a unicast IPv4 or IPv6 address, got "10.42.0.9/24" (a VTEP address has no prefix length)',
    ],
    [
      "a neighbour that is a router in a number",
      named("address: 10.42.0.9, mac: 02:00:00:00:00:09, router: 1"),
      neighbour({ router: 1 }),
      "expected true or false, got 1",
    ],
  ])("%s", async (_, keys, [method, path, body], words) => {
    const before = state();
    const file = refusedByFile(keys);
    expect(file.words).toBe(words);
    const answer = await unixJson(daemon.socket, method, path, body);
    const { code, detail, path: at } = JSON.parse(answer.text) as { code: string; detail: string; path: string };
    expect({ status: answer.status, code, detail }).toEqual({
      status: 400,
      code: file.code,
      detail: `${at}: ${words}`,
    });
    expect(state()).toEqual(before);
  });

  it("a MAC twice, and says how to change it", async () => {
    const before = state();
    const words = `expected each MAC once, got ${STATION} again`;
    expect(refusedByFile(`fdb: [${ENTRY}, ${ENTRY}]`)).toEqual({ code: "ERR_CONFIG_CONFLICT", words });
    const answer = await unixJson(daemon.socket, ...fdb({ verb: "add", mac: STATION }));
    expect(JSON.parse(answer.text)).toMatchObject({
      status: 409,
      code: "ERR_FDB_ENTRY_EXISTS",
      detail: `mac: ${words}: it is at 192.0.2.2 port 4789 vni 42; \`replace\` changes it`,
    });
    expect(state()).toEqual(before);
  });

  it("a neighbour twice, and says how to change it", async () => {
    const before = state();
    const words = "expected each address once, got 10.42.0.5 again";
    const keys = `arp-proxy: true, neighbours: [${NEIGHBOUR}, ${NEIGHBOUR}]`;
    expect(refusedByFile(keys)).toEqual({ code: "ERR_CONFIG_CONFLICT", words });
    const answer = await unixJson(daemon.socket, ...neighbour({ address: "10.42.0.5" }));
    expect(JSON.parse(answer.text)).toMatchObject({
      status: 409,
      code: "ERR_NEIGHBOUR_EXISTS",
      detail: `address: ${words}: it is at ${STATION}; \`replace\` changes it`,
    });
    expect(state()).toEqual(before);
  });

  it("neighbours that nobody asks for", async () => {
    const words =
      "expected `arp-proxy: true` or `notifications: [l3-miss]` beside neighbours, which are for nothing else";
    expect(refusedByFile(`neighbours: [${NEIGHBOUR}]`)).toEqual({ code: "ERR_CONFIG_CONFLICT", words });
    const other = await RunningDaemon.start(left, "{ ov7: { mode: vxlan, id: 42, port: 4791, local: 192.0.2.1 } }");
    const { status, stderr } = other.vtepctl("neigh", "add", "10.42.0.9", "lladdr", STATION, "dev", "ov7");
    expect({ status, stderr }).toEqual({ status: 1, stderr: `vtepctl: address: ${words}\n` });
    expect(other.vtepctl("neigh", "show").stdout).toBe("");
    await other.stop();
  });

  it("entries and members of a tunnel that has no FDB", async () => {
    const [local, remote] = ["local: 192.0.2.1", "remote: 192.0.2.2"];
    const tunnels = `mirror: { mode: erspan, ${local} }, packets: { mode: ipip, ${local}, ${remote} }`;
    const other = await RunningDaemon.start(left, `{ ${tunnels} }`);
    for (const [dev, mode] of [
      ["mirror", "erspan"],
      ["packets", "ipip"],
    ] as const) {
      const before = other.vtepctl("flood", "show", dev).stdout;
      for (const words of [
        ["fdb", "add", STATION, "dev", dev, "dst", "192.0.2.3"],
        ["fdb", "append", ZERO, "dev", dev, "dst", "192.0.2.3"],
        ["fdb", "del", ZERO, "dev", dev],
        ["flood", "add", dev, "dst", "192.0.2.3"],
        ["flood", "set", dev, "dst", "192.0.2.3"],
        ["flood", "del", dev, "dst", "192.0.2.2"],
      ]) {
        const stderr = `vtepctl: ${dev}: expected a tunnel with an FDB, got one of mode ${mode}, which has none\n`;
        expect(other.vtepctl(...words)).toMatchObject({ status: 1, stderr });
      }
      expect(other.vtepctl("flood", "show", dev).stdout).toBe(before);
      expect(other.vtepctl("fdb", "flush", "dev", dev)).toMatchObject({ status: 0, stdout: "flushed 0\n" });
    }
    await other.stop();
  });

  it("a link-local member without an interface", async () => {
    const locals = 'local: [192.0.2.1, "2001:db8::1"]';
    const words = "expected `link` beside a link-local address, got fe80::2 and no interface to use it on";
    expect(() =>
      parseConfig(`version: 1\ntunnels: { ov0: { mode: vxlan, id: 42, ${locals}, flood: ["fe80::2"] } }`, "vtepd.yaml"),
    ).toThrow(words);
    left.address("eth0", "2001:db8::1/64");
    const other = await RunningDaemon.start(left, `{ ov6: { mode: vxlan, id: 42, port: 4790, ${locals} } }`);
    const { status, stderr } = other.vtepctl("flood", "add", "ov6", "dst", "fe80::2");
    expect({ status, stderr }).toEqual({ status: 1, stderr: `vtepctl: dst: ${words}\n` });
    expect(other.fdb("ov6")).toEqual([]);
    await other.stop();
  });
});

it("traffic has gone on meanwhile, without loss", async () => {
  expect(await ping.unanswered()).toEqual([]);
});
