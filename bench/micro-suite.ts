/**
 * Runs the operations of bench/micro/ as the daemon's workers run theirs: each file bundled (package.json,
 * `build:worker`), with the compiler's limits of src/daemon/compiler.ts.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { COMPILER_FLAGS } from "../src/daemon/compiler.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** Faster than this, there was no loop. */
const DELETED_LOOP_NS = 0.2;

export interface MicroResult {
  readonly file: string;
  readonly name: string;
  /** Nanoseconds per iteration, over processes; each process gives the median of its repetitions. */
  readonly ns: Spread;
  readonly thresholdNs: number | undefined;
  readonly failed: boolean;
}

const FOLDER = new URL("./micro/", import.meta.url);
const ADDON = fileURLToPath(new URL("../native/build/Release/vtepd.node", import.meta.url));

/** Puts a file and all that it imports into one, as the daemon's worker is built. Returns where. */
const bundle = (file: string, folder: string): string => {
  const outfile = join(folder, file.replace(/\.ts$/, ".mjs"));
  const entryPoints = [fileURLToPath(new URL(file, FOLDER))];
  buildSync({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", minifySyntax: true });
  return outfile;
};

const runFile = (path: string, only: string | undefined): Record<string, unknown>[] => {
  const env: NodeJS.ProcessEnv = { VTEPD_ADDON: ADDON, ...process.env };
  delete env["VTEPD_MICRO_ONLY"];
  if (only !== undefined) env["VTEPD_MICRO_ONLY"] = only;
  const result = spawnSync(process.execPath, [...COMPILER_FLAGS, path], { encoding: "utf8", timeout: 120_000, env });
  if (result.status !== 0) throw new Error(`${path} ${only ?? ""}: ${result.stderr}${result.error?.message ?? ""}`);
  return result.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
};

const runBundles = (paths: readonly string[], rounds: number, progress: (line: string) => void): MicroResult[] => {
  const found = paths.flatMap((path) =>
    runFile(path, undefined).map((line) => ({
      path,
      name: String(line["name"]),
      thresholdNs: line["thresholdNs"] as number | undefined,
      ns: [] as number[],
    })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const entry of round % 2 === 0 ? found : found.toReversed()) {
      const ns = Number(runFile(entry.path, entry.name)[0]?.["ns"]);
      if (!(ns >= DELETED_LOOP_NS))
        throw new Error(`${entry.name}: ${ns} ns per iteration: the loop was optimised away`);
      entry.ns.push(ns);
      progress(`micro ${entry.name} round ${round + 1}/${rounds}: ${ns.toFixed(2)} ns`);
    }
  }
  return found.map(({ path, name, thresholdNs, ns }) => {
    const spread = spreadOf(ns);
    return {
      file: basename(path, ".mjs"),
      name,
      ns: spread,
      thresholdNs,
      failed: thresholdNs !== undefined && spread.median > thresholdNs,
    };
  });
};

/** Runs every bench/micro/*.bench.ts, operations taking turns, `rounds` processes each. */
export const runMicro = (rounds: number, progress: (line: string) => void): MicroResult[] => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".bench.ts"));
  const folder = mkdtempSync(join(tmpdir(), "vtepd-micro-"));
  try {
    return runBundles(
      files.map((file) => bundle(file, folder)),
      rounds,
      progress,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const microText = (results: readonly MicroResult[]): string =>
  results
    .map(({ name, ns, thresholdNs, failed }) => {
      const limit = thresholdNs === undefined ? "" : `, threshold ${thresholdNs}${failed ? " EXCEEDED" : ""}`;
      return `${name.padEnd(48)} ${ns.median.toFixed(2)} ns (${ns.min.toFixed(2)}..${ns.max.toFixed(2)})${limit}\n`;
    })
    .join("");
