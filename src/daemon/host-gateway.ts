/**
 * Routes of the host without a tunnel (mode `host-gw`): added at the start, put back whenever somebody has removed them or the
 * interface has come back, removed at the end. Ours have a routing protocol number of their own, so that those that a daemon
 * left behind that was killed are known; what is missing is asked of the kernel after each change that it tells of, and every
 * few seconds in case one went unnoticed.
 */
import type { Logger } from "pino";
import type { HostGatewayConfig, RouteConfig } from "../config/config.ts";
import { VtepdError } from "../errors.ts";
import { batchIp, queryIp } from "../host/iproute.ts";
import { UnderlayMonitor } from "../host/underlay-monitor.ts";

/** Of those that rt_protos leaves to the administrator; iproute2 shows it as `proto 178`. */
const PROTOCOL = 178;
const SETTLE_MS = 200;
const PERIOD_MS = 5000;

interface RouteRow {
  readonly dst: string;
  readonly gateway?: string;
  readonly nexthops?: unknown;
  readonly dev?: string;
}

interface Wanted extends RouteConfig {
  readonly link: string;
  /** Of the configuration. */
  readonly path: string;
}

const family = (address: string): string => (address.includes(":") ? "-6" : "-4");
/** `ip route` shows the network of one address without its prefix. */
const shown = (to: string): string => to.replace(/^([0-9.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2");
const line = (verb: "replace" | "del", { to, via, link }: Wanted): string =>
  `route ${verb} ${to} via ${via} dev ${link} proto ${PROTOCOL}`;

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
      routes.map((route, index) => ({ ...route, link, path: `tunnels.${name}.routes[${index}]` })),
    );
  }

  /** @throws ERR_NO_ROUTE for a next hop that is not on its link, ERR_HOST_COMMAND; `stop` takes back what was done */
  async start(): Promise<void> {
    if (this.wanted.length === 0) return;
    for (const route of this.wanted) await expectOnLink(route);
    await batchIp(this.wanted.map((route) => line("replace", route)));
    this.monitor = new UnderlayMonitor(undefined, () => this.changed());
    this.period = setInterval(() => this.look(), PERIOD_MS);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.monitor?.stop();
    clearTimeout(this.settling);
    clearInterval(this.period);
    await this.work;
    for (const route of this.wanted) await batchIp([line("del", route)]).catch(() => {}); // gone already
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
    const rows = await this.present();
    for (const route of this.wanted) {
      if (rows.some((row) => isOf(row, route))) this.waiting.delete(route.path);
      else await this.putBack(route);
    }
  }

  private async present(): Promise<RouteRow[]> {
    const families = [...new Set(this.wanted.map(({ to }) => family(to)))];
    const rows = families.map((each) => queryIp<RouteRow>([each, "route", "show", "proto", String(PROTOCOL)]));
    return (await Promise.all(rows)).flat();
  }

  private async putBack(route: Wanted): Promise<void> {
    const { to, via, link, path } = route;
    try {
      await expectOnLink(route);
      await batchIp([line("replace", route)]);
      this.waiting.delete(path);
      this.log.info({ to, via, dev: link }, "a route had vanished and is back");
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      if (this.waiting.has(path)) return;
      this.waiting.add(path);
      this.log.warn({ to, via, dev: link, code: error.code, reason: error.message }, "a route is missing, and waits");
    }
  }
}

const isOf = (row: RouteRow, { to, via, link }: Wanted): boolean =>
  row.dst === shown(to) && row.gateway === via && row.dev === link;

/** @throws ERR_NO_ROUTE, ERR_HOST_COMMAND */
const expectOnLink = async ({ via, link, path }: Wanted): Promise<void> => {
  const bits = via.includes(":") ? 128 : 32;
  const rows = await queryIp<RouteRow>([family(via), "route", "show", "match", `${via}/${bits}`, "dev", link]);
  if (rows.some(({ gateway, nexthops }) => gateway === undefined && nexthops === undefined)) return;
  const message = `${path}.via: expected a next hop on the link ${link}, got ${via}, which no network there has`;
  throw new VtepdError("ERR_NO_ROUTE", message);
};
