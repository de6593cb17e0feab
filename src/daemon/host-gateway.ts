/**
 * Routes of the host without a tunnel (mode `host-gw`): added at the start, put back whenever somebody has removed them or the
 * interface has come back, removed at the end. What is missing is asked of the kernel after each change that it tells of, and
 * every few seconds in case one went unnoticed.
 */
import type { Logger } from "pino";
import type { HostGatewayConfig } from "../config/config.ts";
import type { RouteView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { queryIp } from "../host/iproute.ts";
import { type OwnRoute, presentRoutes, putRoutes, ROUTE_PROTOCOL, removeRoute } from "../host/own-routes.ts";
import { UnderlayMonitor } from "../host/underlay-monitor.ts";

const SETTLE_MS = 200;
const PERIOD_MS = 5000;

interface RouteRow {
  readonly gateway?: string;
  readonly nexthops?: unknown;
}

interface Wanted extends OwnRoute {
  readonly name: string;
  readonly gateway: string;
  /** Of the configuration. */
  readonly path: string;
}

export class HostGateways {
  private readonly wanted: readonly Wanted[];
  private readonly log: Logger;
  private monitor: UnderlayMonitor | undefined;
  private settling: NodeJS.Timeout | undefined;
  private period: NodeJS.Timeout | undefined;
  private work: Promise<void> = Promise.resolve();
  private isStopped = false;
  /** Paths of those that could not be put back, so that each is told once. */
  private readonly waiting = new Set<string>();

  constructor(gateways: readonly HostGatewayConfig[], log: Logger) {
    this.log = log;
    this.wanted = gateways.flatMap(({ name, link, routes }) =>
      routes.map(({ to, via }, index) => ({
        name,
        to,
        gateway: via,
        dev: link,
        path: `tunnels.${name}.routes[${index}]`,
      })),
    );
  }

  /** @throws ERR_NO_ROUTE for a next hop that is not on its link, ERR_HOST_COMMAND; `stop` takes back what was done */
  async start(): Promise<void> {
    if (this.wanted.length === 0) return;
    for (const route of this.wanted) await expectOnLink(route);
    await putRoutes(this.wanted);
    this.monitor = new UnderlayMonitor(undefined, () => this.changed());
    this.period = setInterval(() => this.look(), PERIOD_MS);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.monitor?.stop();
    clearTimeout(this.settling);
    clearInterval(this.period);
    await this.work;
    for (const route of this.wanted) await removeRoute(route);
  }

  list(): RouteView[] {
    return this.wanted.map(({ name, to, gateway, dev, path }) => ({
      tunnel: name,
      to,
      gateway,
      dev,
      protocol: ROUTE_PROTOCOL,
      isDirect: true,
      isPresent: !this.waiting.has(path),
    }));
  }

  private changed(): void {
    this.settling ??= setTimeout(() => {
      this.settling = undefined;
      this.look();
    }, SETTLE_MS);
  }

  /** One look at a time, in turn. */
  private look(): void {
    this.work = this.work
      .then(() => this.restore())
      .catch((error: unknown) => this.log.warn({ err: error }, "no routes"));
  }

  private async restore(): Promise<void> {
    if (this.isStopped) return;
    const present = await presentRoutes(this.wanted);
    for (const route of this.wanted) {
      if (present.has(route)) this.waiting.delete(route.path);
      else await this.putBack(route);
    }
  }

  private async putBack(route: Wanted): Promise<void> {
    const { to, gateway: via, dev, path } = route;
    try {
      await expectOnLink(route);
      await putRoutes([route]);
      this.waiting.delete(path);
      this.log.info({ to, via, dev }, "a route had vanished and is back");
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      if (this.waiting.has(path)) return;
      this.waiting.add(path);
      this.log.warn({ to, via, dev, code: error.code, reason: error.message }, "a route is missing, and waits");
    }
  }
}

/** @throws ERR_NO_ROUTE, ERR_HOST_COMMAND */
const expectOnLink = async ({ gateway: via, dev, path }: Wanted): Promise<void> => {
  const [family, bits] = via.includes(":") ? ["-6", 128] : ["-4", 32];
  const rows = await queryIp<RouteRow>([family, "route", "show", "match", `${via}/${bits}`, "dev", dev]);
  if (rows.some(({ gateway, nexthops }) => gateway === undefined && nexthops === undefined)) return;
  const message = `${path}.via: expected a next hop on the link ${dev}, got ${via}, which no network there has`;
  throw new VtepdError("ERR_NO_ROUTE", message);
};
