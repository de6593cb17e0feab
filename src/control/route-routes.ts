/** GET /v1/routes: the routes of the host that vtepd keeps, those of `host-gw` and of `direct-routing`. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { VtepService } from "../dataplane/view.ts";
import { answersJson } from "./responses.ts";
import { type RouteJson, routeJson } from "./route-json.ts";

const RouteSchema = z
  .object({
    dst: z.string(),
    gateway: z.string().optional(),
    dev: z.string(),
    protocol: z
      .string()
      .openapi({ description: "Routing protocol number, by which our routes are known.", example: "178" }),
    flags: z.array(z.string()),
    vtepd: z.object({
      tunnel: z.string().openapi({ description: "The name it stands under in the configuration." }),
      way: z.enum(["tunnel", "direct"]),
      state: z.enum(["up", "missing"]),
    }),
  })
  .openapi("Route") as unknown as z.ZodType<RouteJson>;

const listRoutes = createRoute({
  method: "get",
  path: "/v1/routes",
  summary: "The routes of the host that vtepd keeps, in the JSON of `ip -j route show`",
  responses: answersJson("Routes, those of tunnels first", z.array(RouteSchema)),
});

export const addRouteRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(listRoutes, (context) => context.json(service.routes().map(routeJson)));
};
