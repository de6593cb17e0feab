/**
 * The table of README.md: a cell is `ok` when its test has passed in this run, or says why the peer does not offer it.
 * A run compares the file with what it has seen; VTEPD_INTEROP_TABLE=write writes it instead.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { COLUMNS, type ColumnName } from "./column.ts";
import { FEATURES, type Feature } from "./features.ts";

const FILE = fileURLToPath(new URL("./README.md", import.meta.url));
const BEGIN = "<!-- table: written by the suite -->\n";
const END = "<!-- end of the table -->\n";

const NO_FLOW_LABEL = { "flow label": "IPv4 has none" } as const;

/** What a peer cannot do, whoever is at the other end. Such a cell has no test. */
export const NOT_OFFERED: Readonly<Partial<Record<ColumnName, Readonly<Partial<Record<Feature, string>>>>>> = {
  "kernel, IPv4": NO_FLOW_LABEL,
  "kernel, IPv6": { "DF, fixed": "IPv6 has no such bit", "DF, inherited": "IPv6 has no such bit" },
  "Open vSwitch": {
    ...NO_FLOW_LABEL,
    "multicast group": "its tunnels have unicast remotes only",
    "frames too large: sent in fragments, put together by the peer": "its userspace datapath takes no fragments",
    "TCP with superframes and unfinished checksums":
      "its userspace datapath drops packets with unfinished outer checksums",
  },
  "user-mode-linux 6.1": NO_FLOW_LABEL,
};

export class InteropTable {
  readonly #passed = new Set<string>();

  pass(column: ColumnName, feature: Feature): void {
    this.#passed.add(`${column}/${feature}`);
  }

  /** Of the file as it should be. */
  text(): string {
    const notes: string[] = [];
    const cell = (column: ColumnName, feature: Feature): string => {
      const reason = NOT_OFFERED[column]?.[feature];
      if (reason === undefined) return this.#passed.has(`${column}/${feature}`) ? "ok" : "**failed**";
      notes.push(`${feature}, ${column}: ${reason}.`);
      return `not offered (${notes.length})`;
    };
    const rows = (Object.keys(FEATURES) as Feature[]).map(
      (feature) => `| ${[feature, ...COLUMNS.map((column) => cell(column, feature))].join(" | ")} |\n`,
    );
    const head = `| feature | ${COLUMNS.join(" | ")} |\n|${" --- |".repeat(COLUMNS.length + 1)}\n`;
    const table = `${head}${rows.join("")}\n${notes.map((note, index) => `${index + 1}. ${note}\n`).join("")}`;
    const file = readFileSync(FILE, "utf8");
    const [begin, end] = [file.indexOf(BEGIN) + BEGIN.length, file.indexOf(END)];
    return `${file.slice(0, begin)}\n${table}\n${file.slice(end)}`;
  }

  /** Returns the file as it is, after writing it if that was asked for. */
  committed(): string {
    if (process.env["VTEPD_INTEROP_TABLE"] === "write") writeFileSync(FILE, this.text());
    return readFileSync(FILE, "utf8");
  }
}
