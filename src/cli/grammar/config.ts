/** `config`: the configuration file and what is in effect of it. */
import { isAnything } from "./check.ts";
import { dev } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import type { Value } from "./value.ts";

const file: Value = { key: "file", placeholder: "FILE", check: isAnything, choices: "file" };
const requiredFile: Value = { ...file, required: true };

export const config: CommandObject = {
  name: "config",
  summary: "the configuration: in effect, in the file, and what differs",
  verbs: [
    { names: ["show"], operand: dev, values: [] },
    { names: ["check"], operand: requiredFile, values: [] },
    { names: ["diff"], operand: file, values: [] },
    { names: ["reload"], values: [] },
    { names: ["apply"], operand: requiredFile, values: [], flags: ["dry-run"] },
  ],
};
