/** The FDB: dumps as streams, single static entries in and out. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ChangeService } from "../dataplane/change.ts";
import type { VtepService } from "../dataplane/view.ts";
import { deviceInQuery, nameInPath } from "./device-parameter.ts";
import type { FdbJson } from "./fdb-json.ts";
import { fdbStream } from "./fdb-stream.ts";
import { FdbChangeSchema, fdbMac, interfaceName, MAX_VNI, MemberSchema, remoteAddress } from "./request-values.ts";
import { answersJson, answersNothing, answersStream } from "./responses.ts";

const NDJSON = "application/x-ndjson";
const MAX_SECONDS = 2_147_483_647;

const count = (): z.ZodNumber => z.number().int().nonnegative();

const EntrySchema = z
  .object({
    mac: z.string(),
    ifname: z.string().optional(),
    dst: z.string(),
    port: count().optional(),
    vni: count().optional(),
    viaIf: z.string().optional(),
    used: z.number().openapi({ description: "Seconds since the last hit." }),
    updated: z.number().openapi({ description: "Seconds since it was made or moved." }),
    flags: z.union([z.tuple([z.literal("self")]), z.tuple([z.literal("self"), z.literal("sticky")])]),
    state: z.enum(["permanent", ""]).openapi({ description: "Empty for a learned entry." }),
    vtepd: z.object({ owner: z.enum(["config", "control", "learned"]), name: z.string().optional() }).optional(),
  })
  .openapi("FdbEntry") as z.ZodType<FdbJson>;

const dumpAll = createRoute({
  method: "get",
  path: "/v1/fdb",
  summary: "FDB of all tunnels or of one, in the JSON of `bridge -s -j fdb show`",
  request: { query: deviceInQuery() },
  responses: answersStream("Entries", EntrySchema),
});

const dumpOne = createRoute({
  method: "get",
  path: "/v1/links/{name}/fdb",
  summary: "FDB of one tunnel",
  request: { params: nameInPath() },
  responses: answersStream("Entries", EntrySchema),
});

const change = createRoute({
  method: "post",
  path: "/v1/links/{name}/fdb",
  summary: "Add, append or replace a static entry; a zero MAC is a flood-list member",
  request: {
    params: nameInPath(),
    body: { required: true, content: { "application/json": { schema: FdbChangeSchema } } },
  },
  responses: answersNothing("Done"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/links/{name}/fdb/{mac}",
  summary: "Delete an entry; without `dst` all entries of the MAC",
  request: {
    params: nameInPath().extend({ mac: fdbMac().openapi({ param: { name: "mac", in: "path" } }) }),
    query: z.strictObject({
      dst: remoteAddress()
        .optional()
        .openapi({ param: { name: "dst", in: "query" } }),
    }),
  },
  responses: answersNothing("Done"),
});

const number = (name: string, min: number, max: number) =>
  z
    .string()
    .refine((text) => /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: ({ input }) => `expected an integer from ${min} to ${max}, got "${input}"`,
    })
    .transform(Number)
    .optional()
    .openapi({ param: { name, in: "query" }, type: "integer" });

const flush = createRoute({
  method: "delete",
  path: "/v1/links/{name}/fdb",
  summary: "Delete all entries that meet every condition; without `state` learned ones only. Flood-list members stay",
  request: {
    params: nameInPath(),
    query: z.strictObject({
      mac: fdbMac()
        .optional()
        .openapi({ param: { name: "mac", in: "query" } }),
      dst: remoteAddress()
        .optional()
        .openapi({ param: { name: "dst", in: "query" } }),
      port: number("port", 1, 65_535),
      vni: number("vni", 0, MAX_VNI),
      state: z
        .enum(["learned", "static", "all"])
        .optional()
        .openapi({ param: { name: "state", in: "query" } }),
      idle: number("idle", 0, MAX_SECONDS).openapi({ description: "Seconds since the last hit, at least." }),
      age: number("age", 0, MAX_SECONDS).openapi({ description: "Seconds since it was made or moved, at least." }),
    }),
  },
  responses: answersJson("How many went", z.object({ flushed: count() })),
});

const showFlood = createRoute({
  method: "get",
  path: "/v1/links/{name}/flood",
  summary: "The flood list",
  request: { params: nameInPath() },
  responses: answersJson("Its members, in order", z.array(MemberSchema)),
});

const replaceFlood = createRoute({
  method: "put",
  path: "/v1/links/{name}/flood",
  summary: "Replace the flood list as a whole; a frame goes to all of the old list or to all of the new one",
  request: {
    params: nameInPath(),
    body: { required: true, content: { "application/json": { schema: z.array(MemberSchema) } } },
  },
  responses: answersNothing("Done"),
});

const addFlood = createRoute({
  method: "post",
  path: "/v1/links/{name}/flood",
  summary: "Add a member to the flood list; one that is there already stays as it is",
  request: {
    params: nameInPath(),
    body: { required: true, content: { "application/json": { schema: MemberSchema } } },
  },
  responses: answersNothing("Done"),
});

const removeFlood = createRoute({
  method: "delete",
  path: "/v1/links/{name}/flood",
  summary: "Delete one member of the flood list",
  request: {
    params: nameInPath(),
    query: z.strictObject({
      dst: remoteAddress().openapi({ param: { name: "dst", in: "query" } }),
      port: number("port", 1, 65_535),
      vni: number("vni", 0, MAX_VNI),
      via: interfaceName()
        .optional()
        .openapi({ param: { name: "via", in: "query" } }),
    }),
  },
  responses: answersNothing("Done"),
});

export const addFdbRoutes = (api: OpenAPIHono, service: VtepService, changes: ChangeService): void => {
  const dump = (dev: string | undefined, accept: string | undefined): Response => {
    const lines = accept?.includes(NDJSON) === true;
    const body = fdbStream(service.fdb(dev), { format: lines ? "ndjson" : "json", withDevice: dev === undefined });
    return new Response(body, { headers: { "content-type": lines ? NDJSON : "application/json" } });
  };

  api.openapi(dumpAll, ({ req }) => dump(req.valid("query").dev, req.header("accept")));
  api.openapi(dumpOne, ({ req }) => dump(req.valid("param").name, req.header("accept")));
  api.openapi(change, async (context) => {
    const { name } = context.req.valid("param");
    await changes.run([{ op: "fdb", dev: name, ...context.req.valid("json") }]);
    return context.body(null, 204);
  });
  api.openapi(flush, async (context) => {
    const { idle, age, ...rest } = context.req.valid("query");
    const filter = { ...rest, idleS: idle, ageS: age };
    return context.json({ flushed: await changes.flushFdb(context.req.valid("param").name, filter) });
  });
  api.openapi(showFlood, (context) => context.json(service.flood(context.req.valid("param").name)));
  api.openapi(replaceFlood, async (context) => {
    const { name } = context.req.valid("param");
    await changes.run([{ op: "flood-set", dev: name, members: context.req.valid("json") }]);
    return context.body(null, 204);
  });
  api.openapi(addFlood, async (context) => {
    const { name } = context.req.valid("param");
    await changes.run([{ op: "flood", dev: name, ...context.req.valid("json") }]);
    return context.body(null, 204);
  });
  api.openapi(removeFlood, async (context) => {
    await changes.run([{ op: "flood-del", dev: context.req.valid("param").name, ...context.req.valid("query") }]);
    return context.body(null, 204);
  });
  api.openapi(remove, async (context) => {
    const { name, mac } = context.req.valid("param");
    await changes.run([{ op: "fdb-del", dev: name, mac, dst: context.req.valid("query").dst }]);
    return context.body(null, 204);
  });
};
