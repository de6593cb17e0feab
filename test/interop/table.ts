/**
 * A table of README.md: a cell is `ok` when its test has passed in this run, or says why the peer does not offer it.
 * A run compares the file with what it has seen; VTEPD_INTEROP_TABLE=write writes it instead.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FILE = fileURLToPath(new URL("./README.md", import.meta.url));
/** What a peer cannot do, whoever is at the other end, by column and row. Such a cell has no test. */
export type NotOffered = Readonly<Record<string, Readonly<Record<string, string | undefined>> | undefined>>;

/** In place of the reason: the peer may well offer it, but another column's test is enough. */
export const NOT_TRIED = "-";

export interface TableShape {
  /** Of the table in the file: `<!-- NAME: written by the suite -->` stands before it. */
  readonly name: string;
  /** Of the first column. */
  readonly head: string;
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly notOffered: NotOffered;
}

export class InteropTable {
  readonly #shape: TableShape;
  readonly #passed = new Set<string>();

  constructor(shape: TableShape) {
    this.#shape = shape;
  }

  pass(column: string, row: string): void {
    this.#passed.add(`${column}/${row}`);
  }

  /** Of the file as it should be. */
  text(): string {
    const { name, head, rows, columns, notOffered } = this.#shape;
    const notes: string[] = [];
    const cell = (column: string, row: string): string => {
      const reason = notOffered[column]?.[row];
      if (reason === undefined) return this.#passed.has(`${column}/${row}`) ? "ok" : "**failed**";
      if (reason === NOT_TRIED) return NOT_TRIED;
      notes.push(`${row}, ${column}: ${reason}.`);
      return `not offered (${notes.length})`;
    };
    const lines = rows.map((row) => `| ${[row, ...columns.map((column) => cell(column, row))].join(" | ")} |\n`);
    const top = `| ${head} | ${columns.join(" | ")} |\n|${" --- |".repeat(columns.length + 1)}\n`;
    const table = `${top}${lines.join("")}\n${notes.map((note, index) => `${index + 1}. ${note}\n`).join("")}`;
    const file = readFileSync(FILE, "utf8");
    const mark = `<!-- ${name}: written by the suite -->\n`;
    const begin = file.indexOf(mark) + mark.length;
    return `${file.slice(0, begin)}\n${table}\n${file.slice(file.indexOf("<!-- end of", begin))}`;
  }

  /** Returns the file as it is, after writing it if that was asked for. */
  committed(): string {
    if (process.env["VTEPD_INTEROP_TABLE"] === "write") writeFileSync(FILE, this.text());
    return readFileSync(FILE, "utf8");
  }
}
