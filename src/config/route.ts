/** Routes of a tunnel: how they are written, and what they cannot be with. */
import type { z } from "zod";
import { isEthernet } from "../tunnel/mode.ts";
import { modeOf } from "../tunnel/modes.ts";
import { vtepAddress } from "./address.ts";
import type { RouteConfig, TunnelConfig, TunnelRouteConfig } from "./config.ts";
import { family } from "./contradictions.ts";
import { checkDirectRouting } from "./direct-routing.ts";
import { key, listOf, map } from "./map.ts";
import { network } from "./network.ts";
import type { ConflictReport, KeyPath } from "./problem.ts";
import { flag } from "./value.ts";

const networkKey = (description: string): z.ZodType<string, string> =>
  key(network("all other packets go to `remote`"), description, { examples: ["10.2.0.0/16"] });
const viaKey = (description: string): z.ZodType<string, string> =>
  key(vtepAddress(), description, { examples: ["192.0.2.3"] });

/** @param to, via what they mean */
export const route = (to: string, via: string): z.ZodType<RouteConfig, unknown> =>
  map({ to: networkKey(to), via: viaKey(via) });

const tunnelRoute: z.ZodType<TunnelRouteConfig, unknown> = map({
  to: networkKey("Network of the overlay."),
  via: viaKey("Remote VTEP that it is behind."),
  gateway: key(
    vtepAddress().optional(),
    "Next hop in the overlay, where the tunnel carries Ethernet frames. Without it, the network's stations themselves are asked for.",
    { examples: ["10.42.0.3"] },
  ),
  "direct-routing": key(
    flag().default(false),
    "While the remote VTEP is on a link of ours, with no router between, the network is routed to it without the tunnel.",
  ),
}).transform(({ to, via, gateway, "direct-routing": mayBeDirect }) => ({ to, via, gateway, mayBeDirect }));

export const routes = (): z.ZodDefault<z.ZodArray<z.ZodType<TunnelRouteConfig, unknown>>> =>
  listOf(tunnelRoute).default([]) as unknown as z.ZodDefault<z.ZodArray<z.ZodType<TunnelRouteConfig, unknown>>>;

const checkGateway = (
  { to, gateway }: TunnelRouteConfig,
  tunnel: TunnelConfig,
  path: KeyPath,
  conflicts: ConflictReport,
): void => {
  if (gateway === undefined) return;
  const { name } = modeOf(tunnel);
  if (!isEthernet(modeOf(tunnel))) {
    conflicts.report(path, `expected no next hop in the overlay as mode ${name} carries IP packets, got ${gateway}`);
  } else if (family(gateway) !== family(to)) {
    conflicts.report(path, `expected a next hop of the family of ${to}, got ${gateway}`);
  }
};

/** Each network once, of a family that the tunnel carries. */
export const checkRoutes = (tunnel: TunnelConfig, path: KeyPath, conflicts: ConflictReport): void => {
  const mode = modeOf(tunnel);
  const owners = new Map<string, KeyPath>();
  for (const [index, route] of tunnel.routes.entries()) {
    const { to } = route;
    const place = [...path, "routes", index, "to"];
    const owner = owners.get(to);
    if (owner === undefined) owners.set(to, place);
    else conflicts.report(place, `expected each network once, got ${to} again: ${conflicts.at(owner)}`);
    checkGateway(route, tunnel, [...path, "routes", index, "gateway"], conflicts);
    if (route.mayBeDirect) checkDirectRouting(route, tunnel, [...path, "routes", index, "direct-routing"], conflicts);
    if (isEthernet(mode) || mode.payloads.includes(family(to) === "IPv6" ? "ipv6" : "ipv4")) continue;
    const other = family(to) === "IPv6" ? "IPv4" : "IPv6";
    conflicts.report(place, `expected an ${other} network as mode ${mode.name} carries ${other}, got ${to}`);
  }
};
