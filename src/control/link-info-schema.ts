/** `linkinfo` of a tunnel in the description of the API: the shapes of vni-info.ts and tunnel-info.ts. */
import { z } from "@hono/zod-openapi";
import type { LinkInfo } from "./link-info.ts";

const count = (): z.ZodNumber => z.number().int().nonnegative();
const on = () => z.literal(true).optional();
const text = () => z.string().optional();

const VniDataSchema = z.object({
  id: count(),
  remote: text(),
  remote6: text(),
  group: text(),
  group6: text(),
  local: text(),
  local6: text(),
  link: text(),
  port_range: z.object({ low: count(), high: count() }),
  port: count(),
  learning: z.boolean(),
  proxy: on(),
  l2miss: on(),
  l3miss: on(),
  tos: text().openapi({ description: "0x1 = the inner packet's." }),
  ttl: count().optional().openapi({ description: "0 = the host's default; absent = the inner packet's." }),
  df: z.enum(["unset", "set", "inherit"]),
  label: text(),
  ageing: count().openapi({ description: "Seconds; 0 = never." }),
  limit: count().optional(),
  udp_csum: z.boolean().optional(),
  udp_zero_csum6_tx: z.boolean().optional(),
  udp_zero_csum6_rx: z.boolean(),
});

const EncapSchema = z.object({
  type: z.string(),
  sport: count().openapi({ description: "0 = by the flow hash." }),
  dport: count(),
  csum: z.boolean(),
  csum6: z.boolean(),
  remcsum: z.literal(false),
});

const TunnelDataSchema = z.object({
  proto: text(),
  remote: z.string(),
  local: z.string(),
  link: text(),
  ttl: count().optional().openapi({ description: "0 = the inner packet's; absent = the host's default." }),
  tos: text(),
  pmtudisc: z.boolean().optional(),
  ignore_df: on(),
  isatap: on(),
  prefix: text(),
  prefixlen: count().optional(),
  relay_prefix: text(),
  relay_prefixlen: count().optional(),
  ip6_tnl_f_ign_encap_limit: on(),
  tclass: text(),
  ip6_tnl_f_use_orig_tclass: on(),
  flowlabel: text(),
  ip6_tnl_f_use_orig_flowlabel: on(),
  ikey: text(),
  okey: text(),
  iseq: on(),
  oseq: on(),
  icsum: on(),
  ocsum: on(),
  fwmark: text(),
  encap: EncapSchema.optional(),
});

export const LinkInfoSchema = z.object({
  info_kind: z.string(),
  info_data: z.union([VniDataSchema, TunnelDataSchema]),
}) as unknown as z.ZodType<LinkInfo>;
