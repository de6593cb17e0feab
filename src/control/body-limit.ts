/**
 * How long a request's body may be. One that says its length (node:http holds it to that) is judged by what it says, so that it stays
 * unread and nothing is made of it: hono's own limit, which counts what comes, makes a Request, a stream and an abort signal first,
 * half of what a small change costs. It is for bodies in chunks, and for a Request that no server has read.
 *
 * A body is in memory as a whole until its request is answered, so only a few long ones may be there at a time.
 */
import type { HttpBindings } from "@hono/node-server";
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { problem, problemResponse } from "./problem.ts";

/** Of most requests, and of those that have everything at once. Bytes. */
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_LONG_BODY_BYTES = 32 * MAX_BODY_BYTES;
const LONG_BODIES: readonly string[] = ["/v1/config", "/v1/changes"];
const MAX_LONG_BODIES = 4;

const tooLong = (maxBytes: number): Response =>
  problemResponse(problem("ERR_USAGE", `expected a body of at most ${maxBytes} bytes`, { status: 413 }));

const counted = (maxSize: number): MiddlewareHandler => bodyLimit({ maxSize, onError: () => tooLong(maxSize) });
const [countedLong, countedShort] = [counted(MAX_LONG_BODY_BYTES), counted(MAX_BODY_BYTES)];

/** Bytes that are to come; undefined where that is not known beforehand. */
const saidBytes = ({ env }: Context): number | undefined => {
  const { incoming } = (env ?? {}) as Partial<HttpBindings>;
  if (incoming === undefined || "transfer-encoding" in incoming.headers) return undefined;
  return Number(incoming.headers["content-length"] ?? 0);
};

const limitBody: MiddlewareHandler = (context, next) => {
  const isLong = LONG_BODIES.includes(context.req.path);
  const bytes = saidBytes(context);
  if (bytes === undefined) return (isLong ? countedLong : countedShort)(context, next);
  const maxBytes = isLong ? MAX_LONG_BODY_BYTES : MAX_BODY_BYTES;
  return bytes > maxBytes ? Promise.resolve(tooLong(maxBytes)) : next();
};

/** Without a length it may be as long as any. */
const mayBeLong = (context: Context): boolean =>
  LONG_BODIES.includes(context.req.path) && (saidBytes(context) ?? MAX_LONG_BODY_BYTES) > MAX_BODY_BYTES;

export const limitBodies = (): MiddlewareHandler => {
  let present = 0;
  return async (context, next) => {
    if (!mayBeLong(context)) return limitBody(context, next);
    if (present >= MAX_LONG_BODIES) {
      const detail = `expected at most ${MAX_LONG_BODIES} requests with long bodies at a time`;
      return problemResponse(problem("ERR_CONTROL_SOCKET", detail));
    }
    present++;
    try {
      return await limitBody(context, next);
    } finally {
      present--;
    }
  };
};
