/** Neighbours: dumps, and those that an operator names in and out. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { NeighbourView, VtepService } from "../dataplane/view.ts";
import { readVtep, VTEP_ADDRESS } from "../dataplane/vtep-text.ts";
import { expectedGot } from "../errors.ts";
import { parseMac, STATION_MAC, stationMacHint } from "../wire/mac.ts";
import { deviceInQuery, nameInPath } from "./device-parameter.ts";
import { type NeighbourJson, neighbourJson } from "./neighbour-json.ts";
import { answersJson, answersNothing } from "./responses.ts";

/** Canonical text. */
const address = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(VTEP_ADDRESS, input) })
    .transform((text, context) => {
      const { address, hint } = readVtep(text);
      if (address !== undefined) return address;
      context.addIssue({ code: "custom", message: expectedGot(VTEP_ADDRESS, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "10.42.0.2" });

const mac = (): z.ZodType<string, string> =>
  z
    .string({ error: ({ input }) => expectedGot(STATION_MAC, input) })
    .transform((text, context) => {
      const hint = stationMacHint(text);
      if (parseMac(text) !== undefined && hint === undefined) return text.toLowerCase();
      context.addIssue({ code: "custom", message: expectedGot(STATION_MAC, text, hint) });
      return z.NEVER;
    })
    .openapi({ example: "02:00:00:00:00:02" });

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

const ChangeSchema = z
  .strictObject({
    verb: z.enum(["add", "replace"]),
    address: address(),
    mac: mac(),
    router: z.boolean({ error: ({ input }) => expectedGot("true or false", input) }).optional(),
  })
  .openapi("NeighbourChange");

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
    body: { required: true, content: { "application/json": { schema: ChangeSchema } } },
  },
  responses: answersNothing("Done"),
});

const remove = createRoute({
  method: "delete",
  path: "/v1/links/{name}/neighbours/{address}",
  summary: "Delete a neighbour",
  request: {
    params: nameInPath().extend({ address: address().openapi({ param: { name: "address", in: "path" } }) }),
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

export const addNeighbourRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(dumpAll, (context) => context.json(json(service.neighbours(context.req.valid("query").dev))));
  api.openapi(change, (context) => {
    const { verb, address, mac, router } = context.req.valid("json");
    service.changeNeighbour(context.req.valid("param").name, verb, { address, mac, router });
    return context.body(null, 204);
  });
  api.openapi(remove, (context) => {
    const { name, address } = context.req.valid("param");
    service.deleteNeighbour(name, address);
    return context.body(null, 204);
  });
  api.openapi(flush, (context) => {
    const flushed = service.flushNeighbours(context.req.valid("param").name, context.req.valid("query").state);
    return context.json({ flushed });
  });
};
