/** Turns what zod found into problems: what was expected, what came, and where it stands. */

import type { z } from "zod";
import { expectedGot } from "../errors.ts";
import { keysAt } from "./json-schema.ts";
import { nearestKey } from "./nearest-key.ts";
import type { PlacedValue } from "./placed-value.ts";
import type { KeyPath, Problem } from "./problem.ts";
import { quoteAdvice } from "./syntax-message.ts";

type Issue = z.core.$ZodIssue;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** `[2001:db8::]` is a list of one map to YAML. */
const addressReadAsKey = (value: unknown): string | undefined => {
  const [key, ...others] = isObject(value) && !Array.isArray(value) ? Object.keys(value) : [];
  const matches = key !== undefined && others.length === 0 && /^[0-9a-f:.]*:$/i.test(key);
  return matches && isObject(value) && value[key] === null ? `${key}:` : undefined;
};

const hintFor = (issue: Issue, value: unknown): string | undefined => {
  const address = addressReadAsKey(value);
  const hint =
    address !== undefined ? quoteAdvice(address) : issue.code === "custom" ? issue.params?.["hint"] : undefined;
  return typeof hint === "string" ? hint : undefined;
};

const unknownKey = (key: string, parent: KeyPath, document: PlacedValue): string => {
  const [section, tunnel] = parent;
  const mode =
    section === "tunnels" && tunnel !== undefined ? document.valueAt([section, tunnel, "mode"]).value : undefined;
  const known = keysAt(parent, mode);
  const nearest = nearestKey(key, known);
  return nearest === undefined
    ? `unknown key \`${key}\`, expected one of ${known.map((name) => `\`${name}\``).join(", ")}`
    : `unknown key \`${key}\`, did you mean \`${nearest}\`?`;
};

/**
 * @param issues what zod found in the value at `base`
 * @param base where in the file that value is
 */
export const explain = (issues: readonly Issue[], base: KeyPath, document: PlacedValue): Problem[] => {
  const problems = new Map<string, Problem>();
  const add = (problem: Problem): void => {
    // A value that fails several checks at once is one problem.
    const id = JSON.stringify(problem.path);
    if (!problems.has(id)) {
      problems.set(id, problem);
    }
  };
  for (const issue of issues) {
    const path = [...base, ...(issue.path as (string | number)[])];
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) {
        const place = document.keyPlace([...path, key]);
        add({ code: "ERR_CONFIG_KEY", place, path: [...path, key], message: unknownKey(key, path, document) });
      }
      continue;
    }
    const { present, value } = document.valueAt(path);
    const isEmptyFile = path.length === 0 && value === null;
    const message = isEmptyFile
      ? `expected ${issue.message}, got an empty file`
      : present
        ? expectedGot(issue.message, value, hintFor(issue, value))
        : `${expectedGot(issue.message, undefined)}: the key is required`;
    add({ code: "ERR_CONFIG_VALUE", place: document.valuePlace(path), path, message });
  }
  return [...problems.values()];
};
