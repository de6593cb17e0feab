/**
 * Routes of the host that we keep. They have a routing protocol number of their own, by which they are found again, also those
 * of a daemon that was killed.
 */
import { batchIp, queryIp } from "./iproute.ts";

/** Of those that rt_protos leaves to the administrator; iproute2 shows it as `proto 178`. */
export const ROUTE_PROTOCOL = 178;

export interface OwnRoute {
  /** Canonical `network/prefix`. */
  readonly to: string;
  /** Next hop; undefined = the network's stations are on the interface. */
  readonly gateway?: string | undefined;
  readonly dev: string;
  /** The next hop is on the interface whatever that one's addresses are. */
  readonly isOnLink?: boolean;
}

interface RouteRow {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
}

/** As `ip route` takes it. */
export const routeWords = ({ to, gateway, dev, isOnLink = false }: OwnRoute): string =>
  `${to}${gateway === undefined ? "" : ` via ${gateway}`} dev ${dev}${gateway !== undefined && isOnLink ? " onlink" : ""}`;

/** Adds them, or puts them in the place of whatever leads to the same networks. @throws ERR_HOST_COMMAND */
export const putRoutes = (routes: readonly OwnRoute[], netns?: string): Promise<void> =>
  batchIp(
    routes.map((route) => `route replace ${routeWords(route)} proto ${ROUTE_PROTOCOL}`),
    netns,
  );

/** One that is gone already is no error. */
export const removeRoute = (route: OwnRoute, netns?: string): Promise<void> =>
  batchIp([`route del ${routeWords(route)} proto ${ROUTE_PROTOCOL}`], netns).catch(() => {});

/** `ip route` shows the network of one address without its prefix. */
const shown = (to: string): string => to.replace(/^([0-9.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2");
const familyOption = (address: string): string => (address.includes(":") ? "-6" : "-4");

/** Which of these are there. @throws ERR_HOST_COMMAND */
export const presentRoutes = async <Route extends OwnRoute>(
  wanted: readonly Route[],
  netns?: string,
): Promise<Set<Route>> => {
  const families = [...new Set(wanted.map(({ to }) => familyOption(to)))];
  const rows = (
    await Promise.all(
      families.map((each) => queryIp<RouteRow>([each, "route", "show", "proto", String(ROUTE_PROTOCOL)], netns)),
    )
  ).flat();
  const isThere = ({ to, gateway, dev }: Route): boolean =>
    rows.some((row) => row.dst === shown(to) && row.gateway === gateway && row.dev === dev);
  return new Set(wanted.filter(isThere));
};
