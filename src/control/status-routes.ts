/** GET /v1/status and GET /v1/stats. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { VtepService } from "../dataplane/view.ts";
import { deviceInQuery } from "./device-parameter.ts";
import { answersJson } from "./responses.ts";
import { linkStatsJson, type StatsJson, type StatusJson, statusJson } from "./stats-json.ts";

const count = (): z.ZodNumber => z.number().int().nonnegative();
const traffic = { packets: count(), bytes: count() };
const counts = (): z.ZodRecord<z.ZodString, z.ZodNumber> => z.record(z.string(), count());

const StatusSchema: z.ZodType<StatusJson> = z
  .object({
    version: z.string(),
    node: z.string(),
    pid: count(),
    uptime: z.number().openapi({ description: "Seconds." }),
    netns: z.string().openapi({ description: "Inode of the daemon's network namespace." }),
    config: z.string(),
    links: count(),
    fdb: z.object({ entries: count(), capacity: count() }),
    offload: z.object({
      tier: z.string(),
      in_use: z.array(z.string()),
      not_in_use: z.record(z.string(), z.string()),
      segment_refused: count(),
      segment_lost: count(),
    }),
    workers: z.array(
      z.object({
        id: count(),
        wakeups: count(),
        batches: count(),
        frames: count(),
        overflow: count(),
        errors: count(),
      }),
    ),
    journal: z
      .object({ path: z.string(), bytes: count(), waiting: count(), failure: z.string().optional() })
      .optional(),
    reload: z.object({
      successful: z.boolean(),
      succeeded: z.number().openapi({ description: "Seconds since 1970." }),
    }),
  })
  .openapi("Status") as z.ZodType<StatusJson>;

const StatsSchema: z.ZodType<StatsJson> = z
  .object({
    links: z.array(
      z.object({
        ifname: z.string(),
        rx: z.object(traffic),
        tx: z.object(traffic),
        flooded: count(),
        reserved_bits: count(),
        fdb: z.object({
          learns: count(),
          moves: count(),
          moves_damped: count(),
          aged: count(),
          full: count(),
          remote_full: count(),
          evicted: count(),
        }),
        neighbour_answers: count(),
        keepalives: count(),
        drops: z.object({ encap: counts(), decap: counts() }),
        remotes: z.array(
          z.object({
            address: z.string(),
            port: count(),
            vni: count(),
            path_mtu: count().optional(),
            learned: count(),
            rx: z.object(traffic),
            tx: z.object(traffic),
          }),
        ),
      }),
    ),
    sockets: z.array(z.object({ socket: z.string(), drops: counts() })).optional(),
  })
  .openapi("Stats") as z.ZodType<StatsJson>;

const showStatus = createRoute({
  method: "get",
  path: "/v1/status",
  summary: "The daemon itself",
  responses: answersJson("Status", StatusSchema),
});

const showStats = createRoute({
  method: "get",
  path: "/v1/stats",
  summary: "Counters of all tunnels and sockets, or of one tunnel",
  request: { query: deviceInQuery() },
  responses: answersJson("Counters", StatsSchema),
});

export const addStatusRoutes = (api: OpenAPIHono, service: VtepService): void => {
  api.openapi(showStatus, (context) => context.json(statusJson(service.status())));
  api.openapi(showStats, (context) => {
    const { dev } = context.req.valid("query");
    const links = service.stats(dev).map(linkStatsJson);
    const answer: StatsJson = dev === undefined ? { links, sockets: service.sockets() } : { links };
    return context.json(answer);
  });
};
