import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { TunnelConfig } from "../../src/config/config.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { VtepdError } from "../../src/errors.ts";

/** The one tunnel of a file, with these lines beside mode and id. */
const tunnelWith = (...lines: string[]): TunnelConfig => {
  const text = [
    "version: 1",
    "tunnels:",
    "  vx42:",
    "    mode: vxlan",
    "    id: 42",
    ...lines.map((line) => `    ${line}`),
  ];
  const [tunnel] = parseConfig(`${text.join("\n")}\n`, "vtepd.yaml").tunnels;
  return tunnel!;
};

const DEFAULT_DAEMON = {
  control: { socket: "/run/vtepd/control.sock", mode: 0o660 },
  metrics: {},
  log: { level: "info" },
  cpus: [],
  busyPollUs: 0,
  offload: { disabled: [] },
  fdbCapacity: 262_144,
  stateDirectory: "/var/lib/vtepd",
  keepDevices: false,
  resolver: [],
};

describe("a configuration", () => {
  it.each([
    ["version: 1\n"],
    ["version: 1\ndaemon:\ntunnels:\n"],
    ["version: 1\ndaemon: { log: , control: }\ntunnels: {}\n"],
  ])("has every default when its sections are missing or empty: %j", (text) => {
    expect(parseConfig(text, "vtepd.yaml")).toEqual({
      version: 1,
      daemon: DEFAULT_DAEMON,
      tunnels: [],
      hostGateways: [],
      settings: { daemon: parse(text).daemon ?? {}, tunnels: {} },
    });
  });

  it("has every default of a tunnel", () => {
    expect(tunnelWith()).toEqual({
      name: "vx42",
      mode: "vxlan",
      id: 42,
      flood: [],
      fdb: [],
      routes: [],
      port: 4789,
      macLearning: true,
      unknownUnicast: "flood",
      policers: {},
      vlan: "pass",
      sourcePolicers: {},
      arpProxy: false,
      neighbours: [],
      notifications: [],
      ageingS: 300,
      limit: 65_536,
      eviction: "fair",
      moveDamping: true,
      addresses: [],
      locals: [],
      refusesOptions: false,
      extendedSequence: false,
      replayWindow: 1024,
      greChecksum: { input: false, output: false },
      greSequence: { input: false, output: false },
      tos: 0,
      doNotFragment: "unset",
      oversize: "icmp",
      mssClamp: "off",
      flowLabel: 0,
      checksum: true,
      zeroChecksum6Tx: false,
      zeroChecksum6Rx: false,
      accept: "known",
    });
  });

  it("takes every key", () => {
    const text = `version: 1
daemon:
  control: { socket: /run/x.sock, group: vtepd, mode: 0600 }
  metrics: { listen: 127.0.0.1:19784 }
  log: { level: debug }
  workers: 2
  cpus: [0, 3]
  busy-poll: 50
  offload: mmsg
  offload-disable: [udp-gro, merge-udp]
  fdb-capacity: 1024
  state-directory: none
  keep-devices: true
  resolver: [192.0.2.53, "192.0.2.54:5353", "2001:DB8::53", "[2001:db8::54]:5353"]
tunnels:
  vx42:
    mode: vxlan
    id: 42
    local: 192.0.2.1
    remote: 192.0.2.2
    flood: [192.0.2.3]
    fdb:
      - { mac: 02:00:00:00:00:03, dst: 192.0.2.3, sticky: true }
      - { mac: 00:00:00:00:00:00, dst: 192.0.2.4, port: 8472, vni: 201, via: eth1 }
    port: 4790
    mac-learning: false
    unknown-unicast: drop
    policers: { broadcast: 1000, unknown-unicast: 5, per-source: { multicast: 200 } }
    arp-proxy: true
    neighbours: [{ address: 10.42.0.2, mac: 02:00:00:00:00:02, router: true }]
    notifications: [l2-miss, l3-miss]
    vlan: strip
    ageing: 5m
    limit: 10
    limit-per-remote: 5
    eviction: fair
    move-damping: false
    mtu: 1400
    macaddress: 02:00:00:00:00:01
    addresses: [10.42.0.1/24, "fd00:42::1/64"]
    netns: blue
    underlay-netns: /run/netns/under
    link: eth0
    queues: 4
    ttl: inherit
    type-of-service: 0xb8
    do-not-fragment: inherit
    oversize: fragment
    mss-clamp: 1360
    flow-label: 0xabcde
    port-range: [50000, 50099]
    checksums: [zero-udp6-tx, zero-udp6-rx]
    fwmark: 7
    accept: any
`;
    expect(parseConfig(text, "vtepd.yaml")).toEqual({
      version: 1,
      settings: { daemon: parse(text).daemon, tunnels: parse(text).tunnels },
      hostGateways: [],
      daemon: {
        control: { socket: "/run/x.sock", group: "vtepd", mode: 0o600 },
        metrics: { listen: { host: "127.0.0.1", port: 19_784 } },
        log: { level: "debug" },
        workers: 2,
        cpus: [0, 3],
        busyPollUs: 50,
        offload: { tier: "mmsg", disabled: ["udp-gro", "merge-udp"] },
        fdbCapacity: 1024,
        keepDevices: true,
        resolver: ["192.0.2.53:53", "192.0.2.54:5353", "[2001:db8::53]:53", "[2001:db8::54]:5353"],
      },
      tunnels: [
        {
          name: "vx42",
          mode: "vxlan",
          id: 42,
          locals: ["192.0.2.1"],
          remote: "192.0.2.2",
          flood: ["192.0.2.3"],
          fdb: [
            { mac: "02:00:00:00:00:03", dst: "192.0.2.3", sticky: true },
            { mac: "00:00:00:00:00:00", dst: "192.0.2.4", port: 8472, vni: 201, via: "eth1" },
          ],
          routes: [],
          port: 4790,
          macLearning: false,
          unknownUnicast: "drop",
          policers: { broadcast: { rate: 1000, burst: 100 }, unknownUnicast: { rate: 5, burst: 10 } },
          vlan: "strip",
          sourcePolicers: { multicast: { rate: 200, burst: 20 } },
          arpProxy: true,
          neighbours: [{ address: "10.42.0.2", mac: "02:00:00:00:00:02", router: true }],
          notifications: ["l2-miss", "l3-miss"],
          ageingS: 300,
          limit: 10,
          limitPerRemote: 5,
          eviction: "fair",
          moveDamping: false,
          mtu: 1400,
          macAddress: "02:00:00:00:00:01",
          addresses: ["10.42.0.1/24", "fd00:42::1/64"],
          netns: "blue",
          underlayNetns: "/run/netns/under",
          link: "eth0",
          queues: 4,
          ttl: "inherit",
          refusesOptions: false,
          extendedSequence: false,
          replayWindow: 1024,
          greChecksum: { input: false, output: false },
          greSequence: { input: false, output: false },
          tos: 184,
          doNotFragment: "inherit",
          oversize: "fragment",
          mssClamp: 1360,
          flowLabel: 0xabcde,
          sourcePorts: { first: 50_000, last: 50_099 },
          checksum: false,
          zeroChecksum6Tx: true,
          zeroChecksum6Rx: true,
          mark: 7,
          accept: "any",
        },
      ],
    });

    const group = tunnelWith("group: 239.1.1.1", "link: eth0", 'local: [192.0.2.1, "2001:db8::1"]');
    expect(group).toMatchObject({
      group: "239.1.1.1",
      accept: "any",
      eviction: "none",
      locals: ["192.0.2.1", "2001:db8::1"],
    });
  });

  it("keeps the tunnels in the order of the file", () => {
    const text =
      "version: 1\ntunnels:\n  b: { mode: vxlan, id: 1 }\n  a: { mode: vxlan, id: 2 }\n  c: { mode: vxlan, id: 3 }\n";
    expect(parseConfig(text, "vtepd.yaml").tunnels.map(({ name }) => name)).toEqual(["b", "a", "c"]);
  });

  it("takes the bounds of every number", () => {
    expect(tunnelWith("port: 1", "limit: 1", "mtu: 68", "queues: 1")).toMatchObject({
      port: 1,
      limit: 1,
      mtu: 68,
      queues: 1,
    });
    expect(tunnelWith("port: 65535", "limit: 1048576", "mtu: 65535", "queues: 256")).toMatchObject({
      port: 65_535,
      limit: 1_048_576,
      mtu: 65_535,
      queues: 256,
    });
    for (const id of [0, 16_777_215]) {
      const text = `version: 1\ntunnels: { vx1: { mode: vxlan, id: ${id} } }\n`;
      expect(parseConfig(text, "vtepd.yaml").tunnels[0]).toMatchObject({ id });
    }
  });

  it("leaves to the daemon what is auto", () => {
    expect(tunnelWith("queues: auto").queues).toBeUndefined();
    expect(parseConfig("version: 1\ndaemon: { workers: auto }\n", "vtepd.yaml").daemon.workers).toBeUndefined();
  });

  it.each([
    ["0042", 42],
    ["0x2a", 42],
    ["0o52", 42],
    ["4.2e1", 42],
  ])("reads the id %s as YAML 1.2 does", (written, id) => {
    const text = `version: 1\ntunnels: { vx1: { mode: vxlan, id: ${written} } }\n`;
    expect(parseConfig(text, "vtepd.yaml").tunnels[0]?.id).toBe(id);
  });

  it("reads MACs as text even where a directive asks for YAML 1.1 and its base-60 numbers", () => {
    const text = `%YAML 1.1
---
version: 1
tunnels: { vx1: { mode: vxlan, id: 1, macaddress: 10:20:30:40:50:58 } }
`;
    expect(parseConfig(text, "vtepd.yaml").tunnels[0]?.macAddress).toBe("10:20:30:40:50:58");
  });

  it("takes anchors and merge keys", () => {
    const text = `version: 1
tunnels:
  vx1: &common
    mode: vxlan
    id: 1
    local: 192.0.2.1
    flood: &remotes [192.0.2.2, 192.0.2.3]
  vx2:
    <<: *common
    id: 2
  vx3: { mode: vxlan, id: 3, flood: *remotes }
`;
    const tunnels = parseConfig(text, "vtepd.yaml").tunnels.map(({ id, locals, flood }) => ({ id, locals, flood }));
    expect(tunnels).toEqual([
      { id: 1, locals: ["192.0.2.1"], flood: ["192.0.2.2", "192.0.2.3"] },
      { id: 2, locals: ["192.0.2.1"], flood: ["192.0.2.2", "192.0.2.3"] },
      { id: 3, locals: [], flood: ["192.0.2.2", "192.0.2.3"] },
    ]);
  });

  it("takes a name of 15 bytes, and one of digits", () => {
    const text = "version: 1\ntunnels:\n  abcdefghijklmno: { mode: vxlan, id: 1 }\n  42: { mode: vxlan, id: 2 }\n";
    expect(parseConfig(text, "vtepd.yaml").tunnels.map(({ name }) => name)).toEqual(["42", "abcdefghijklmno"]);
  });
});

