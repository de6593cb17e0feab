import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { COMPILER_FLAGS } from "../../src/daemon/compiler.ts";

/** setFlagsFromString says nothing about flags that V8 does not have; node's command line does. */
test("this node knows the compiler's flags", () => {
  const { status, stderr } = spawnSync(process.execPath, [...COMPILER_FLAGS, "-e", "0"], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
});

test("the worker is one file", () => {
  const worker = readFileSync(fileURLToPath(new URL("../../dist/dataplane/worker.js", import.meta.url)), "utf8");
  const imported = [...worker.matchAll(/^(?:import|export) .*from "([^"]+)"/gm)].map(([, name]) => name);
  expect(imported.filter((name) => !name?.startsWith("node:"))).toEqual([]);
  expect(worker).toContain("decapsulate");
});
