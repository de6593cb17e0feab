/** Every feature with every peer: the rows are in features.ts, the peers in column.ts, what comes of it in README.md. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { COLUMNS, Column } from "./column.ts";
import { FEATURES, type Feature } from "./features.ts";
import { InteropTable, NOT_OFFERED } from "./table.ts";

const BOOT_TIMEOUT_MS = 60_000;

const table = new InteropTable();

describe.each(COLUMNS)("vtepd and %s", (name) => {
  let column: Column;
  beforeAll(async () => {
    column = await Column.start(name);
  }, BOOT_TIMEOUT_MS);
  afterEach(() => column.clear());
  afterAll(() => column?.close());

  const features = (Object.keys(FEATURES) as Feature[]).filter((feature) => NOT_OFFERED[name]?.[feature] === undefined);
  it.each(features)("%s", async (feature) => {
    await FEATURES[feature](column);
    table.pass(name, feature);
  });
});

it("README.md has the table that this run makes (VTEPD_INTEROP_TABLE=write rewrites it)", () => {
  expect(table.committed()).toBe(table.text());
});
