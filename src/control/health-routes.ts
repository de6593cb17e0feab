/** For programs that watch the daemon: counters, whether it lives, whether its tunnels carry frames. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { VtepService } from "../dataplane/view.ts";
import { answersText } from "./responses.ts";

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const TEXT = "text/plain";

const showMetrics = createRoute({
  method: "get",
  path: "/metrics",
  summary: "Counters in the Prometheus exposition format",
  responses: answersText("Metrics", TEXT),
});

const showHealth = createRoute({
  method: "get",
  path: "/healthz",
  summary: "Whether the daemon answers",
  responses: answersText("`ok`", TEXT),
});

const showReadiness = createRoute({
  method: "get",
  path: "/readyz",
  summary: "Whether all tunnels carry frames",
  responses: answersText("`ok`", TEXT, "A line for each tunnel that does not"),
});

/** @param metrics text of /metrics */
export const addHealthRoutes = (api: OpenAPIHono, service: VtepService, metrics: () => Promise<string>): void => {
  api.openapi(showMetrics, async (context) => context.body(await metrics(), 200, { "content-type": METRICS_TYPE }));
  api.openapi(showHealth, (context) => context.text("ok\n"));
  api.openapi(showReadiness, (context) => {
    const reasons = service.unready();
    return reasons.length === 0 ? context.text("ok\n") : context.text(`${reasons.join("\n")}\n`, 503);
  });
};
