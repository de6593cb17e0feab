/** Rows of the table: where frames go, and whose are taken. */
import { expect } from "vitest";
import { MAC_A, MAC_BROADCAST, udpFrame } from "../support/frame-builder.ts";
import { waitFor } from "../support/wait-for.ts";
import type { Column } from "./column.ts";
import { overlay4, overlay6, overlayMac, underlayAddress } from "./peer.ts";
import { answered, bothWays, LEFT, PEER, type RunLine, silent, THIRD, withoutCopies } from "./pings.ts";

/** Broadcasts a frame, or sends it to a MAC, again and again until it is seen on a device. Returns what tcpdump says of it. */
const seen = async (
  from: RunLine,
  to: RunLine,
  { vlans = [], dst = MAC_BROADCAST, dev = "ov42" }: { vlans?: readonly number[]; dst?: string; dev?: string },
): Promise<string> => {
  const flow = { srcIp: overlay4(7), dstIp: overlay4(8), srcPort: 7, dstPort: 8, payload: "x".repeat(100) };
  const frame = udpFrame({ ...flow, dst, src: MAC_A, vlans });
  const send = `s.bind(("ov42", 0)); s.send(bytes.fromhex("${Buffer.from(frame).toString("hex")}"))`;
  let waiting = true;
  const capture = to(`timeout 30 tcpdump --immediate-mode -nnvvec 1 -i ${dev} ether src ${MAC_A}`).finally(() => {
    waiting = false;
  });
  capture.catch(() => {}); // told below
  while (waiting) {
    await from(`python3 -c 'import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); ${send}'`);
  }
  const said = await capture;
  expect(said).toContain("[udp sum ok] UDP, length 100");
  return said;
};
const tagsSeen = async (from: RunLine, to: RunLine, vlans: readonly number[]): Promise<number[]> =>
  [...(await seen(from, to, { vlans })).matchAll(/ vlan (\d+),/g)].map(([, vlan]) => Number(vlan));

