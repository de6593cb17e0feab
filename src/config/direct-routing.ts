/** Networks that are routed without the tunnel while their remote VTEP is on a link of ours: what that cannot be with. */
import type { HostGatewayConfig, TunnelConfig, TunnelRouteConfig } from "./config.ts";
import { family } from "./contradictions.ts";
import { networkOf } from "./network.ts";
import { type ConflictReport, type KeyPath, pathText } from "./problem.ts";

/** Of one route with its tunnel. */
export const checkDirectRouting = (
  { to, via }: TunnelRouteConfig,
  tunnel: TunnelConfig,
  path: KeyPath,
  conflicts: ConflictReport,
): void => {
  const own = tunnel.addresses.findIndex((address) => networkOf(address) === to);
  if (family(to) !== family(via)) {
    const wanted = `expected a network and a remote VTEP of one family, as ${via} is the next hop then`;
    conflicts.report(path, `${wanted}, got ${to}`);
  } else if (tunnel.netns !== tunnel.underlayNetns) {
    const key = tunnel.netns === undefined ? "underlay-netns" : "netns";
    const at = conflicts.at(["tunnels", tunnel.name, key]);
    conflicts.report(path, `expected the device in the namespace of the underlay, got one in another: ${at}`);
  } else if (own >= 0) {
    const at = conflicts.at(["tunnels", tunnel.name, "addresses", own]);
    conflicts.report(path, `expected a network that the device has no address in, got ${to}: ${at}`);
  }
};

interface Claim {
  readonly to: string;
  readonly netns: string | undefined;
  readonly path: KeyPath;
  /** Whether we put it back when somebody else changes it. */
  readonly isKept: boolean;
}

/** A network that two routes of ours lead to would be fought for. @param report told of each problem with its place */
export const checkKeptRoutes = (
  tunnels: readonly TunnelConfig[],
  gateways: readonly HostGatewayConfig[],
  report: (path: KeyPath, message: string) => void,
): void => {
  const claims = [
    ...tunnels.flatMap(({ name, netns, routes }) =>
      routes.map(({ to, mayBeDirect }, index): Claim => {
        return { to, netns, path: ["tunnels", name, "routes", index, "to"], isKept: mayBeDirect };
      }),
    ),
    ...gateways.flatMap(({ name, routes }) =>
      routes.map(({ to }, index): Claim => {
        return { to, netns: undefined, path: ["tunnels", name, "routes", index, "to"], isKept: true };
      }),
    ),
  ];
  const owners = new Map<string, Claim>();
  for (const claim of claims) {
    const { to, netns, path } = claim;
    const place = `${to} ${netns}`;
    const owner = owners.get(place);
    if (owner === undefined) owners.set(place, claim);
    else if (path[1] !== owner.path[1] && (claim.isKept || owner.isKept)) {
      report(path, `expected each network in one tunnel, got ${to} again: ${pathText(owner.path)}`);
    }
  }
};
