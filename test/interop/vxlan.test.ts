/**
 * Every feature with every peer: the rows are in features.ts, the peers in column.ts, what comes of it in README.md. The
 * cells of a row are tried side by side; each column is a network of its own.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { COLUMNS, Column, type ColumnName } from "./column.ts";
import { FEATURES, type Feature } from "./features.ts";
import { NOT_OFFERED } from "./not-offered.ts";
import { InteropTable } from "./table.ts";

const table = new InteropTable({
  name: "table",
  head: "feature",
  rows: Object.keys(FEATURES),
  columns: COLUMNS,
  notOffered: NOT_OFFERED,
});
const columns = new Map<ColumnName, Column>();

beforeAll(async () => {
  const start = async (name: ColumnName): Promise<unknown> => columns.set(name, await Column.start(name));
  // All of them are waited for, so that afterAll finds those that have started.
  for (const result of await Promise.allSettled(COLUMNS.map(start))) {
    if (result.status === "rejected") throw result.reason;
  }
});
afterAll(() => Promise.all([...columns.values()].map((column) => column.close())));

describe.each(Object.keys(FEATURES) as Feature[])("%s", (feature) => {
  const able = COLUMNS.filter((name) => NOT_OFFERED[name]?.[feature] === undefined);
  it.concurrent.each(able)("%s", async (name) => {
    const column = columns.get(name)!;
    try {
      await FEATURES[feature](column);
      table.pass(name, feature);
    } finally {
      await column.clear();
    }
  });
});

it("README.md has the table that this run makes (VTEPD_INTEROP_TABLE=write rewrites it)", () => {
  expect(table.committed()).toBe(table.text());
});
