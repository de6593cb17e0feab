/** `capture`. */
import { integer } from "./check.ts";
import { dev } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import type { Value } from "./value.ts";

const isText = (): undefined => undefined;

const VALUES: readonly Value[] = [
  dev,
  { key: "count", aliases: ["-c"], placeholder: "PACKETS", check: integer(1, 0x7fffffff, "invalid number of packets") },
  { key: "snaplen", aliases: ["-s"], placeholder: "BYTES", check: integer(64, 262_144, "invalid snaplen") },
  { key: "filter", placeholder: '"EXPRESSION"', check: isText },
  { key: "write", aliases: ["-w"], placeholder: "{ FILE | - }", check: isText, choices: "file" },
];

export const capture: CommandObject = {
  name: "capture",
  summary: "frames and packets as they pass, as pcapng",
  verbs: ["all", "inner", "outer"].map((name) => ({ names: [name], values: VALUES })),
};
