/**
 *   station ==1500== left ==1500== near ==1400== far ==1500== right
 *              vtepd, ov0          routers            the kernel's vxlan, ov0
 *
 * The station's packets come to vtepd's device routed (the left host is its gateway) or bridged (its wire and the device are
 * ports of one bridge). Nobody but the routers knows of the 1400.
 */
import { afterEach, describe, expect, it } from "vitest";
import { RunningDaemon } from "../support/daemon.ts";
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ethernetFrame,
  ipPacket,
  MAC_A,
  MAC_B,
  macBytes,
  onesComplementSum,
  PROTOCOL_UDP,
  pseudoHeaderSum,
  udpFrame,
  vxlanDatagram,
} from "../support/frame-builder.ts";
import type { Host } from "../support/host.ts";
import { httpGet } from "../support/http.ts";
import { Lab, type WireMode } from "../support/lab.ts";
import { RawVtep } from "../support/raw-vtep.ts";
import { sleep, waitFor } from "../support/wait-for.ts";

let lab: Lab;
afterEach(() => lab.close());

type Family = "IPv4" | "IPv6";

/** Networks: left to near, near to far, far to right. */
const NETS = {
  IPv4: ["192.0.2.", "203.0.113.", "198.51.100."],
  IPv6: ["2001:db8:1::", "2001:db8:2::", "2001:db8:3::"],
} as const;
/** Around an inner packet: Ethernet, VXLAN, UDP, IP. */
const OVERHEAD = { IPv4: 50, IPv6: 70 } as const;
const PREFIX = { IPv4: 24, IPv6: 64 } as const;
/** Of the far end of the overlay, and of the station. */
const OVERLAY = { IPv4: ["10.42.0.2", "10.42.0.3"], IPv6: ["fd00:42::2", "fd00:42::3"] } as const;
const ROUTED = { IPv4: "10.43.0.3", IPv6: "fd00:43::3" } as const;

interface Setting {
  readonly underlay: Family;
  readonly use: "routed" | "bridged";
  /** Of the tunnel, YAML. */
  readonly keys?: string;
  /** Of the station's wire. */
  readonly mode?: WireMode;
}

interface Network {
  readonly station: Host;
  readonly left: Host;
  readonly near: Host;
  readonly right: Host;
  readonly running: RunningDaemon;
}

const family = (address: string): string => (address.includes(":") ? "-6" : "-4");

const underlay = (kind: Family): { left: Host; near: Host; right: Host } => {
  const [left, near, far, right] = ["left", "near", "far", "right"].map((label) => lab.host(label)) as [
    Host,
    Host,
    Host,
    Host,
  ];
  const nets = NETS[kind];
  const prefix = PREFIX[kind];
  const ends = (net: string): [string, string] => [`${net}1/${prefix}`, `${net}2/${prefix}`];
  lab.wire(left, "eth0", near, "eth0", { addresses: ends(nets[0]) });
  lab.wire(near, "eth1", far, "eth1", { addresses: ends(nets[1]), mtu: 1400 });
  lab.wire(far, "eth0", right, "eth0", { addresses: ends(nets[2]) });
  for (const router of [near, far]) {
    router.sysctl("net.ipv4.ip_forward", 1);
    router.sysctl("net.ipv6.conf.all.forwarding", 1);
  }
  const route = (host: Host, via: string): string => host.ip(family(via), "route", "add", "default", "via", via);
  route(left, `${nets[0]}2`);
  route(near, `${nets[1]}2`);
  route(far, `${nets[1]}1`);
  route(right, `${nets[2]}1`);
  return { left, near, right };
};

