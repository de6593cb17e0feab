/**
 * What a tunnel needs to know of the host before anything is made: its local address, the interface index behind
 * link-local addresses, and how large its packets may be. Answers are kept for one planning run, because thousands of
 * tunnels ask about the same few remotes.
 */
import { AF_INET, AF_INET6 } from "../binding/abi.ts";
import type { TunnelConfig } from "../config/config.ts";
import { parseVtepAddress, type VtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { findInterface, lookUpRoute, mtuOfAddress, type UnderlayRoute } from "../host/underlay.ts";
import { vxlanOverheadBytes } from "../tunnel/vxlan.ts";

export interface LocalAddress {
  readonly address: VtepAddress;
  /** 0 unless the address is link-local. */
  readonly scopeId: number;
}

export interface UnderlayPlan {
  /** One for each address family of the tunnel. */
  readonly locals: readonly LocalAddress[];
  readonly group: VtepAddress | undefined;
  readonly link: { readonly name: string; readonly ifindex: number } | undefined;
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
    const path = `tunnels.${tunnel.name}`;
    const link = tunnel.link === undefined ? undefined : await this.interface(tunnel.link, tunnel.underlayNetns);
    const locals = await this.locals(tunnel, link?.ifindex, path);
    return {
      locals,
      group: tunnel.group === undefined ? undefined : parseVtepAddress(tunnel.group),
      link: link === undefined ? undefined : { name: tunnel.link!, ifindex: link.ifindex },
      mtu: tunnel.mtu ?? (await this.overlayMtu(tunnel, locals, link?.mtu, path)),
    };
  }

  /** Those of the configuration; and for a family without, the address that the host would send from. */
  private async locals(tunnel: TunnelConfig, ifindex: number | undefined, path: string): Promise<LocalAddress[]> {
    const addresses = tunnel.locals.map(parseVtepAddress);
    const remotes = remotesOf(tunnel);
    for (const family of [AF_INET, AF_INET6]) {
      if (addresses.some((address) => address.family === family)) continue;
      const remote = remotes.find((text) => parseVtepAddress(text).family === family);
      if (remote !== undefined) addresses.push(parseVtepAddress((await this.route(remote, tunnel)).source));
    }
    if (addresses.length === 0) {
      const message = `${path}.local: expected an address, because there is no remote VTEP whose route would tell it`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.local` });
    }
    const own = addresses.find(({ text }) => remotes.includes(text));
    if (own !== undefined) {
      const message = `${path}: expected remote VTEPs other than the local address ${own.text}`;
      throw new VtepdError("ERR_CONFIG_CONFLICT", message, { path });
    }
    return addresses.map((address) => ({ address, scopeId: scopeOf(address, ifindex, path) }));
  }

  /** The smallest underlay MTU on the way to any remote VTEP, less the encapsulation. */
  private async overlayMtu(
    tunnel: TunnelConfig,
    locals: readonly LocalAddress[],
    pinnedMtu: number | undefined,
    path: string,
  ): Promise<number> {
    const remotes = [...remotesOf(tunnel)];
    const routes = await Promise.all(
      remotes.map(async (remote) => {
        const { mtu } = await this.route(remote, tunnel);
        return mtu - vxlanOverheadBytes(parseVtepAddress(remote).family);
      }),
    );
    const ways = await Promise.all(
      locals.map(async ({ address: { text, family } }) => {
        const underlay = pinnedMtu ?? (await this.localMtu(text, tunnel.underlayNetns)) ?? ETHERNET_MTU;
        return underlay - vxlanOverheadBytes(family);
      }),
    );
    const mtu = Math.min(...(routes.length > 0 ? routes : ways), MAX_MTU);
    if (mtu < MIN_MTU) {
      const message = `${path}.mtu: the underlay's MTU leaves ${mtu} bytes, expected at least ${MIN_MTU}`;
      throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.mtu` });
    }
    return mtu;
  }

  private route(remote: string, { link, underlayNetns }: TunnelConfig): Promise<UnderlayRoute> {
    const key = `${remote} ${link ?? ""} ${underlayNetns ?? ""}`;
    return remember(this.routes, key, () => lookUpRoute(remote, link, underlayNetns));
  }

  private localMtu(local: string, netns: string | undefined): Promise<number | undefined> {
    return remember(this.localMtus, `${local} ${netns ?? ""}`, () => mtuOfAddress(local, netns));
  }

  private interface(name: string, netns: string | undefined): Promise<{ ifindex: number; mtu: number }> {
    return remember(this.interfaces, `${name} ${netns ?? ""}`, () => findInterface(name, netns));
  }
}

/** The group is one: it has a route, and a source address. */
const remotesOf = (tunnel: TunnelConfig): string[] => [
  ...new Set([
    ...(tunnel.remote === undefined ? [] : [tunnel.remote]),
    ...(tunnel.group === undefined ? [] : [tunnel.group]),
    ...tunnel.flood,
    ...tunnel.fdb.map(({ dst }) => dst),
  ]),
];

const scopeOf = ({ text }: VtepAddress, ifindex: number | undefined, path: string): number => {
  if (!text.startsWith("fe80:")) return 0;
  if (ifindex !== undefined) return ifindex;
  const message = `${path}.link: expected the underlay interface of the link-local address ${text}, got none`;
  throw new VtepdError("ERR_CONFIG_VALUE", message, { path: `${path}.link` });
};

const remember = <T>(answers: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> => {
  const known = answers.get(key) ?? ask();
  answers.set(key, known);
  return known;
};
