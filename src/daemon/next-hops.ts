/**
 * Next hops of the host's routes as remote VTEPs, as the kernel's tunnels without a remote have them (NBMA): `ip route add
 * 10.2.0.0/16 via 192.0.2.3 dev gre1 onlink` leads to the VTEP 192.0.2.3. A TUN is not told the next hop of a packet, so the
 * routes through the device are read, whenever the host's have changed (underlay-watch.ts), and become routes of the tunnel beside
 * those of its configuration, which win. In IPv6 routes ::a.b.c.d is the VTEP a.b.c.d, as for the kernel's sit.
 *
 * Not for tunnels with `remote` or `group`, where the kernel does not look at next hops either, nor for those that compute
 * theirs (6to4, 6rd, ISATAP). A route with several next hops is left out: the kernel chooses one for each flow and tells nobody.
 */
import { isIPv4, isIPv6 } from "node:net";
import type { Logger } from "pino";
import type { RouteConfig, TunnelConfig } from "../config/config.ts";
import { parseVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { queryIpEach } from "../host/iproute.ts";
import { isEthernet } from "../tunnel/mode.ts";
import { modeOf } from "../tunnel/modes.ts";
import { canReach } from "./admission.ts";
import type { Tunnel } from "./tunnel.ts";

interface RouteRow {
  readonly dst: string;
  readonly gateway?: string;
  /** A next hop of another family. */
  readonly via?: { readonly host: string };
  /** Absent in the main table. */
  readonly table?: string;
  readonly metric?: number;
  /** Absent for unicast. */
  readonly type?: string;
}

const EMBEDDED_IPV4 = /^::(\d+\.\d+\.\d+\.\d+)$/;

/** Whether the next hops of its routes are its remote VTEPs. */
export const hasNextHops = (config: TunnelConfig): boolean => {
  const mode = modeOf(config);
  const isByRoute = !isEthernet(mode) && mode.embedding === undefined && mode.keys.includes("routes");
  return isByRoute && config.remote === undefined && config.group === undefined;
};

export class NextHops {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly log: Logger;
  /** Routes of each tunnel that could not be made, as text: said once. */
  private readonly refused = new WeakMap<Tunnel, string>();

  constructor(tunnels: ReadonlyMap<string, Tunnel>, log: Logger) {
    this.tunnels = tunnels;
    this.log = log;
  }

  /** Makes the tunnels' routes what the host's are now. */
  async follow(): Promise<void> {
    const byNetns = new Map<string | undefined, Tunnel[]>();
    for (const tunnel of this.tunnels.values()) {
      const { netns } = tunnel.config;
      if (hasNextHops(tunnel.config)) byNetns.set(netns, [...(byNetns.get(netns) ?? []), tunnel]);
      else tunnel.followNextHops([]); // One that has got a remote since.
    }
    for (const [netns, tunnels] of byNetns) {
      const lines = tunnels.map(({ config }) => `route show table all dev ${config.name}`);
      const answers = await queryIpEach(lines, netns);
      for (const [index, tunnel] of tunnels.entries()) {
        const rows = answers[index];
        // A device that is gone has no routes, and none that would be missed.
        if (rows !== undefined && !(rows instanceof VtepdError)) this.set(tunnel, rows as readonly RouteRow[]);
      }
    }
  }

  private set(tunnel: Tunnel, rows: readonly RouteRow[]): void {
    const link = tunnel.config.name;
    const routes = routesOf(tunnel, rows);
    const words = routes.map(({ to, via }) => `${to} via ${via}`).join(", ");
    try {
      if (tunnel.followNextHops(routes))
        this.log.info({ link, routes: words }, "next hops of the host's routes have changed");
      this.refused.delete(tunnel);
    } catch (error) {
      if (!(error instanceof VtepdError)) throw error;
      if (this.refused.get(tunnel) === words) return;
      this.refused.set(tunnel, words);
      this.log.warn(
        { link, routes: words, code: error.code, reason: error.message },
        "next hops could not be followed",
      );
    }
  }
}

/** Those with a next hop that the tunnel can send to; of several for one network, what the kernel would take first. */
const routesOf = (tunnel: Tunnel, rows: readonly RouteRow[]): RouteConfig[] => {
  const isOverIpv4 = isIPv4(tunnel.endpoints.all[0]!.local.text);
  const rank = ({ table, metric = 0 }: RouteRow): number => metric + (table === undefined ? 0 : 2 ** 32);
  const found = new Map<string, RouteConfig>();
  for (const { dst, gateway, via, type } of [...rows].sort((a, b) => rank(a) - rank(b))) {
    const text = gateway ?? via?.host;
    if (text === undefined || type !== undefined) continue;
    const next = EMBEDDED_IPV4.exec(text)?.[1] ?? text;
    if (isIPv4(next) !== isOverIpv4 || !canReach(tunnel, parseVtepAddress(next).text)) continue;
    const to = networkOf(dst, gateway !== undefined && isIPv6(gateway));
    if (!found.has(to)) found.set(to, { to, via: parseVtepAddress(next).text });
  }
  return [...found.values()];
};

/** `ip route` shows the network of one address without its prefix, and that of all by a word. */
const networkOf = (dst: string, isIpv6: boolean): string => {
  if (dst === "default") return isIpv6 ? "::/0" : "0.0.0.0/0";
  return dst.includes("/") ? dst : `${dst}/${isIpv6 ? 128 : 32}`;
};
