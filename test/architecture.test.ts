/** Rules about the source itself: which layer may import which, how large a file may be, that tables are complete. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import * as reasons from "../src/drop-reason.ts";
import { DROP_REASON_COLUMNS, DROP_REASONS } from "../src/drop-reason.ts";
import { ERROR_CODES } from "../src/errors.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** Top to bottom: a file imports its own folder or one in a row below. Folders in one row do not know each other. */
const LAYERS = [
  ["cli"],
  ["daemon"],
  ["control", "metrics", "config", "host"],
  ["tunnel"],
  ["dataplane"],
  ["wire", "binding"],
];
/** Leaves that everyone may import. */
const LEAVES = ["errors.ts", "drop-reason.ts"];
const MAX_LINES = 400;

const filesOf = (folder: string, ending: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("build/"));

const sources = filesOf("src", ".ts");
const read = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const importsOf = (file: string): string[] =>
  [...read(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, path]) =>
    relative(join(ROOT, "src"), resolve(ROOT, dirname(file), path!)),
  );

/** What is wrong with `file` importing `target`; both relative to src/. Undefined = nothing. */
const violation = (file: string, target: string): string | undefined => {
  if (LEAVES.includes(target)) return undefined;
  const [folder, targetFolder] = [file.split("/")[0]!, target.split("/")[0]!];
  const row = LAYERS.findIndex((names) => names.includes(folder));
  const targetRow = LAYERS.findIndex((names) => names.includes(targetFolder));
  if (!file.includes("/")) return targetFolder === "cli" ? undefined : `${file} may import only cli, imports ${target}`;
  if (targetRow < 0) return `${file} imports ${target}, which is in no layer`;
  if (folder === targetFolder || targetRow > row) return undefined;
  return `${file} imports ${target}: not below it`;
};

describe("layers", () => {
  it("import only downward", () => {
    const violations = sources
      .filter((file) => !LEAVES.includes(relative("src", file)))
      .flatMap((file) => importsOf(file).map((target) => violation(relative("src", file), target)))
      .filter((found) => found !== undefined);
    expect(violations).toEqual([]);
  });

  it("would be reported when violated", () => {
    expect(violation("wire/vxlan.ts", "binding/abi.ts")).toContain("not below it");
    expect(violation("control/api.ts", "metrics/scrape.ts")).toContain("not below it");
    expect(violation("dataplane/fdb.ts", "daemon/clock.ts")).toContain("not below it");
    expect(violation("dataplane/fdb.ts", "wire/mac.ts")).toBeUndefined();
    expect(importsOf("src/dataplane/worker.ts")).toContain("dataplane/forwarder.ts");
  });

  it("wire imports nothing but itself and the drop reasons", () => {
    const foreign = sources
      .filter((file) => file.startsWith("src/wire/"))
      .flatMap(importsOf)
      .filter((target) => !target.startsWith("wire/") && target !== "drop-reason.ts");
    expect(foreign).toEqual([]);
  });

  it("have no cycles", () => {
    const graph = new Map(sources.map((file) => [relative("src", file), importsOf(file)]));
    const done = new Set<string>();
    const visit = (file: string, path: string[]): void => {
      expect(path, `cycle: ${[...path, file].join(" -> ")}`).not.toContain(file);
      if (done.has(file)) return;
      for (const target of graph.get(file) ?? []) visit(target, [...path, file]);
      done.add(file);
    };
    for (const file of graph.keys()) visit(file, []);
    expect(done.size).toBe(sources.length);
  });

  it("only the binding loads the addon", () => {
    const loaders = sources.filter((file) => /createRequire|process\.dlopen/.test(read(file)));
    expect(loaders).toEqual(["src/binding/addon.ts"]);
  });
});

describe("files", () => {
  it(`have at most ${MAX_LINES} lines`, () => {
    const all = [
      ...sources,
      ...filesOf("native", ".cc"),
      ...filesOf("native", ".h"),
      ...filesOf("bench", ".ts"),
      ...filesOf("bench", ".c"),
    ];
    const long = all
      .map((file) => [file, read(file).split("\n").length] as const)
      .filter(([, lines]) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });
});

describe("tables", () => {
  it("every drop reason has a row, named as its constant", () => {
    const constants = Object.entries(reasons).filter(
      ([name, value]) => typeof value === "number" && name !== "DROP_REASON_COLUMNS",
    );
    for (const [name, value] of constants) expect(DROP_REASONS[value as number]?.name).toBe(name.toLowerCase());
    expect(DROP_REASONS).toHaveLength(constants.length);
    expect(DROP_REASONS.length).toBeLessThanOrEqual(DROP_REASON_COLUMNS);
  });

  it("every drop reason is used by the data plane or the header checks", () => {
    const users = sources
      .filter((file) => /src\/(dataplane|wire)\//.test(file))
      .map(read)
      .join("\n");
    const unused = DROP_REASONS.map(({ name }) => name.toUpperCase()).filter(
      (name) => !new RegExp(`\\b${name}\\b`).test(users),
    );
    expect(unused).toEqual([]);
  });

  it("every decision has the number after the one before", () => {
    const numbers = [...read("DECISIONS.md").matchAll(/^## (\d+)\. /gm)].map(([, number]) => Number(number));
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it("every drop reason is in the README's table", () => {
    const missing = DROP_REASONS.slice(1).filter(({ name }) => !read("README.md").includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });

  it("every error code is thrown somewhere", () => {
    const users = sources
      .filter((file) => file !== "src/errors.ts")
      .map(read)
      .join("\n");
    const unused = Object.keys(ERROR_CODES).filter((code) => !users.includes(`"${code}"`));
    expect(unused).toEqual([]);
  });
});
