/** Rows of the table: frames that are as large as may be, and larger; TCP, which makes the most of it. */
import { expect } from "vitest";
import { shellTransfer } from "../support/transfer.ts";
import type { Column } from "./column.ts";
import { type Family, overlay4, overlay6 } from "./peer.ts";
import { answered, bothWays, LEFT, PEER, silent } from "./pings.ts";

const TRANSFER_BYTES = 4_000_000;
const SHORT_TRANSFER_BYTES = 500_000;
const ICMP_OVERHEAD = 28; // bytes: IPv4 and ICMP headers
const ICMP6_OVERHEAD = 48;
/** What both ends take the overlay's MTU for, where it is too large. */
const WRONG_MTU = 1500;

const mtuOver = (family: Family): number => (family === "IPv4" ? 1450 : 1430);

/** First from vtepd: a kernel that has sent much itself knows what fits, and asks for no more. */
const transfers = async ({ left, peer }: Column, bytes: number): Promise<void> => {
  for (const address of [overlay4(LEFT), overlay6(LEFT)]) {
    for (const direction of ["from", "to"] as const) {
      const { sent, received } = await shellTransfer(left, address, direction, peer.run, bytes);
      expect(received).toBe(sent);
    }
  }
};

const tcp = async (column: Column): Promise<void> => {
  await column.tunnel();
  await transfers(column, TRANSFER_BYTES);
};

export const SIZES = {
  "MTU: the largest frame and one byte more": async (column) => {
    const mtu = mtuOver(column.family);
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

  "frames too large: their sender is told by ICMP": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", do-not-fragment: true, mtu: ${WRONG_MTU}`, { mtu: WRONG_MTU });
    const mtu = mtuOver(column.family);
    for (const [address, overhead, answer] of [
      [overlay4(PEER), ICMP_OVERHEAD, `From ${overlay4(PEER)} icmp_seq=1 Frag needed and DF set (mtu = ${mtu})`],
      [overlay6(PEER), ICMP6_OVERHEAD, `From ${overlay6(PEER)} icmp_seq=1 Packet too big: mtu=${mtu}`],
    ] as const) {
      const said = await column.onLeft(`ping -c 1 -W 2 -M do -s ${WRONG_MTU - overhead} ${address} || true`);
      expect(said).toContain(answer);
      await column.onLeft("ip route flush cache; ip -6 route flush cache");
      // The peer asks for segments of 1500 bytes, and gets what it can.
      const from = address === overlay4(PEER) ? overlay4(LEFT) : overlay6(LEFT);
      const { sent, received } = await shellTransfer(column.left, from, "from", column.peer.run, SHORT_TRANSFER_BYTES);
      expect(received).toBe(sent);
    }
  },

  "frames too large: sent in fragments, put together by the peer": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", oversize: fragment, mtu: ${WRONG_MTU}`);
    await answered(column.onLeft, `-M do -s ${WRONG_MTU - ICMP_OVERHEAD}`, overlay4(PEER));
  },

  "TCP segments held to what fits, both ways": async (column) => {
    const keys = `mss-clamp: auto, oversize: drop, do-not-fragment: true, mtu: ${WRONG_MTU}`;
    const daemon = await column.tunnel(`remote: "${column.at(PEER)}", ${keys}`, { mtu: WRONG_MTU });
    await transfers(column, SHORT_TRANSFER_BYTES);
    expect(daemon.drops("encap")).toEqual({});
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
