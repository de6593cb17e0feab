/** POST /v1/changes: many changes in one call, all or none. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { Change, ChangeService } from "../dataplane/change.ts";
import { readChangeList } from "./change-list.ts";
import { problemResponse } from "./problem.ts";
import { requestProblem } from "./request-problem.ts";
import {
  FdbChangeSchema,
  fdbMac,
  MemberSchema,
  NeighbourChangeSchema,
  neighbourAddress,
  remoteAddress,
} from "./request-values.ts";
import { answersNothing } from "./responses.ts";

const name = () => z.string();
const settings = () => z.record(z.string(), z.unknown());

/** Exported for tests only. */
export const ChangeSchema: z.ZodType<Change> = z
  .discriminatedUnion("op", [
    FdbChangeSchema.extend({ op: z.literal("fdb"), dev: name() }),
    z.strictObject({ op: z.literal("fdb-del"), dev: name(), mac: fdbMac(), dst: remoteAddress().optional() }),
    MemberSchema.extend({ op: z.literal("flood"), dev: name() }),
    MemberSchema.extend({ op: z.literal("flood-del"), dev: name() }),
    z.strictObject({ op: z.literal("flood-set"), dev: name(), members: z.array(MemberSchema) }),
    NeighbourChangeSchema.extend({ op: z.literal("neighbour"), dev: name() }),
    z.strictObject({ op: z.literal("neighbour-del"), dev: name(), address: neighbourAddress() }),
    z.strictObject({ op: z.literal("link-add"), name: name(), settings: settings() }),
    z.strictObject({ op: z.literal("link-set"), name: name(), settings: settings() }),
    z.strictObject({ op: z.literal("link-del"), name: name() }),
  ])
  .openapi("Change") as unknown as z.ZodType<Change>;

const ChangesSchema = z.strictObject({ changes: z.array(ChangeSchema) }).openapi("Changes");

const JSON_TYPE = /^application\/json\b/i;

const run = createRoute({
  method: "post",
  path: "/v1/changes",
  summary: "Many changes, in this order, all or none; those of links come first",
  request: { body: { required: true, content: { "application/json": { schema: ChangesSchema } } } },
  responses: answersNothing("Done"),
});

export const addChangeRoutes = (api: OpenAPIHono, changes: ChangeService): void => {
  // Not `openapi`, which would check with the schema alone (change-list.ts).
  api.openAPIRegistry.registerPath(run);
  api.post(run.path, async (context) => {
    const isJson = JSON_TYPE.test(context.req.header("content-type") ?? "");
    const body: unknown = isJson
      ? await context.req.json().catch(() => {
          throw new HTTPException(400, { message: "Malformed JSON in request body" });
        })
      : {};
    const list = await readChangeList(body, ChangeSchema, ChangesSchema);
    if (!list.success) return problemResponse(requestProblem({ target: "json", error: list.error }));
    await changes.run(list.data);
    return context.body(null, 204);
  });
};