const start = async ({ underlay: kind, use, keys = "", mode }: Setting): Promise<Network> => {
  lab = Lab.create();
  const { left, near, right } = underlay(kind);
  const [a, b] = [`${NETS[kind][0]}1`, `${NETS[kind][2]}2`];
  // Without `dev` the kernel leaves the device at 1500, as a switch would have it.
  right.ip("link", "add", "ov0", "type", "vxlan", "id", "42", "dstport", "4789", "local", b, "remote", a);
  right.address("ov0", `${OVERLAY.IPv4[0]}/24`);
  right.address("ov0", `${OVERLAY.IPv6[0]}/64`);
  const running = await RunningDaemon.start(
    left,
    `{ ov0: { mode: vxlan, id: 42, local: "${a}", remote: "${b}"${keys === "" ? "" : `, ${keys}`} } }`,
  );
  const station = lab.host("station");
  lab.wire(station, "eth0", left, "to-station", { ...(mode === undefined ? {} : { mode }) });
  if (use === "bridged") bridge(left, station);
  else route(left, station, right);
  return { station, left, near, right, running };
};

const bridge = (left: Host, station: Host): void => {
  bridgePorts(left, "to-station");
  station.address("eth0", `${OVERLAY.IPv4[1]}/24`);
  station.address("eth0", `${OVERLAY.IPv6[1]}/64`);
};

const bridgePorts = (left: Host, port: string): void => {
  left.ip("link", "add", "br0", "type", "bridge");
  for (const dev of ["ov0", port]) left.ip("link", "set", dev, "master", "br0");
  left.ip("link", "set", "br0", "up");
};

const route = (left: Host, station: Host, right: Host): void => {
  left.sysctl("net.ipv4.ip_forward", 1);
  left.sysctl("net.ipv6.conf.all.forwarding", 1);
  left.address("ov0", "10.42.0.1/24");
  left.address("ov0", "fd00:42::1/64");
  left.address("to-station", "10.43.0.1/24");
  left.address("to-station", "fd00:43::1/64");
  station.address("eth0", `${ROUTED.IPv4}/24`);
  station.address("eth0", `${ROUTED.IPv6}/64`);
  for (const [gateway, beyond] of [
    ["10.43.0.1", "10.42.0.1"],
    ["fd00:43::1", "fd00:42::1"],
  ] as const) {
    station.ip(family(gateway), "route", "add", "default", "via", gateway);
    right.ip(family(beyond), "route", "add", beyond.includes(":") ? "fd00:43::/64" : "10.43.0.0/24", "via", beyond);
  }
};

const MEGABYTE = 1_000_000;

const stationAddress = (use: Setting["use"], kind: Family): string =>
  use === "routed" ? ROUTED[kind] : OVERLAY[kind][1];

const pathMtuOf = (running: RunningDaemon): number | undefined => running.stats().links[0]!.remotes[0]!.path_mtu;

/** Fragments that the host has made of its own packets. */
const fragments = (host: Host): number => {
  const { kernel } = JSON.parse(host.run("nstat", ["-a", "-s", "-z", "-j"])) as { kernel: Record<string, number> };
  return (kernel["IpFragCreates"] ?? 0) + (kernel["Ip6FragCreates"] ?? 0);
};

const USES = ["routed", "bridged"] as const;
const KINDS = ["IPv4", "IPv6"] as const;
const CASES = KINDS.flatMap((kind) => KINDS.flatMap((inner) => USES.map((use) => ({ kind, inner, use }))));

/** Bridged, the device must take what the station sends; a kernel vxlan without `dev` has 1500 too. */
const mtuOf = (use: Setting["use"]): string => (use === "bridged" ? "mtu: 1500" : "");

