/** The rows of the table: each a feature with the test that shows it, the same for every peer. */
import { expect } from "vitest";
import type { Child } from "../support/child.ts";
import { MAC_A, MAC_BROADCAST, udpFrame } from "../support/frame-builder.ts";
import { shellTransfer } from "../support/transfer.ts";
import { waitFor } from "../support/wait-for.ts";
import type { Column } from "./column.ts";
import { OuterCapture } from "./outer-capture.ts";
import { overlay4, overlay6, overlayMac } from "./peer.ts";

const LEFT = 1;
const PEER = 2;
const THIRD = 3;
const TRANSFER_BYTES = 4_000_000;
const ICMP_OVERHEAD = 28; // bytes: IPv4 and ICMP headers

type Words = readonly (string | number)[];
type RunLine = (line: string) => Promise<string>;

/** One ping: with more, the last answer would have to come within two round trips. */
const answered = async (run: RunLine, ...words: Words): Promise<void> => {
  expect(await run(["ping -c 1 -W 5", ...words].join(" "))).toContain("1 received, 0% packet loss");
};
/** No frame may come twice: as many answers as requests, to the broadcast address too. */
const withoutCopies = async (run: RunLine, address: string): Promise<void> => {
  expect(await run(`ping -c 3 -i 0.1 -w 3 ${address}`)).toMatch(/ 3 received, \d+% packet loss/);
};
const silent = async (run: RunLine, ...words: Words): Promise<void> => {
  expect(await run(["ping -c 2 -i 0.02 -W 0.2", ...words, "|| true"].join(" "))).toContain("100% packet loss");
};
const bothWays = async ({ onLeft, peer }: Column, ...words: Words): Promise<void> => {
  await answered(onLeft, ...words, overlay4(PEER));
  await answered(peer.run, ...words, overlay4(LEFT));
};

/** Pings both ways with more than headers, and tells what vtepd's packets, and the peer's, look like on the underlay. */
const outerHeaders = async (column: Column, ...words: Words): Promise<{ ours: string[]; theirs: string[] }> => {
  const capture = await OuterCapture.start(column.left, "eth0");
  await bothWays(column, "-s 500", ...words);
  const seen = { ours: await capture.packets(column.at(LEFT), 2), theirs: await capture.packets(column.at(PEER), 2) };
  await capture.stop();
  return seen;
};
const all = (packets: readonly string[], pattern: RegExp): void => {
  for (const packet of packets) expect(packet).toMatch(pattern);
};
const ttl = ({ family }: Column, value: number): RegExp =>
  new RegExp(`${family === "IPv4" ? "ttl" : "hlim"} ${value},`);
const tos = ({ family }: Column, value: number): RegExp =>
  new RegExp(`${family === "IPv4" ? "tos" : "class"} 0x0?${value.toString(16)}\\b`);

/** What echo replies look like when they leave the left device, meanwhile. */
const innerReplies = async ({ left }: Column): Promise<Child> => {
  const capture = left.spawn("tcpdump", [
    "--immediate-mode",
    "-nnvlt",
    "-i",
    "ov42",
    "icmp[icmptype] == icmp-echoreply",
  ]);
  await capture.waitForOutput(/listening/, 10_000);
  return capture;
};

/** Sends a frame with VLAN tags from one device to the other, again and again until it is seen there. */
const tagged = async (from: RunLine, to: RunLine, vlans: readonly number[]): Promise<void> => {
  const flow = { srcIp: overlay4(7), dstIp: overlay4(8), srcPort: 7, dstPort: 8, payload: "x".repeat(100) };
  const frame = udpFrame({ ...flow, dst: MAC_BROADCAST, src: MAC_A, vlans });
  const send = `s.bind(("ov42", 0)); s.send(bytes.fromhex("${Buffer.from(frame).toString("hex")}"))`;
  let waiting = true;
  const capture = to(`timeout 10 tcpdump --immediate-mode -nnvvec 1 -i ov42 ether src ${MAC_A}`).finally(() => {
    waiting = false;
  });
  capture.catch(() => {}); // told below
  while (waiting) {
    await from(`python3 -c 'import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); ${send}'`);
  }
  const seen = await capture;
  for (const vlan of vlans) expect(seen).toContain(`vlan ${vlan}`);
  expect(seen).toContain("[udp sum ok] UDP, length 100");
};

const tcp = async (column: Column): Promise<void> => {
  await column.tunnel();
  for (const address of [overlay4(LEFT), overlay6(LEFT)]) {
    for (const direction of ["to", "from"] as const) {
      const { sent, received } = await shellTransfer(column.left, address, direction, column.peer.run, TRANSFER_BYTES);
      expect(received).toBe(sent);
    }
  }
};

