/** `route`. */
import type { RouteJson } from "../../control/route-json.ts";
import { routeText } from "../route-text.ts";
import { type Commands, print, type Run } from "./call.ts";

const showRoutes: Run = async (call) => {
  const routes = await call.client.getJson<RouteJson[]>("/v1/routes");
  print(call, routes, (all) => all.map((route) => `${routeText(route)}\n`).join(""));
};

export const routeCommands: Commands = { "route show": showRoutes };