describe("over a path of 1400 that nobody was told of", () => {
  it.each(CASES)("HTTP over $inner over $kind, $use, without a fragment", async ({ kind, inner, use }) => {
    const keys = ["do-not-fragment: true", mtuOf(use)].filter((key) => key !== "").join(", ");
    const { station, left, near, right, running } = await start({ underlay: kind, use, keys });
    expect(await httpGet(station, right, stationAddress(use, inner), MEGABYTE)).toBe(MEGABYTE);
    expect(running.drops("encap")["pkt_too_big_told"]).toBeGreaterThan(0);
    expect([fragments(left), fragments(near)]).toEqual([0, 0]);
  });

  it.each(KINDS)("HTTP over %s of the host itself", async (kind) => {
    const { left, near, right } = await start({ underlay: "IPv4", use: "routed", keys: "do-not-fragment: true" });
    const own = { IPv4: "10.42.0.1", IPv6: "fd00:42::1" }[kind];
    expect(await httpGet(left, right, own, MEGABYTE)).toBe(MEGABYTE);
    expect([fragments(left), fragments(near)]).toEqual([0, 0]);
  });

  it.each(CASES)(
    "HTTP over $inner over $kind, $use, with nothing set and superframes",
    async ({ kind, inner, use }) => {
      const { station, right } = await start({ underlay: kind, use, mode: "virtual" });
      expect(await httpGet(station, right, stationAddress(use, inner), MEGABYTE)).toBe(MEGABYTE);
    },
  );

  it.each(KINDS)("large pings over %s, fragmented outside because the tunnel says so", async (kind) => {
    const keys = "oversize: fragment, mtu: 1500";
    const { station, left, near } = await start({ underlay: kind, use: "bridged", keys });
    const ping = (): string =>
      station.exec("ping", ["-M", "do", "-c", "3", "-i", "0.2", "-W", "1", "-s", "1472", "10.42.0.2"]).stdout;
    await waitFor(() => ping().includes(" 0% packet loss"), { what: "pings of 1500 bytes" });
    expect(fragments(left) + fragments(near)).toBeGreaterThan(0);
  });

  it.each(KINDS)("what is known of it is shown, over %s", async (kind) => {
    const { station, running } = await start({
      underlay: kind,
      use: "bridged",
      keys: "do-not-fragment: true, mtu: 1500",
    });
    expect(pathMtuOf(running)).toBe(1500);
    const inside = String(1500 - OVERHEAD[kind] - 28);
    station.exec("ping", ["-M", "do", "-c", "5", "-i", "0.2", "-W", "1", "-s", inside, "10.42.0.2"]);
    await waitFor(() => pathMtuOf(running) === 1400, { what: "a path MTU of 1400" });
  });

  it.each(KINDS)("what was learned is forgotten in time, over %s", async (kind) => {
    const keys = "do-not-fragment: true, mtu: 1500";
    const { station, left, near, running } = await start({ underlay: kind, use: "bridged", keys });
    left.sysctl(`net.${kind.toLowerCase()}.route.mtu_expires`, 3);
    const isNarrow = (): boolean => {
      station.exec("ping", ["-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1400", "10.42.0.2"]);
      return pathMtuOf(running) === 1400;
    };
    await waitFor(isNarrow, { what: "a path MTU of 1400" });
    near.ip("link", "set", "eth1", "mtu", "1500");
    await waitFor(() => pathMtuOf(running) === 1500, { what: "a path MTU of 1500" });
  });

  it("what routers say over IPv6 is heard although nothing was refused, and fragments end", async () => {
    const { station, left, right, running } = await start({ underlay: "IPv6", use: "bridged", keys: "mtu: 1500" });
    expect(await httpGet(station, right, OVERLAY.IPv4[1], MEGABYTE)).toBe(MEGABYTE);
    await waitFor(() => pathMtuOf(running) === 1400, { what: "a path MTU of 1400" });
    const before = fragments(left);
    expect(await httpGet(station, right, OVERLAY.IPv4[1], MEGABYTE)).toBe(MEGABYTE);
    expect(fragments(left)).toBe(before);
  });

  it("less than 552 bytes are not believed", async () => {
    const { station, left, near, running } = await start({
      underlay: "IPv4",
      use: "bridged",
      keys: "do-not-fragment: true, mtu: 1500",
    });
    near.ip("link", "set", "eth1", "mtu", "300");
    station.exec("ping", ["-M", "do", "-c", "3", "-i", "0.2", "-W", "1", "-s", "1000", "10.42.0.2"]);
    await waitFor(() => pathMtuOf(running) === 552, { what: "a path MTU of 552" });
    expect(left.ip("route", "get", "198.51.100.2")).toMatch(/mtu lock 552/);
  });

  // A bridge drops what is larger than a port's MTU, and tells nobody.
  it.each(CASES.filter(({ use }) => use === "bridged"))(
    "HTTP over $inner over $kind, bridged, by the clamp alone",
    async ({ kind, inner }) => {
      const { station, right, running } = await start({ underlay: kind, use: "bridged", keys: "mss-clamp: auto" });
      expect(await httpGet(station, right, OVERLAY[inner][1], MEGABYTE)).toBe(MEGABYTE);
      expect(await httpGet(right, station, OVERLAY[inner][0], MEGABYTE)).toBe(MEGABYTE);
      expect(running.drops("encap")).toEqual({});
    },
  );

  it("nothing too large, where the tunnel says drop", async () => {
    const { station, running } = await start({ underlay: "IPv4", use: "bridged", keys: "oversize: drop, mtu: 1500" });
    const { stdout } = station.exec("ping", ["-M", "do", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1472", "10.42.0.2"]);
    expect(stdout).toContain("100% packet loss");
    expect(running.drops("encap")).toEqual({ pkt_too_big: 2 });
  });
});

describe("a tagged packet that does not fit", () => {
  // The station is a VTEP of its own whose frames the kernel bridges to vtepd's device: so the test sees each byte.
  const inject = async (flow: { srcIp: string; dstIp: string }): Promise<Buffer> => {
    lab = Lab.create();
    const [station, left] = [lab.host("station"), lab.host("left")];
    lab.wire(station, "eth0", left, "to-station", { mtu: 1600, addresses: ["198.51.100.1/24", "198.51.100.2/24"] });
    left.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer");
    left.ip("link", "set", "eth0-peer", "up");
    left.address("eth0", "192.0.2.1/24");
    await RunningDaemon.start(left, "{ ov0: { mode: vxlan, id: 42, local: 192.0.2.1, remote: 192.0.2.2, mtu: 1500 } }");
    const vxlan = "id 9 dstport 4800 local 198.51.100.2 remote 198.51.100.1".split(" ");
    left.ip("link", "add", "vs", "mtu", "1500", "type", "vxlan", ...vxlan);
    left.ip("link", "set", "vs", "up");
    bridgePorts(left, "vs");
    const raw = await RawVtep.start(station, { address: "198.51.100.1", port: 4800 });
    const frame = udpFrame({
      ...flow,
      dst: MAC_B,
      src: MAC_A,
      vlans: [7],
      srcPort: 1,
      dstPort: 2,
      payload: new Uint8Array(1452),
    });
    const isAnswer = (bytes: Uint8Array): boolean => Buffer.from(bytes).subarray(8, 14).equals(macBytes(MAC_A));
    await waitFor(
      () => {
        raw.send("198.51.100.2", vxlanDatagram(9, frame), 4800);
        return raw.received().some(({ bytes }) => isAnswer(bytes));
      },
      { what: "an answer", intervalMs: 200 },
    );
    return Buffer.from(raw.received().find(({ bytes }) => isAnswer(bytes))!.bytes).subarray(8);
  };

  it("is answered with its tag, and an MTU with room for it", async () => {
    const answer = await inject({ srcIp: "10.42.0.3", dstIp: "10.42.0.2" });
    expect([answer.readUInt16BE(12), answer.readUInt16BE(14), answer.readUInt16BE(16)]).toEqual([0x8100, 7, 0x0800]);
    expect([answer[18 + 20], answer[18 + 21], answer.readUInt16BE(18 + 26)]).toEqual([3, 4, 1500 - 36 - 18]);
  });

  it("is answered so over IPv6 too", async () => {
    const answer = await inject({ srcIp: "fd00:42::3", dstIp: "fd00:42::2" });
    expect([answer.readUInt16BE(12), answer.readUInt16BE(14), answer.readUInt16BE(16)]).toEqual([0x8100, 7, 0x86dd]);
    expect([answer[18 + 40], answer.readUInt32BE(18 + 44)]).toEqual([2, 1500 - 36 - 18]);
  });
});

/** "Packet too big" from `router`, to the sender of a datagram. */
const tooBig = (
  router: string,
  datagram: { from: string; to: string; port: number },
  mtu: number,
): { etherType: number; packet: Uint8Array } => {
  const { from, to, port } = datagram;
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(port, 0);
  udp.writeUInt16BE(4789, 2);
  udp.writeUInt16BE(1400, 4);
  const isIpv6 = from.includes(":");
  const quoted = ipPacket({ srcIp: from, dstIp: to }, PROTOCOL_UDP, udp);
  const message = Buffer.concat([Buffer.alloc(8), quoted]);
  message.set(isIpv6 ? [2, 0] : [3, 4]);
  message.writeUInt16BE(mtu, 6);
  const protocol = isIpv6 ? 58 : 1;
  const pseudo = isIpv6 ? pseudoHeaderSum(router, from, protocol, message.length) : 0;
  message.writeUInt16BE(~onesComplementSum(message, pseudo) & 0xffff, 2);
  const packet = ipPacket({ srcIp: router, dstIp: from }, protocol, message);
  return { etherType: isIpv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4, packet };
};

describe("a forged message of a narrow path", () => {
  const DOOR_MAC = "02:00:00:00:00:d0";
  const UNDERLAY = {
    IPv4: { local: "192.0.2.1", remote: "192.0.2.2", router: "192.0.2.66" },
    IPv6: { local: "2001:db8::1", remote: "2001:db8::2", router: "2001:db8::66" },
  } as const;

  interface Forgery {
    readonly running: RunningDaemon;
    /** Quotes a datagram of this host from that UDP port. */
    readonly forge: (port: number, mtu: number) => void;
    /** One that the tunnel sends from. */
    readonly port: number;
  }

  const start = async (kind: Family, keys: string): Promise<Forgery> => {
    lab = Lab.create();
    const [left, right] = [lab.host("left"), lab.host("right")];
    lab.wire(left, "eth0", right, "eth0", { addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
    left.address("eth0", "2001:db8::1/64");
    right.address("eth0", "2001:db8::2/64");
    // What the forger writes comes out of this device of the left host, as if from the network.
    const vxlan = "id 9 dstport 4800 local 192.0.2.1 remote 192.0.2.2".split(" ");
    left.ip("link", "add", "door", "address", DOOR_MAC, "mtu", "1400", "type", "vxlan", ...vxlan);
    left.ip("link", "set", "door", "up");
    const { local, remote, router } = UNDERLAY[kind];
    const running = await RunningDaemon.start(
      left,
      `{ ov0: { mode: vxlan, id: 42, local: "${local}", remote: "${remote}", addresses: [10.42.0.1/24], ${keys} } }`,
    );
    const [vtep, forger] = await Promise.all([
      RawVtep.start(right, { address: remote }),
      RawVtep.start(right, { address: "192.0.2.2", port: 4800 }),
    ]);
    left.exec("ping", ["-b", "-c", "1", "-W", "0.1", "10.42.0.255"]);
    const { port } = await vtep.receive();
    const forge = (from: number, mtu: number): void => {
      const { etherType, packet } = tooBig(router, { from: local, to: remote, port: from }, mtu);
      const frame = ethernetFrame({ dst: DOOR_MAC, src: MAC_A, etherType }, packet);
      forger.send("192.0.2.1", vxlanDatagram(9, frame), 4800);
    };
    return { running, forge, port };
  };

  it.each([
    ["IPv4", 552],
    ["IPv6", 1280],
  ] as const)("over %s makes no path narrower than %i, and none that quotes no packet of ours", async (kind, floor) => {
    const { running, forge, port } = await start(kind, "do-not-fragment: true");
    // We receive on the first of these, and send from neither.
    for (const nobody of [4789, 9]) forge(nobody, floor);
    await sleep(2500); // each path is looked at once a second
    expect(pathMtuOf(running)).toBe(1500);
    forge(port, 100);
    await sleep(2500);
    expect(pathMtuOf(running)).toBeGreaterThanOrEqual(floor);
    forge(port, floor);
    await waitFor(() => pathMtuOf(running) === floor, { what: `a path MTU of ${floor}` });
  });

  it.each(KINDS)("over %s cannot be told from a true one where the receiving port sends", async (kind) => {
    const { running, forge, port } = await start(kind, "port-range: [4789, 4789]");
    expect(port).toBe(4789);
    forge(port, 1300);
    await waitFor(() => pathMtuOf(running) === 1300, { what: "a path MTU of 1300" });
  });
});