export const FEATURES = {
  "ping, IPv4 and IPv6 inside": async (column) => {
    await column.tunnel();
    await bothWays(column);
    await answered(column.onLeft, overlay6(PEER));
    await answered(column.peer.run, overlay6(LEFT));
  },

  "flood list": async (column) => {
    const { peer, third } = column;
    await peer.tunnel({ remotes: [column.at(LEFT), column.at(THIRD)] });
    await third.tunnel({ remotes: [column.at(LEFT), column.at(PEER)] });
    await column.vtepd(`mac-learning: false, flood: ["${column.at(PEER)}", "${column.at(THIRD)}"]`);
    // All that vtepd sends is flooded, and of the others each ARP request.
    await withoutCopies(column.onLeft, overlay4(PEER));
    await withoutCopies(column.onLeft, overlay4(THIRD));
    await answered(column.peer.run, overlay4(LEFT));
    await answered(column.peer.run, overlay4(THIRD));
    await answered(third.run, overlay4(LEFT));
  },

  "static FDB entries, nothing flooded": async (column) => {
    const [left, peer] = [overlayMac(LEFT), overlayMac(PEER)];
    await column.peer.tunnel({ fdb: { [left]: column.at(LEFT) }, learning: false });
    await column.peer.run(`ip neigh replace ${overlay4(LEFT)} lladdr ${left} dev ov42`);
    const daemon = await column.vtepd(
      `mac-learning: false, unknown-unicast: drop, fdb: [{ mac: "${peer}", dst: "${column.at(PEER)}" }]`,
    );
    column.left.ip("neigh", "replace", overlay4(PEER), "lladdr", peer, "dev", "ov42");
    await bothWays(column);
    expect(daemon.learned("ov42")).toEqual([]);
    expect(daemon.stats().links[0]?.fdb.learns).toBe(0);
  },

  "learning, both ways": async (column) => {
    const daemon = await column.tunnel();
    await bothWays(column);
    expect(daemon.learned("ov42")).toEqual([`${overlayMac(PEER)} ${column.at(PEER)}`]);
    expect(await column.peer.remoteOf(overlayMac(LEFT))).toBe(column.at(LEFT));
  },

  "a MAC that moves": async (column) => {
    const { peer, third } = column;
    const guest = { mac: "02:00:00:00:99:99", address: overlay4(9) };
    const daemon = await column.vtepd(`flood: ["${column.at(PEER)}", "${column.at(THIRD)}"]`);
    await third.tunnel(guest);
    await answered(third.run, overlay4(LEFT));
    expect(daemon.learned("ov42")).toEqual([`${guest.mac} ${column.at(THIRD)}`]);
    await third.clear();
    await peer.tunnel(guest);
    await answered(column.peer.run, overlay4(LEFT));
    expect(daemon.learned("ov42")).toEqual([`${guest.mac} ${column.at(PEER)}`]);
    await answered(column.onLeft, overlay4(9));
  },

  "VLAN tags, one and two": async (column) => {
    await column.tunnel();
    await tagged(column.onLeft, column.peer.run, [7]);
    await tagged(column.peer.run, column.onLeft, [7]);
    await tagged(column.onLeft, column.peer.run, [7, 9]);
    await tagged(column.peer.run, column.onLeft, [7, 9]);
  },

  "TTL, fixed": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", ttl: 9`, { ttl: 7 });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, ttl(column, 9));
    all(theirs, ttl(column, 7));
  },

  "TTL, inherited": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", ttl: inherit`, { ttl: "inherit" });
    const { ours } = await outerHeaders(column, "-t 33");
    // A request of ours, and an answer, whose TTL is the host's own.
    expect(ours.filter((packet) => ttl(column, 33).test(packet))).toHaveLength(1);
    expect(ours.filter((packet) => ttl(column, 64).test(packet))).toHaveLength(1);
  },

  "TOS, inherited": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", type-of-service: inherit`, { tos: "inherit" });
    const { ours, theirs } = await outerHeaders(column, "-Q 0x40");
    all(ours, tos(column, 0x40));
    all(theirs, tos(column, 0x40));
  },

  "ECN, on encapsulation": async (column) => {
    await column.tunnel();
    for (const ecn of [1, 2, 3]) {
      const { ours } = await outerHeaders(column, `-Q ${ecn}`);
      all(ours, tos(column, ecn));
    }
  },

  "ECN, on decapsulation": async (column) => {
    const daemon = await column.tunnel();
    await answered(column.onLeft, overlay4(PEER)); // ARP is done
    const inner = await innerReplies(column);
    column.congest("peer");
    await answered(column.onLeft, "-Q 2", overlay4(PEER));
    await waitFor(() => /tos 0x3,CE/.test(inner.stdout), { what: "a congestion mark inside" });
    await inner.stop();
    // Whoever does not understand the mark must not get the packet.
    await silent(column.onLeft, overlay4(PEER));
    expect(daemon.drops("decap")["ip_tunnel_ecn"]).toBeGreaterThanOrEqual(2);
  },

  "ECN of ours, decapsulated by the peer": async (column) => {
    await column.tunnel();
    await answered(column.onLeft, overlay4(PEER));
    column.congest("left");
    const inner = await innerReplies(column);
    await answered(column.onLeft, "-Q 2", overlay4(PEER));
    // An echo reply has the TOS that the request came with.
    await waitFor(() => /tos 0x3,CE/.test(inner.stdout), { what: "a congestion mark inside" });
    await inner.stop();
    await silent(column.onLeft, overlay4(PEER));
  },

  DF: async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", do-not-fragment: true`, { df: true });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, /flags \[DF\]/);
    all(theirs, /flags \[DF\]/);
  },

  "no outer UDP checksum": async (column) => {
    await column.peer.tunnel({ checksum: false });
    const checksums = column.family === "IPv4" ? "[]" : "[zero-udp6-tx, zero-udp6-rx]";
    await column.vtepd(`remote: "${column.at(PEER)}", checksums: ${checksums}`);
    const { ours, theirs } = await outerHeaders(column);
    all(ours, /\[(no cksum|bad udp cksum 0x0000)/);
    all(theirs, /\[(no cksum|bad udp cksum 0x0000)/);
  },

  "outer UDP checksum": async (column) => {
    await column.tunnel(undefined, { checksum: true });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, /\[udp sum ok\]/);
    all(theirs, /\[udp sum ok\]/);
  },

  "another UDP port": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", port: 8472`, { port: 8472 });
    await bothWays(column);
  },

  "several VNIs on one port": async (column) => {
    const vnis = [41, 42, 43];
    for (const vni of vnis) await column.peer.tunnel({ vni });
    await column.vtepd(undefined, vnis);
    for (const vni of vnis) {
      await answered(column.onLeft, overlay4(PEER, vni));
      await answered(column.peer.run, overlay4(LEFT, vni));
    }
  },

  "a wrong VNI": async (column) => {
    const daemon = await column.tunnel(undefined, { vni: 43, address: overlay4(PEER) });
    await silent(column.onLeft, overlay4(PEER));
    await silent(column.peer.run, overlay4(LEFT));
    expect(daemon.drops("socket")["vxlan_vni_not_found"]).toBeGreaterThanOrEqual(1);
    expect(daemon.stats().links[0]?.rx.packets).toBe(0);
  },

  "multicast group": async (column) => {
    const group = column.family === "IPv4" ? "239.1.1.1" : "ff05::42";
    await column.peer.tunnel({ group });
    await column.third.tunnel({ group });
    await column.vtepd(`group: "${group}", link: eth0`);
    await withoutCopies(column.onLeft, overlay4(PEER));
    await withoutCopies(column.onLeft, overlay4(THIRD));
    await answered(column.peer.run, overlay4(LEFT));
    await answered(column.peer.run, overlay4(THIRD));
  },

  "MTU: the largest frame and one byte more": async (column) => {
    const mtu = column.family === "IPv4" ? 1450 : 1430;
    await column.tunnel(`remote: "${column.at(PEER)}", do-not-fragment: true`, { mtu });
    const most = `-M do -s ${mtu - ICMP_OVERHEAD}`;
    const more = `-M do -s ${mtu - ICMP_OVERHEAD + 1}`;
    await bothWays(column, most);
    for (const [run, target] of [
      [column.onLeft, PEER],
      [column.peer.run, LEFT],
    ] as const) {
      expect(await run(`ping -c 1 -W 0.1 ${more} ${overlay4(target)} || true`)).toMatch(/message too long/i);
    }
    // A host that was told a larger MTU loses the frame; it is not sent in pieces.
    column.left.ip("link", "set", "ov42", "mtu", String(mtu + 1));
    await silent(column.onLeft, more, overlay4(PEER));
    await answered(column.onLeft, most, overlay4(PEER));
  },

  "TCP, several MB, content compared": tcp,

  "TCP with superframes and unfinished checksums": async (column) => {
    column.wires("virtual");
    try {
      await tcp(column);
    } finally {
      column.wires("wire-like");
    }
  },
} as const satisfies Readonly<Record<string, (column: Column) => Promise<void>>>;

export type Feature = keyof typeof FEATURES;
