/** Rows of the table: the headers around a frame. */
import { expect } from "vitest";
import type { Child } from "../support/child.ts";
import { waitFor } from "../support/wait-for.ts";
import type { Column } from "./column.ts";
import { OuterCapture } from "./outer-capture.ts";
import { overlay4 } from "./peer.ts";
import { answered, bothWays, LEFT, PEER, silent } from "./pings.ts";

type Words = readonly (string | number)[];

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
  await capture.waitForOutput(/listening/);
  return capture;
};

export const OUTER_HEADER = {
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

  "TOS, fixed": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", type-of-service: 0xb8`, { tos: 0x48 });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, tos(column, 0xb8));
    all(theirs, tos(column, 0x48));
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

  "DF, fixed": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", do-not-fragment: true`, { df: true });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, /flags \[DF\]/);
    all(theirs, /flags \[DF\]/);
  },

  "DF, inherited": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", do-not-fragment: inherit`);
    for (const [hint, flags] of [
      ["do", "DF"],
      ["dont", "none"],
    ] as const) {
      const { ours } = await outerHeaders(column, `-M ${hint}`);
      expect(ours[0]).toContain(`flags [${flags}]`); // the second one is an answer, with a DF of the host's own
    }
  },

  "flow label": async (column) => {
    await column.tunnel(`remote: "${column.at(PEER)}", flow-label: 0xabcde`, { flowLabel: 0x12345 });
    const { ours, theirs } = await outerHeaders(column);
    all(ours, /flowlabel 0xabcde,/);
    all(theirs, /flowlabel 0x12345,/);
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

  "source ports: a range, and one": async (column) => {
    await column.peer.tunnel();
    for (const [first, last] of [
      [50_000, 50_099],
      [4789, 4789],
    ] as const) {
      await column.vtepd(`remote: "${column.at(PEER)}", port-range: [${first}, ${last}]`);
      const { ours } = await outerHeaders(column);
      for (const packet of ours) {
        const port = Number(/\.(\d+) > /.exec(packet)?.[1]);
        expect(port).toBeGreaterThanOrEqual(first);
        expect(port).toBeLessThanOrEqual(last);
      }
    }
  },
} as const satisfies Readonly<Record<string, (column: Column) => Promise<void>>>;