export const FORWARDING = {
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

  "flood list replaced as a whole": async (column) => {
    await column.peer.tunnel();
    await column.third.tunnel();
    const daemon = await column.vtepd(`mac-learning: false, flood: ["${column.at(PEER)}"]`);
    const set = (n: number): void =>
      expect(daemon.vtepctl("flood", "set", "ov42", "dst", column.at(n)).stderr).toBe("");
    await answered(column.onLeft, overlay4(PEER));
    set(THIRD);
    await answered(column.onLeft, overlay4(THIRD));
    await silent(column.onLeft, overlay4(PEER));
    set(PEER);
    await answered(column.onLeft, overlay4(PEER));
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

  "an FDB entry with a UDP port and a VNI of its own": async (column) => {
    await column.peer.tunnel({ vni: 43, port: 8472 });
    const entry = `mac: "${overlayMac(PEER)}", dst: "${column.at(PEER)}", port: 8472, vni: 43`;
    await column.vtepd(`fdb: [{ ${entry} }]`);
    await seen(column.onLeft, column.peer.run, { dst: overlayMac(PEER), dev: "ov43" });
  },

  "an FDB entry with an underlay interface of its own": async (column) => {
    await column.peer.tunnel();
    const { left, family } = column;
    const host = `${column.at(PEER)}/${family === "IPv6" ? 128 : 32}`;
    // The routes lead astray.
    left.ip("link", "add", "astray", "type", "veth", "peer", "name", "nowhere");
    for (const dev of ["astray", "nowhere"]) left.ip("link", "set", dev, "up");
    try {
      left.ip("route", "add", host, "dev", "astray");
      const daemon = await column.vtepd(`flood: ["${column.at(PEER)}"]`);
      await silent(column.onLeft, overlay4(PEER));
      const entry = ["dev", "ov42", "dst", column.at(PEER), "via", "eth0"];
      for (const mac of ["00:00:00:00:00:00", overlayMac(PEER)]) {
        expect(daemon.vtepctl("fdb", "append", mac, ...entry).stderr).toBe("");
      }
      await bothWays(column);
    } finally {
      left.ip("link", "del", "astray");
    }
  },

  "a static MAC that is seen elsewhere: dropped, or taken if sticky": async (column) => {
    await column.peer.tunnel();
    const keys = (sticky: boolean): string =>
      `flood: ["${column.at(PEER)}"], fdb: [{ mac: "${overlayMac(PEER)}", dst: "${column.at(THIRD)}", sticky: ${sticky} }]`;
    const fixed = await column.vtepd(keys(false));
    await silent(column.peer.run, overlay4(LEFT));
    expect(fixed.drops("decap")["vxlan_entry_exists"]).toBeGreaterThanOrEqual(1);
    expect(fixed.stats().links[0]?.rx.packets).toBe(0);
    const sticky = await column.vtepd(keys(true));
    await column.peer.run("ip neigh flush dev ov42"); // it has asked in vain, and asks again only now and then
    await silent(column.peer.run, overlay4(LEFT)); // the answers go where the entry says
    await waitFor(() => sticky.stats().links[0]!.rx.packets >= 1, { what: "a frame of the peer" });
    expect(sticky.drops("decap")).toEqual({});
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

  "ARP and neighbour discovery for the peer, answered by vtepd": async (column) => {
    const daemon = await column.tunnel(`remote: "${column.at(PEER)}", arp-proxy: true`);
    for (const address of [overlay4(PEER), overlay6(PEER)]) {
      await answered(column.onLeft, address);
      const known = `${address} dev ov42 lladdr ${overlayMac(PEER)} `;
      await waitFor(() => daemon.vtepctl("neigh", "show", "dev", "ov42").stdout.includes(known), { what: known });
      const answers = (): number => daemon.stats().links[0]!.neighbour_answers;
      const before = answers();
      await column.onLeft("ip neigh flush dev ov42");
      await answered(column.onLeft, address);
      expect(answers()).toBeGreaterThan(before);
    }
    await column.peer.run("ip neigh flush dev ov42");
    await answered(column.peer.run, overlay4(LEFT));
    await answered(column.peer.run, overlay6(LEFT));
  },

  "VLAN tags, one and two": async (column) => {
    await column.tunnel();
    for (const vlans of [[7], [7, 9]]) {
      expect(await tagsSeen(column.onLeft, column.peer.run, vlans)).toEqual(vlans);
      expect(await tagsSeen(column.peer.run, column.onLeft, vlans)).toEqual(vlans);
    }
  },

  "VLAN tags, taken off": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", vlan: strip`);
    expect(await tagsSeen(column.onLeft, column.peer.run, [7, 9])).toEqual([9]);
    expect(await tagsSeen(column.peer.run, column.onLeft, [7])).toEqual([]);
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

  "a VTEP that is not configured: refused, or taken by `accept: any`": async (column) => {
    await column.peer.tunnel();
    const flood = `flood: ["${column.at(THIRD)}"]`;
    const daemon = await column.vtepd(flood);
    await silent(column.peer.run, overlay4(LEFT));
    expect(daemon.drops("decap")["unknown_vtep"]).toBeGreaterThanOrEqual(1);
    expect(daemon.stats().links[0]?.rx.packets).toBe(0);
    await column.vtepd(`${flood}, accept: any`);
    await column.peer.run("ip neigh flush dev ov42"); // as above
    await answered(column.peer.run, overlay4(LEFT));
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

  "IPv4 and IPv6 remote VTEPs in one tunnel": async (column) => {
    const other = column.family === "IPv4" ? "IPv6" : "IPv4";
    const remote = underlayAddress(other, THIRD);
    await column.peer.tunnel();
    await column.third.tunnel({ family: other });
    const daemon = await column.vtepd(
      `local: ["${column.at(LEFT)}", "${underlayAddress(other, LEFT)}"], flood: ["${column.at(PEER)}", "${remote}"]`,
    );
    await bothWays(column);
    await answered(column.onLeft, overlay4(THIRD));
    await answered(column.third.run, overlay4(LEFT));
    const learned = [`${overlayMac(PEER)} ${column.at(PEER)}`, `${overlayMac(THIRD)} ${remote}`];
    expect(daemon.learned("ov42")).toEqual(learned);
  },

  "the underlay in another network namespace": async (column) => {
    await column.peer.tunnel();
    await column.vtepd(`remote: "${column.at(PEER)}", underlay-netns: ${column.left.netns}`, [42], column.home);
    await answered(column.atHome, overlay4(PEER));
    await answered(column.peer.run, overlay4(LEFT));
  },

  "an underlay that goes and comes back": async (column) => {
    await column.tunnel();
    await bothWays(column);
    column.left.ip("link", "set", "eth0", "down");
    column.left.ip("link", "set", "eth0", "up");
    // Addresses of IPv6 do not stay.
    column.left.ip("address", "replace", `${underlayAddress("IPv6", LEFT)}/64`, "dev", "eth0", "nodad");
    expect(await column.onLeft(`ping -c 1 -i 0.1 -w 10 ${overlay4(PEER)}`)).toContain("1 received");
    await answered(column.peer.run, overlay4(LEFT));
  },
} as const satisfies Readonly<Record<string, (column: Column) => Promise<void>>>;
