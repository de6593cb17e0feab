/** What the request checks found, as a problem: unknown words are ERR_USAGE, known words with a wrong value ERR_CONFIG_VALUE. */
import type { z } from "@hono/zod-openapi";
import { type Problem, problem } from "./problem.ts";

/** What @hono/zod-openapi hands to its hook when a check failed. */
export interface FailedCheck {
  /** Which part of the request: `json`, `query`, `param`. */
  readonly target: string;
  readonly error: z.ZodError;
}

/** Only the first finding: the next request tells the next one. A body's path starts at its own root. */
export const requestProblem = ({ target, error }: FailedCheck): Problem => {
  const issue = error.issues[0];
  if (issue === undefined) return problem("ERR_USAGE", `the request's ${target} cannot be understood`);
  const base = target === "json" ? [] : [target];
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return problem("ERR_USAGE", `unknown key "${key}"`, { path: [...base, ...issue.path, key].join(".") });
  }
  const path = [...base, ...issue.path].join(".");
  return path === ""
    ? problem("ERR_USAGE", issue.message)
    : problem("ERR_CONFIG_VALUE", `${path}: ${issue.message}`, { path });
};
