/** POST /v1/changes: many changes in one call, all or none. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Change, ChangeService } from "../dataplane/change.ts";
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

const OneSchema = z
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

const ChangesSchema = z.strictObject({ changes: z.array(OneSchema) }).openapi("Changes");

const run = createRoute({
  method: "post",
  path: "/v1/changes",
  summary: "Many changes, in this order, all or none; those of links come first",
  request: { body: { required: true, content: { "application/json": { schema: ChangesSchema } } } },
  responses: answersNothing("Done"),
});

export const addChangeRoutes = (api: OpenAPIHono, changes: ChangeService): void => {
  api.openapi(run, async (context) => {
    await changes.run(context.req.valid("json").changes);
    return context.body(null, 204);
  });
};
