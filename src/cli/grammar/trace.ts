/** `trace`. */
import { isAddress } from "./check.ts";
import { requiredDev } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import type { Value } from "./value.ts";

const bytes: Value = {
  key: "bytes",
  placeholder: "HEX",
  check: (text) =>
    /^([\da-f]{2})+$/i.test(text.replaceAll(/[\s:]/g, "")) ? undefined : `argument "${text}" is wrong: invalid bytes`,
  required: true,
};

const from: Value = { key: "from", placeholder: "IP", check: isAddress };

export const trace: CommandObject = {
  name: "trace",
  summary: "what would happen to a frame, and why",
  verbs: [{ names: ["frame"], operand: bytes, values: [requiredDev, from] }],
};
