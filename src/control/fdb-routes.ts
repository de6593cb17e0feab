/** The FDB: dumps as streams, single static entries in and out. */
import { isIP } from "node:net";
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { VtepService } from "../dataplane/view.ts";
import { parseMac } from "../wire/mac.ts";
import { deviceInQuery, nameInPath } from "./device-parameter.ts";
import type { FdbJson } from "./fdb-json.ts";
import { fdbStream } from "./fdb-stream.ts";
import { answersNothing, answersStream } from "./responses.ts";

const NDJSON = "application/x-ndjson";
const MAX_VNI = 0xffffff;

const count = (): z.ZodNumber => z.number().int().nonnegative();
const mac = (): z.ZodString =>
  z
    .string()
    .refine((text) => parseMac(text) !== undefined, {
      error: ({ input }) => `expected a MAC address like 02:00:00:00:00:05, got "${input}"`,
    })
    .openapi({ example: "02:00:00:00:00:05" });
const address = (): z.ZodString =>
  z
    .string()
    .refine((text) => isIP(text) !== 0, { error: ({ input }) => `expected an IP address, got "${input}"` })
    .openapi({ example: "192.0.2.2" });

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
    flags: z.tuple([z.literal("self")]),
    state: z.enum(["permanent", ""]).openapi({ description: "Empty for a learned entry." }),
    vtepd: z.object({ owner: z.enum(["config", "control"]) }).optional(),
  })
  .openapi("FdbEntry") as z.ZodType<FdbJson>;

const ChangeSchema = z
  .strictObject({
    verb: z.enum(["add", "append", "replace"]),
    mac: mac(),
    dst: address(),
    port: z.number().int().min(1).max(65535).optional(),
    vni: z.number().int().min(0).max(MAX_VNI).optional(),
  })
  .openapi("FdbChange");

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
    body: { required: true, content: { "application/json": { schema: ChangeSchema } } },
  },
  responses: answersNothing("Done"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/links/{name}/fdb/{mac}",
  summary: "Delete an entry; without `dst` all entries of the MAC",
  request: {
    params: nameInPath().extend({ mac: mac().openapi({ param: { name: "mac", in: "path" } }) }),
    query: z.strictObject({
      dst: address()
        .optional()
        .openapi({ param: { name: "dst", in: "query" } }),
    }),
  },
  responses: answersNothing("Done"),
});

export const addFdbRoutes = (api: OpenAPIHono, service: VtepService): void => {
  const dump = (dev: string | undefined, accept: string | undefined): Response => {
    const lines = accept?.includes(NDJSON) === true;
    const body = fdbStream(service.fdb(dev), { format: lines ? "ndjson" : "json", withDevice: dev === undefined });
    return new Response(body, { headers: { "content-type": lines ? NDJSON : "application/json" } });
  };

  api.openapi(dumpAll, ({ req }) => dump(req.valid("query").dev, req.header("accept")));
  api.openapi(dumpOne, ({ req }) => dump(req.valid("param").name, req.header("accept")));
  api.openapi(change, (context) => {
    const { verb, mac, ...rest } = context.req.valid("json");
    service.changeFdb(context.req.valid("param").name, verb, { mac: mac.toLowerCase(), ...rest });
    return context.body(null, 204);
  });
  api.openapi(remove, (context) => {
    const { name, mac } = context.req.valid("param");
    service.deleteFdb(name, mac.toLowerCase(), context.req.valid("query").dst);
    return context.body(null, 204);
  });
};
