/**
 * Networks behind remote VTEPs that are routed to them without the tunnel, while no router is between (`direct-routing`). Each is one
 * route of the host: by way of the remote VTEP while that is on a link, else through the tunnel's device. Whenever the
 * underlay has changed (underlay-watch.ts) it is made what it should be by one replacement, so there is no time without.
 *
 * On a link means that the route to the remote VTEP is that of a network with no next hop. A default route without next hop says
 * nothing about who is on the link, and the tunnel's own `link`, where it has one, must be that link.
 */
import type { Logger } from "pino";
import type { TunnelConfig, TunnelRouteConfig } from "../config/config.ts";
import type { RouteView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { type Answer, queryIpEach } from "../host/iproute.ts";
import { type OwnRoute, presentRoutes, putRoutes, ROUTE_PROTOCOL, removeRoute } from "../host/own-routes.ts";

/** One network. */
interface Direct {
  readonly tunnel: TunnelConfig;
  readonly route: TunnelRouteConfig;
  /** What was asked of the host last. */
  now: OwnRoute;
  /** Undefined = it is there. */
  problem: VtepdError | undefined;
}

interface WayRow {
  readonly dst?: string;
  readonly dev?: string;
  readonly gateway?: string;
  /** A next hop of another family. */
  readonly via?: unknown;
  readonly nexthops?: unknown;
  /** Absent for unicast. */
  readonly type?: string;
}

/** Equal for what one route stands for. */
const keyOf = ({ tunnel, route }: Pick<Direct, "tunnel" | "route">): string =>
  JSON.stringify([tunnel.netns, tunnel.name, tunnel.link, route]);

const throughTunnel = ({ name }: TunnelConfig, { to, gateway }: TunnelRouteConfig): OwnRoute => ({
  to,
  gateway,
  dev: name,
  isOnLink: true,
});

export class DirectRoutes {
  private readonly log: Logger;
  /** By network namespace. */
  private readonly directs = new Map<string | undefined, Direct[]>();
  private isStopped = false;

  constructor(log: Logger) {
    this.log = log;
  }

  /**
   * Makes the networks those of these tunnels; what no tunnel routes any more is taken away. No `follow` may be running.
   * @throws ERR_HOST_COMMAND, with half of it done: `set` again with the tunnels of before
   */
  async set(tunnels: readonly TunnelConfig[]): Promise<void> {
    const before = new Map(this.all().map((direct) => [keyOf(direct), direct]));
    this.directs.clear();
    for (const tunnel of tunnels) {
      for (const route of tunnel.routes.filter(({ mayBeDirect }) => mayBeDirect)) {
        const known = this.directs.get(tunnel.netns) ?? [];
        const same = before.get(keyOf({ tunnel, route }));
        known.push({ tunnel, route, now: same?.now ?? throughTunnel(tunnel, route), problem: same?.problem });
        this.directs.set(tunnel.netns, known);
      }
    }
    const routed = new Set(tunnels.flatMap(({ netns, routes }) => routes.map(({ to }) => `${netns} ${to}`)));
    for (const { tunnel, now } of before.values()) {
      if (!routed.has(`${tunnel.netns} ${now.to}`)) await removeRoute(now, tunnel.netns);
    }
    await this.follow();
    for (const { problem } of this.all()) if (problem !== undefined) throw problem;
  }

  /** Makes the routes what the underlay wants them to be now. */
  async follow(): Promise<void> {
    for (const [netns, directs] of this.directs) {
      try {
        await this.followIn(netns, directs);
      } catch (error) {
        if (!(error instanceof VtepdError)) throw error;
        for (const direct of directs) this.failed(direct, error);
      }
    }
  }

  /** Those through tunnels go with the tunnels' devices. No `follow` may be running. */
  async stop(): Promise<void> {
    this.isStopped = true;
    for (const { tunnel, now } of this.all()) if (now.dev !== tunnel.name) await removeRoute(now, tunnel.netns);
  }

  list(): RouteView[] {
    return this.all().map(({ tunnel, now, problem }) => ({
      tunnel: tunnel.name,
      to: now.to,
      gateway: now.gateway ?? null,
      dev: now.dev,
      protocol: ROUTE_PROTOCOL,
      isDirect: now.dev !== tunnel.name,
      isPresent: problem === undefined,
    }));
  }

  private all(): Direct[] {
    return [...this.directs.values()].flat();
  }

  private async followIn(netns: string | undefined, directs: readonly Direct[]): Promise<void> {
    const remotes = [...new Set(directs.map(({ route }) => route.via))];
    const answers = await queryIpEach(
      remotes.map((remote) => `route get fibmatch ${remote}`),
      netns,
    );
    const ways = new Map(remotes.map((remote, index) => [remote, answers[index]!]));
    const wanted = new Map(directs.map((direct) => [wantedRoute(direct, ways), direct]));
    const present = await presentRoutes([...wanted.keys()], netns);
    for (const [route, direct] of wanted) {
      if (this.isStopped) return;
      if (present.has(route)) this.done(direct, route);
      else await this.put(direct, route);
    }
  }

  private async put(direct: Direct, route: OwnRoute): Promise<void> {
    try {
      await putRoutes([route], direct.tunnel.netns);
      this.done(direct, route);
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      this.failed(direct, error);
    }
  }

  private done(direct: Direct, route: OwnRoute): void {
    const { tunnel, now, problem } = direct;
    direct.now = route;
    direct.problem = undefined;
    if (problem === undefined && now.dev === route.dev && now.gateway === route.gateway) return;
    const isDirect = route.dev !== tunnel.name;
    this.log.info(
      { link: tunnel.name, to: route.to, via: direct.route.via, dev: route.dev },
      isDirect ? "a network is routed without the tunnel" : "a network is routed through the tunnel",
    );
  }

  private failed(direct: Direct, error: VtepdError): void {
    if (direct.problem === undefined) {
      const { tunnel, route } = direct;
      const fields = { link: tunnel.name, to: route.to, code: error.code, reason: error.message };
      this.log.warn(fields, "a route is missing, and waits");
    }
    direct.problem = error;
  }
}

const wantedRoute = ({ tunnel, route }: Direct, ways: ReadonlyMap<string, Answer>): OwnRoute => {
  const dev = linkOf(ways.get(route.via)!, tunnel);
  return dev === undefined ? throughTunnel(tunnel, route) : { to: route.to, gateway: route.via, dev };
};

/** The link that the remote VTEP is on, if it is on one. */
const linkOf = (answer: Answer, { name, link }: TunnelConfig): string | undefined => {
  const row = Array.isArray(answer) ? (answer[0] as WayRow | undefined) : undefined;
  if (row?.dev === undefined || row.dst === "default" || row.type !== undefined) return undefined;
  if (row.gateway !== undefined || row.via !== undefined || row.nexthops !== undefined) return undefined;
  return row.dev === name || (link !== undefined && link !== row.dev) ? undefined : row.dev;
};
