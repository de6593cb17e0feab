/**
 * What the control socket answers when a request fails: RFC 9457 problem details. `code` is the contract, the texts may
 * change. A bug is answered without its message or stack: those are for the log, not for whoever may connect.
 */
import { ERROR_CODES, type ErrorCode, VtepdError } from "../errors.ts";

export const PROBLEM_TYPE = "application/problem+json";

export interface Problem {
  /** `urn:vtepd:error:<code>`. */
  readonly type: string;
  /** The meaning of the code, the same for every problem of that code. */
  readonly title: string;
  readonly status: number;
  /** What was expected and what came, this time. */
  readonly detail: string;
  readonly code: ErrorCode;
  /** Where in the request the wrong value is, e.g. `mac` or `query.dev`. */
  readonly path?: string;
}

export interface ProblemOptions {
  readonly path?: string | undefined;
  /** When HTTP has a more exact word than the error table, e.g. 413. */
  readonly status?: number;
}

export const problem = (code: ErrorCode, detail: string, { path, status }: ProblemOptions = {}): Problem => ({
  type: `urn:vtepd:error:${code}`,
  title: ERROR_CODES[code].meaning,
  status: status ?? ERROR_CODES[code].httpStatus,
  detail,
  code,
  ...(path === undefined ? {} : { path }),
});

/** Anything but a VtepdError is a bug of ours. */
export const problemOf = (error: unknown): Problem =>
  error instanceof VtepdError
    ? problem(error.code, error.message, { path: error.path })
    : problem("ERR_INTERNAL", "vtepd failed unexpectedly; its log has the cause");

export const problemResponse = (body: Problem): Response =>
  new Response(`${JSON.stringify(body)}\n`, { status: body.status, headers: { "content-type": PROBLEM_TYPE } });
