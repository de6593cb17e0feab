/**
 * The control API: routes, request checks, problem details and its own OpenAPI description. Speaks HTTP but owns no
 * socket (server.ts does), so a test may also call `fetch` on it.
 */
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import type { Logger } from "pino";
import type { ChangeService } from "../dataplane/change.ts";
import type { DesiredState } from "../dataplane/desired-view.ts";
import type { VtepService } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { limitBodies } from "./body-limit.ts";
import { addCaptureRoutes } from "./capture-routes.ts";
import { addChangeRoutes } from "./change-routes.ts";
import { addDesiredRoutes } from "./desired-routes.ts";
import { addEventRoutes } from "./event-routes.ts";
import { addFdbRoutes } from "./fdb-routes.ts";
import { addHealthRoutes } from "./health-routes.ts";
import { addLinkRoutes } from "./link-routes.ts";
import { addNeighbourRoutes } from "./neighbour-routes.ts";
import { type Peer, peerOf } from "./peer.ts";
import { problem, problemOf, problemResponse } from "./problem.ts";
import { requestProblem } from "./request-problem.ts";
import { addRouteRoutes } from "./route-routes.ts";
import { addStatusRoutes } from "./status-routes.ts";
import { addTraceRoutes } from "./trace-routes.ts";

export interface ApiParts {
  readonly service: VtepService;
  readonly desired: DesiredState;
  readonly changes: ChangeService;
  /** Text of /metrics, in the Prometheus exposition format. */
  readonly metrics: () => Promise<string>;
  readonly log: Logger;
}

/** Reads are frequent and change nothing; writes are what an operator asks about later. */
const isWrite = (method: string): boolean => method !== "GET" && method !== "HEAD";

/** Undefined where no server is in between, as for a test that calls `fetch`. */
const whoAsks = (env: Partial<HttpBindings> | undefined): Peer | undefined =>
  env?.incoming === undefined ? undefined : peerOf(env.incoming.socket);

export const makeApi = ({ service, desired, changes, metrics, log }: ApiParts): OpenAPIHono => {
  const api = new OpenAPIHono({
    defaultHook: (result) => (result.success ? undefined : problemResponse(requestProblem(result))),
  });

  api.use(async (context, next) => {
    const { method, path } = context.req;
    const peer = isWrite(method) ? whoAsks(context.env) : undefined; // before it can be gone
    await next();
    const { status } = context.res;
    if (peer === undefined) log[isWrite(method) ? "info" : "debug"]({ method, path, status }, "control request");
    else log.info({ method, path, status, peer }, "control request");
  });
  api.use(limitBodies());

  addStatusRoutes(api, service);
  addLinkRoutes(api, service, desired);
  addDesiredRoutes(api, service, desired, changes);
  addChangeRoutes(api, changes);
  addFdbRoutes(api, service, changes);
  addNeighbourRoutes(api, service, changes);
  addRouteRoutes(api, service);
  addEventRoutes(api, service);
  addCaptureRoutes(api, service);
  addTraceRoutes(api, service);
  addHealthRoutes(api, service, metrics);
  api.doc31("/openapi.json", {
    openapi: "3.1.0",
    info: { title: "vtepd control API", version: service.status().version },
  });

  api.notFound(({ req }) =>
    problemResponse(
      problem("ERR_USAGE", `no route ${req.method} ${req.path}; /openapi.json lists all`, { status: 404 }),
    ),
  );
  api.onError((error) => {
    if (error instanceof HTTPException) {
      return problemResponse(problem("ERR_USAGE", error.message, { status: error.status }));
    }
    if (!(error instanceof VtepdError)) log.error({ err: error, code: "ERR_INTERNAL" }, "control request failed");
    return problemResponse(problemOf(error));
  });
  return api;
};
