/**
 * Every mode with every peer that has it: the rows are in tunnel-rows.ts, the peers in tunnel-column.ts, what comes of it in
 * README.md. The cells of a row are tried side by side; each column is a network of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningDaemon } from "../support/daemon.ts";
import { shellTransfer } from "../support/transfer.ts";
import { overlay4, overlay6 } from "./peer.ts";
import { answered } from "./pings.ts";
import { InteropTable, NOT_TRIED } from "./table.ts";
import { hasWrong, TUNNEL_COLUMNS, TunnelColumn, type TunnelColumnName } from "./tunnel-column.ts";
import { TUNNEL_ROWS, type TunnelRow } from "./tunnel-rows.ts";

const BYTES = 300_000;
/** IPv4 or IPv6, and ICMP's eight. */
const PING_HEADERS = { IPv4: 28, IPv6: 48 } as const;

const reasonsFor = (fits: (row: TunnelRow) => boolean, reason: string): Record<string, string> =>
  Object.fromEntries(TUNNEL_ROWS.filter(fits).map(({ name }) => [name, reason]));

const NOT_OFFERED: Partial<Record<TunnelColumnName, Record<string, string>>> = {
  "user-mode-linux 6.1": reasonsFor(
    ({ fou }) => fou !== undefined,
    "its kernel receives tunnels in UDP, but sends none",
  ),
  // What user-mode-linux's kernel has is tried there, for 6.12 is slow.
  "Linux 6.12, emulated": reasonsFor(({ fou }) => fou === undefined, NOT_TRIED),
  "Open vSwitch": {
    ...reasonsFor(({ ovs }) => ovs === undefined, "its bridges have no such port"),
    ...reasonsFor(({ fou }) => fou !== undefined, "it has no tunnels in fou or GUE"),
    ...reasonsFor(
      ({ name, fou }) => name.includes("gre") && !name.includes("tap") && fou === undefined,
      "its bridges carry frames; GRE of IP packets needs flows written by hand",
    ),
  },
};

const table = new InteropTable({
  name: "tunnels",
  head: "mode and options",
  rows: TUNNEL_ROWS.map(({ name }) => name),
  columns: TUNNEL_COLUMNS,
  notOffered: NOT_OFFERED,
});
const columns = new Map<TunnelColumnName, TunnelColumn>();

beforeAll(async () => {
  const start = async (name: TunnelColumnName): Promise<unknown> => columns.set(name, await TunnelColumn.start(name));
  // All of them are waited for, so that afterAll finds those that have started.
  for (const result of await Promise.allSettled(TUNNEL_COLUMNS.map(start))) {
    if (result.status === "rejected") throw result.reason;
  }
});
afterAll(() => Promise.all([...columns.values()].map((column) => column.close())));

const hasAny = (drops: Readonly<Record<string, number>>): boolean => Object.keys(drops).length > 0;

const rightEnds = async (column: TunnelColumn, row: TunnelRow): Promise<RunningDaemon> => {
  const daemon = await column.tunnel(row);
  expect(await column.onLeft("ip -o link show ov0")).toContain(` mtu ${row.mtu} `);
  for (const family of row.carries) {
    const inner = family === "IPv4" ? overlay4 : overlay6;
    const largest = row.mtu - PING_HEADERS[family];
    await answered(column.onLeft, "-M do -s", largest, inner(2));
    await answered(column.peer.run, "-M do -s", largest, inner(1));
    expect(await column.onLeft(`ping -c 1 -W 1 -M do -s ${largest + 1} ${inner(2)} 2>&1 || true`)).toMatch(
      /too (long|big)/,
    );
    for (const direction of ["to", "from"] as const) {
      const { sent, received } = await shellTransfer(column.left, inner(1), direction, column.peer.run, BYTES);
      expect(received).toBe(sent);
    }
  }
  const { links, sockets = [] } = daemon.stats();
  expect([...links.map(({ drops }) => drops.decap), ...sockets.map(({ drops }) => drops)].filter(hasAny)).toEqual([]);
  return daemon;
};

/** What is wrong is outside: which family is inside makes no difference. */
const wrongEnd = async (column: TunnelColumn, row: TunnelRow, daemon: RunningDaemon): Promise<void> => {
  const received = (): number => daemon.stats().links[0]!.rx.packets;
  await column.turnWrong(row);
  const before = received();
  const there = row.carries[0] === "IPv4" ? overlay4(1) : overlay6(1);
  expect(await column.peer.run(`ping -c 3 -i 0.1 -W 0.3 ${there} || true`)).toMatch(/ 0 received/);
  expect(received()).toBe(before);
};

describe.each(TUNNEL_ROWS)("$name", (row) => {
  const able = TUNNEL_COLUMNS.filter((name) => NOT_OFFERED[name]?.[row.name] === undefined);
  it.concurrent.each(able)("%s", async (name) => {
    const column = columns.get(name)!;
    try {
      const daemon = await rightEnds(column, row);
      if (hasWrong(name, row)) await wrongEnd(column, row, daemon);
      table.pass(name, row.name);
    } finally {
      await column.clear();
    }
  });
});

it("README.md has the table that this run makes (VTEPD_INTEROP_TABLE=write rewrites it)", () => {
  expect(table.committed()).toBe(table.text());
});
