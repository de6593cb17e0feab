/** Tunnels: dumps, and reading their keys again. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { DesiredState } from "../dataplane/desired-view.ts";
import type { LinkStats, LinkView, VtepService } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { nameInPath } from "./device-parameter.ts";
import { LinkInfoSchema } from "./link-info-schema.ts";
import { type LinkJson, linkJson } from "./link-json.ts";
import { answersJson, answersNothing } from "./responses.ts";

const count = (): z.ZodNumber => z.number().int().nonnegative();

const shared = { bytes: count(), packets: count(), errors: count(), dropped: count() };

const rates = { broadcast: count().optional(), multicast: count().optional(), "unknown-unicast": count().optional() };

export const LinkSchema: z.ZodType<LinkJson> = z
  .object({
    ifindex: count(),
    ifname: z.string(),
    flags: z.array(z.string()),
    mtu: count(),
    operstate: z.enum(["UNKNOWN", "DOWN", "NOTPRESENT"]),
    link_type: z.enum(["ether", "none"]),
    address: z.string().optional(),
    linkinfo: LinkInfoSchema,
    stats64: z.object({
      rx: z.object({ ...shared, over_errors: count(), multicast: count() }),
      tx: z.object({ ...shared, carrier_errors: count(), collisions: count() }),
    }),
    vtepd: z.object({
      tunnel: z.string().optional(),
      state: z.enum(["up", "gone"]),
      queues: count(),
      offload: z.string(),
      receive: z.enum(["socket", "packet"]),
      kernel_modules: z.array(z.string()),
      netns: z.string().nullable(),
      netns_inode: z.string().nullable(),
      underlay_netns: z.string().nullable(),
      underlay: z.object({
        state: z.enum(["up", "degraded"]),
        code: z.string().optional(),
        reason: z.string().optional(),
      }),
      accept: z.enum(["known", "any"]),
      fwmark: count().nullable(),
      unknown_unicast: z.enum(["flood", "drop"]),
      policers: z
        .object({ ...rates, "per-source": z.object(rates).optional() })
        .openapi({ description: "Flooded frames a second, of the classes that have a limit." }),
      oversize: z.enum(["icmp", "fragment", "drop"]),
      mss_clamp: z.union([z.enum(["off", "auto"]), count()]),
      vlan: z.enum(["pass", "strip", "drop"]),
      flood: z.array(z.string()),
      routes: z.array(
        z.object({
          to: z.string(),
          via: z.string(),
          gateway: z.string().optional(),
          "direct-routing": z.literal(true).optional(),
        }),
      ),
      names: z.array(z.object({ name: z.string(), addresses: z.array(z.string()) })),
      fdb: z.object({ learned: count(), static: count() }),
      limit_per_remote: count().nullable(),
      eviction: z.enum(["fair", "none"]),
      move_damping: z.boolean(),
    }),
  })
  .openapi("Link") as unknown as z.ZodType<LinkJson>;

const listLinks = createRoute({
  method: "get",
  path: "/v1/links",
  summary: "All tunnels, in the JSON of `ip -d -s -j link show`",
  responses: answersJson("Tunnels in the order of creation", z.array(LinkSchema)),
});

const showLink = createRoute({
  method: "get",
  path: "/v1/links/{name}",
  summary: "One tunnel",
  request: { params: nameInPath() },
  responses: answersJson("The tunnel", LinkSchema),
});

const rekey = createRoute({
  method: "put",
  path: "/v1/links/{name}/associations",
  summary: "Make the security associations what the tunnel's key file has now",
  request: { params: nameInPath() },
  responses: answersNothing("Done"),
});

export const linkWithStats = (link: LinkView, all: readonly LinkStats[]): LinkJson => {
  const stats = all.find(({ name }) => name === link.name);
  if (stats === undefined) throw new VtepdError("ERR_INTERNAL", `tunnel ${link.name} has no counters`);
  return linkJson(link, stats);
};

export const addLinkRoutes = (api: OpenAPIHono, service: VtepService, desired: DesiredState): void => {
  api.openapi(listLinks, (context) => {
    const stats = service.stats();
    return context.json(service.links().map((link) => linkWithStats(link, stats)));
  });
  api.openapi(showLink, (context) => {
    const { name } = context.req.valid("param");
    const reason = desired.waiting(name);
    if (reason !== undefined) throw reason;
    const link = service.link(name);
    return context.json(linkWithStats(link, service.stats(link.name)));
  });
  api.openapi(rekey, (context) => {
    service.rekey(context.req.valid("param").name);
    return context.body(null, 204);
  });
};
