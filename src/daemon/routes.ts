/**
 * The routes of one tunnel that carries IP packets: prefixes of the overlay, each with the remote VTEP that it is behind. Their
 * remote VTEPs are held as those of the flood list are; all routes become one list that workers read, replaced by one store.
 */

import { AF_INET } from "../binding/abi.ts";
import type { RouteConfig } from "../config/config.ts";
import { BD_ROUTES } from "../dataplane/bridge-domain.ts";
import { compileRoutes, type Route, routeLength } from "../dataplane/route-table.ts";
import type { Tables } from "../dataplane/tables.ts";
import { parseVtepAddress } from "../dataplane/vtep-address.ts";
import { monotonicS } from "./clock.ts";
import type { RemoteKey, TunnelRemotes } from "./remotes.ts";

export class Routes {
  private readonly tables: Tables;
  private readonly bd: number;
  private readonly remotes: TunnelRemotes;
  private readonly own: { readonly port: number; readonly vni: number };
  private held: readonly RemoteKey[] = [];

  /** @param own the tunnel's UDP port and VNI */
  constructor(tables: Tables, bd: number, remotes: TunnelRemotes, own: { port: number; vni: number }) {
    this.tables = tables;
    this.bd = bd;
    this.remotes = remotes;
    this.own = own;
  }

  /** Replaces all routes at once. @throws ERR_LIMIT, ERR_CONFIG_CONFLICT, then nothing has changed */
  set(wanted: readonly RouteConfig[]): void {
    const { bridgeDomains, floods } = this.tables;
    const nowS = monotonicS();
    const acquired: RemoteKey[] = [];
    let list: number;
    try {
      const routes = wanted.map(({ to, via }): Route => {
        const key = { ...this.own, address: via };
        const remote = this.remotes.acquire(key);
        acquired.push(key);
        return { ...prefixOf(to), remote };
      });
      list = floods.store(compileRoutes(routes), nowS);
    } catch (error) {
      for (const key of acquired) this.remotes.release(key);
      throw error;
    }
    const before = bridgeDomains.get(this.bd, BD_ROUTES);
    bridgeDomains.set(this.bd, BD_ROUTES, list);
    floods.release(before, nowS);
    for (const key of this.held) this.remotes.release(key);
    this.held = acquired;
  }
}

/** @param to canonical `network/prefix` */
const prefixOf = (to: string): Omit<Route, "remote"> => {
  const [network = "", prefix] = to.split("/");
  const { family, mapped } = parseVtepAddress(network);
  return { network: mapped, length: routeLength(family === AF_INET, Number(prefix)) };
};
