/** Neighbours: dumps, and those that an operator names in and out. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { ChangeService } from "../dataplane/change.ts";
import type { NeighbourView, VtepService } from "../dataplane/view.ts";
import { deviceInQuery, nameInPath } from "./device-parameter.ts";
import { type NeighbourJson, neighbourJson } from "./neighbour-json.ts";
import { NeighbourChangeSchema, neighbourAddress } from "./request-values.ts";
import { answersJson, answersNothing } from "./responses.ts";

const seconds = (description: string): z.ZodNumber => z.number().openapi({ description });

const NeighbourSchema = z
  .object({
    dst: z.string(),
    dev: z.string(),
    lladdr: z.string(),
    router: z.null().optional().openapi({ description: "There when it is a router, as iproute2 has it." }),
    used: seconds("Seconds since it was last heard."),
    updated: seconds("Seconds since it was made or changed."),
    state: z.tuple([z.enum(["PERMANENT", "REACHABLE"])]),
    vtepd: z.object({ owner: z.enum(["config", "control"]) }).optional(),
  })
  .openapi("Neighbour") as z.ZodType<NeighbourJson>;

const dumpAll = createRoute({
  method: "get",
  path: "/v1/neighbours",
  summary: "Neighbours of all tunnels or of one, in the JSON of `ip -s -j neigh show`",
  request: { query: deviceInQuery() },
  responses: answersJson("Neighbours", z.array(NeighbourSchema)),
});

const change = createRoute({
  method: "post",
  path: "/v1/links/{name}/neighbours",
  summary: "Add or replace a neighbour",
  request: {
    params: nameInPath(),
    body: { required: true, content: { "application/json": { schema: NeighbourChangeSchema } } },
  },
  responses: answersNothing("Done"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/links/{name}/neighbours/{address}",
  summary: "Delete a neighbour",
  request: {
    params: nameInPath().extend({ address: neighbourAddress().openapi({ param: { name: "address", in: "path" } }) }),
  },
  responses: answersNothing("Done"),
});

const flush = createRoute({
  method: "delete",
  path: "/v1/links/{name}/neighbours",
  summary: "Delete the learned neighbours, or with `state=all` all of them",
  request: {
    params: nameInPath(),
    query: z.strictObject({
      state: z
        .enum(["learned", "all"])
        .default("learned")
        .openapi({ param: { name: "state", in: "query" } }),
    }),
  },
  responses: answersJson("How many went", z.object({ flushed: z.number().int() })),
});

const json = (neighbours: Iterable<NeighbourView>): NeighbourJson[] => Array.from(neighbours, neighbourJson);

export const addNeighbourRoutes = (api: OpenAPIHono, service: VtepService, changes: ChangeService): void => {
  api.openapi(dumpAll, (context) => context.json(json(service.neighbours(context.req.valid("query").dev))));
  api.openapi(change, async (context) => {
    await changes.run([{ op: "neighbour", dev: context.req.valid("param").name, ...context.req.valid("json") }]);
    return context.body(null, 204);
  });
  api.openapi(remove, async (context) => {
    const { name, address } = context.req.valid("param");
    await changes.run([{ op: "neighbour-del", dev: name, address }]);
    return context.body(null, 204);
  });
  api.openapi(flush, async (context) => {
    const flushed = await changes.flushNeighbours(context.req.valid("param").name, context.req.valid("query").state);
    return context.json({ flushed });
  });
};
