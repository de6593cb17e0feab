/**
 * What a tunnel needs to know of the host before anything is made: its local address, the interface index behind
 * link-local addresses, and how large its packets may be. Answers are kept for one planning run, because thousands of
 * tunnels ask about the same few remotes.
 */
import type { TunnelConfig } from "../config/schema.ts";
import { parseVtepAddress, type VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { findInterface, lookUpRoute, mtuOfAddress, type UnderlayRoute } from "../host/underlay.ts";
import { vxlanOverheadBytes } from "../tunnel/vxlan.ts";

export interface UnderlayPlan {
  readonly local: VtepAddress;
  /** 0 unless the local address is link-local. */
  readonly scopeId: number;
  /** Of the overlay device, bytes. */
  readonly mtu: number;
}

/** Smallest MTU the kernel lets an Ethernet device have (ETH_MIN_MTU). */
const MIN_MTU = 68;
/** An underlay whose MTU nobody knows. */
const ETHERNET_MTU = 1500;
/** What a TAP allows. */
const MAX_MTU = 65521;

export class UnderlayPlanner {
  private readonly routes = new Map<string, Promise<UnderlayRoute>>();
  private readonly localMtus = new Map<string, Promise<number | undefined>>();
  private readonly interfaces = new Map<string, Promise<{ ifindex: number; mtu: number }>>();

  /** @throws ERR_NO_ROUTE, ERR_INTERFACE_NOT_FOUND, ERR_CONFIG_VALUE, ERR_CONFIG_CONFLICT, ERR_HOST_COMMAND */
  async plan(tunnel: TunnelConfig): Promise<UnderlayPlan> {
    const { link } = tunnel;
    const path = `tunnels.${tunnel.name}`;
    const pinned = link === undefined ? undefined : await this.interface(link);
    const local = parseVtepAddress(tunnel.local ?? (await this.sourceAddress(tunnel, path)));
    if (tunnel.remote === local.text || tunnel.flood.includes(local.text)) {
      const message = `${path}: expected remote VTEPs other than the local address ${local.text}`;
      throw new VtepdError("ERR_CONFIG_CONFLICT", message, { path });
    }
    const linkLocal = local.text.startsWith("fe80:");
    if (linkLocal && pinned === undefined) {
      const message = `${path}.link: expected the underlay interface of the link-local address ${local.text}, got none`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.link` });
    }
    return {
      local,
      scopeId: linkLocal ? pinned!.ifindex : 0,
      mtu: tunnel.mtu ?? (await this.overlayMtu(tunnel, local, pinned?.mtu, path)),
    };
  }

  private async sourceAddress(tunnel: TunnelConfig, path: string): Promise<string> {
    const [remote] = remotesOf(tunnel);
    if (remote === undefined) {
      const message = `${path}.local: expected an address, because there is no remote VTEP whose route would tell it`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.local` });
    }
    return (await this.route(remote, tunnel.link)).source;
  }

  /** The smallest underlay MTU on the way to any remote VTEP, less the encapsulation. */
  private async overlayMtu(
    tunnel: TunnelConfig,
    local: VtepAddress,
    pinnedMtu: number | undefined,
    path: string,
  ): Promise<number> {
    const remotes = remotesOf(tunnel);
    const routes = await Promise.all(remotes.map((remote) => this.route(remote, tunnel.link)));
    const ways = routes.map(({ mtu }) => mtu);
    const known =
      ways.length > 0 ? Math.min(...ways) : (pinnedMtu ?? (await this.localMtu(local.text)) ?? ETHERNET_MTU);
    const mtu = Math.min(known - vxlanOverheadBytes(local.family), MAX_MTU);
    if (mtu < MIN_MTU) {
      const message = `${path}.mtu: the underlay's MTU ${known} leaves ${mtu} bytes, expected at least ${MIN_MTU}`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.mtu` });
    }
    return mtu;
  }

  private route(remote: string, link: string | undefined): Promise<UnderlayRoute> {
    return remember(this.routes, `${remote} ${link ?? ""}`, () => lookUpRoute(remote, link));
  }

  private localMtu(local: string): Promise<number | undefined> {
    return remember(this.localMtus, local, () => mtuOfAddress(local));
  }

  private interface(name: string): Promise<{ ifindex: number; mtu: number }> {
    return remember(this.interfaces, name, () => findInterface(name));
  }
}

const remotesOf = (tunnel: TunnelConfig): string[] => [
  ...new Set([
    ...(tunnel.remote === undefined ? [] : [tunnel.remote]),
    ...tunnel.flood,
    ...tunnel.fdb.map(({ dst }) => dst),
  ]),
];

const remember = <T>(answers: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> => {
  const known = answers.get(key) ?? ask();
  answers.set(key, known);
  return known;
};