describe("addresses", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["127.0.0.1", "127.0.0.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:0db8::0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["'2001:db8::'", "2001:db8::"],
    ["::1", "::1"],
  ])("of a VTEP %s leaves as %s (RFC 5952)", (written, canonical) => {
    expect(tunnelWith(`local: ${written}`).locals).toEqual([canonical]);
  });

  it.each([
    ["172.245.0.0/32", "172.245.0.0/32"],
    ["10.42.0.1/0", "10.42.0.1/0"],
    ["10.42.0.255/24", "10.42.0.255/24"],
    ["FD00:42:0::1/64", "fd00:42::1/64"],
    ["2001:db8::/128", "2001:db8::/128"],
  ])("of a device %s leaves as %s", (written, canonical) => {
    expect(tunnelWith(`addresses: [${JSON.stringify(written)}]`).addresses).toEqual([canonical]);
  });

  it("of MACs leave in lower case", () => {
    expect(tunnelWith("macaddress: 0A:BB:CC:DD:EE:FF").macAddress).toBe("0a:bb:cc:dd:ee:ff");
  });

  it("of a link-local VTEP need the underlay interface", () => {
    expect(tunnelWith("link: eth0", "local: fe80::1", "remote: fe80::2")).toMatchObject({
      locals: ["fe80::1"],
      link: "eth0",
    });
  });

  it.each([
    ["127.0.0.1:19784", { host: "127.0.0.1", port: 19_784 }],
    ["0.0.0.0:1", { host: "0.0.0.0", port: 1 }],
    ["localhost:65535", { host: "localhost", port: 65_535 }],
    ["metrics.example:80", { host: "metrics.example", port: 80 }],
    ["'[::1]:80'", { host: "::1", port: 80 }],
    ["'[2001:DB8::0:1]:80'", { host: "2001:db8::1", port: 80 }],
  ])("to listen on may be %s", (written, listen) => {
    const text = `version: 1\ndaemon: { metrics: { listen: ${written} } }\n`;
    expect(parseConfig(text, "vtepd.yaml").daemon.metrics.listen).toEqual(listen);
  });
});

