/** The answers of a route as OpenAPI wants them: a success, and a problem for everything else. */
import { z } from "@hono/zod-openapi";
import { PROBLEM_TYPE } from "./problem.ts";

const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    path: z.string().optional(),
  })
  .openapi("Problem");

type Content = Record<string, { schema: z.ZodType }>;

export interface RouteResponses {
  [status: string]: { description: string; content?: Content };
}

const refusal: RouteResponses = {
  default: { description: "Problem details, RFC 9457", content: { [PROBLEM_TYPE]: { schema: ProblemSchema } } },
};

export const answersJson = (description: string, schema: z.ZodType): RouteResponses => ({
  200: { description, content: { "application/json": { schema } } },
  ...refusal,
});

export const answersMade = (description: string, schema: z.ZodType): RouteResponses => ({
  201: { description, content: { "application/json": { schema } } },
  ...refusal,
});

export const answersNothing = (description: string): RouteResponses => ({ 204: { description }, ...refusal });

/** Bytes of a format of their own. */
export const answersBytes = (description: string, type: string): RouteResponses => ({
  200: { description, content: { [type]: { schema: z.string().openapi({ format: "binary" }) } } },
  ...refusal,
});

/** Text, and with 503 why not. */
export const answersText = (description: string, type: string, unavailable?: string): RouteResponses => ({
  200: { description, content: { [type]: { schema: z.string() } } },
  ...(unavailable === undefined
    ? {}
    : { 503: { description: unavailable, content: { [type]: { schema: z.string() } } } }),
  ...refusal,
});

/** A stream of lines, or with `Accept: text/event-stream` of server-sent events. */
export const answersEvents = (description: string, event: z.ZodType): RouteResponses => ({
  200: { description, content: { "application/x-ndjson": { schema: event }, "text/event-stream": { schema: event } } },
  ...refusal,
});

/** One array, or with `Accept: application/x-ndjson` one entry a line. */
export const answersStream = (description: string, entry: z.ZodType): RouteResponses => ({
  200: {
    description,
    content: { "application/json": { schema: z.array(entry) }, "application/x-ndjson": { schema: entry } },
  },
  ...refusal,
});
