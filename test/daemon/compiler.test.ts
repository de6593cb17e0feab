import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { COLLECTOR_FLAGS } from "../../src/daemon/collector.ts";
import { COMPILER_FLAGS, PATIENCE_FLAG } from "../../src/daemon/compiler.ts";

/** setFlagsFromString says nothing about flags that V8 does not have; node's command line does. */
test("this node knows the compiler's and the collector's flags", () => {
  const flags = [...COMPILER_FLAGS, PATIENCE_FLAG, ...COLLECTOR_FLAGS];
  const { status, stderr } = spawnSync(process.execPath, [...flags, "-e", "0"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

test("the worker is one file", () => {
  const worker = readFileSync(fileURLToPath(new URL("../../dist/dataplane/worker.js", import.meta.url)), "utf8");
  const imported = [...worker.matchAll(/^(?:import|export) .*from "([^"]+)"/gm)].map(([, name]) => name);
  expect(imported.filter((name) => !name?.startsWith("node:"))).toEqual([]);
  expect(worker).toContain("decapsulate");
});