describe("ageing", () => {
  it.each([
    ["ageing: 300", 300],
    ["ageing: 0", 0],
    ["ageing: none", 0],
    ["ageing: 300s", 300],
    ["ageing: '120'", 120],
    ["ageing: 5m", 300],
    ["ageing: 1h", 3600],
    ["ageing: 2147483647", 2_147_483_647],
    ["aging: 10m", 600],
  ])("%s is %i seconds", (line, seconds) => {
    expect(tunnelWith(line).ageingS).toBe(seconds);
  });
});

describe("loadConfig", () => {
  const directory = mkdtempSync(join(tmpdir(), "vtepd-config-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  it("reads a file", () => {
    const file = join(directory, "good.yaml");
    writeFileSync(file, "version: 1\ntunnels: { vx1: { mode: vxlan, id: 1 } }\n");
    expect(loadConfig(file).tunnels.map(({ name }) => name)).toEqual(["vx1"]);
  });

  it("names the file in mistakes", () => {
    const file = join(directory, "bad.yaml");
    writeFileSync(file, "version: 3\n");
    expect(() => loadConfig(file)).toThrow(
      new VtepdError("ERR_CONFIG_VALUE", `${file}:1:10: version: expected 1, got 3`, { path: "version" }),
    );
  });

  it("says why a file cannot be read", () => {
    const file = join(directory, "missing.yaml");
    const because = `ENOENT: no such file or directory, open '${file}'`;
    expect(() => loadConfig(file)).toThrow(
      expect.objectContaining({
        code: "ERR_CONFIG_READ",
        message: `${file}: expected a readable file, got: ${because}`,
      }),
    );
  });
});
