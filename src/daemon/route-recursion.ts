/**
 * Routes that lead back into the tunnel: out through a device of ours whose tunnel sends the packet there again, itself or
 * by way of further tunnels, each time with one header more. Tunnels inside tunnels are right as long as some route leads
 * out.
 *
 * The kernel is asked as for a packet of the tunnel's own sockets (an answer costs some ten microseconds). Devices are told
 * by namespace and index, because anybody may move and rename them. Only the devices themselves are recognised: a bridge
 * that has one as a port may lead elsewhere, too. Main thread.
 */
import { setImmediate as turn } from "node:timers/promises";
import { addon } from "../binding/addon.ts";
import type { FloodMember } from "../dataplane/view.ts";
import { parseVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { netnsInode, netnsPath } from "../host/netns.ts";
import { attempt } from "./native-error.ts";
import type { Tunnel } from "./tunnel.ts";

/** A tunnel that packets to the remote VTEP go into. */
interface Way {
  readonly remote: string;
  readonly carrier: Tunnel;
}

/** How a remote VTEP is sent to: by the tunnel's own interface, or by one of its own. */
interface Direction {
  readonly address: string;
  readonly via?: string | undefined;
}

/** Questions to the kernel between two turns of the event loop. */
const PER_TURN = 64;
const OWN_NETNS = "/proc/self/ns/net";

export class RouteRecursion {
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly ownInode = netnsInode(OWN_NETNS) ?? 0;
  /** Tunnels by the place of their device, as of the last look. */
  private carriers: ReadonlyMap<string, Tunnel> = new Map();

  constructor(tunnels: ReadonlyMap<string, Tunnel>) {
    this.tunnels = tunnels;
  }

  /** Looks at all ways. Returns what is wrong, each in words, by tunnel and address of the remote VTEP. */
  async look(): Promise<ReadonlyMap<Tunnel, ReadonlyMap<string, string>>> {
    const tunnels = [...this.tunnels.values()];
    await this.lookAtDevices(tunnels);
    const known = new Map<string, number>();
    const ways = new Map<Tunnel, Way[]>();
    for (const tunnel of tunnels) {
      const found: Way[] = [];
      for (const [n, remote] of directionsOf(tunnel).entries()) {
        if (n % PER_TURN === 0) await turn();
        found.push(...this.waysTo(tunnel, remote, known));
      }
      if (found.length > 0) ways.set(tunnel, found);
    }
    const carriersOf = (tunnel: Tunnel): Tunnel[] => (ways.get(tunnel) ?? []).map(({ carrier }) => carrier);
    const wrong = new Map<Tunnel, Map<string, string>>();
    for (const [tunnel, found] of ways) {
      const back = found.filter(({ carrier }) => leadsTo(carrier, tunnel, carriersOf));
      if (back.length > 0) wrong.set(tunnel, new Map(back.map((way) => [way.remote, wordsOf(way)])));
    }
    return wrong;
  }

  /** @throws ERR_ROUTE_RECURSION when a tunnel has such a way, or as `look` */
  async refuseAny(): Promise<void> {
    for (const [{ config }, wrong] of await this.look()) {
      for (const words of wrong.values()) throw refusal(words, `tunnels.${config.name}`);
    }
  }

  /** Whether a tunnel may have a remote VTEP. @param path of `dst` in the request @throws ERR_ROUTE_RECURSION */
  admit(tunnel: Tunnel, { dst, via }: Pick<FloodMember, "dst" | "via">, path: string): void {
    const { remotes } = tunnel.forwarding;
    if (via === undefined && remotes.has(dst) && !remotes.isRecursive(dst)) return; // most of very many
    for (const address of tunnel.names.addresses(dst)) {
      if (via === undefined && remotes.has(address) && !remotes.isRecursive(address)) continue;
      const back = this.wayBack(tunnel, { address, via });
      if (back !== undefined) throw refusal(wordsOf(back), path);
    }
  }

  /** A VTEP that nobody has looked at was given a slot. */
  met(tunnel: Tunnel, address: string): void {
    if (this.wayBack(tunnel, { address }) !== undefined) tunnel.forwarding.remotes.addRecursive(address);
  }

  private wayBack(tunnel: Tunnel, remote: Direction): Way | undefined {
    const known = new Map<string, number>();
    const carriersOf = (other: Tunnel): Tunnel[] =>
      directionsOf(other).flatMap((direction) => this.waysTo(other, direction, known).map(({ carrier }) => carrier));
    return this.waysTo(tunnel, remote, known).find(({ carrier }) => leadsTo(carrier, tunnel, carriersOf));
  }

  private async lookAtDevices(tunnels: readonly Tunnel[]): Promise<void> {
    const carriers = new Map<string, Tunnel>();
    for (const [n, tunnel] of tunnels.entries()) {
      if (n % PER_TURN === 0) await turn();
      const info = tunnel.device.info();
      if (info !== undefined) carriers.set(placeOf(info.netnsInode, info.ifindex), tunnel);
    }
    this.carriers = carriers;
  }

  /** @param known answers of before, by question */
  private waysTo(tunnel: Tunnel, { address: remote, via }: Direction, known: Map<string, number>): Way[] {
    const { config, endpoints } = tunnel;
    const { family, bytes } = parseVtepAddress(remote);
    const local = endpoints.all.find((endpoint) => endpoint.local.family === family)?.local;
    if (local === undefined) return [];
    const { netnsInode: inode } = endpoints.plan;
    const link = via === undefined ? endpoints.plan.link?.ifindex : tunnel.vias.ifindex(via);
    // A local address that the route told is the one that it tells next.
    const sources = config.locals.includes(local.text) ? [local] : [local, undefined];
    const carriers = sources.map((source) => {
      const question = `${inode} ${config.mark} ${link} ${source?.text} ${remote}`;
      const ifindex = known.get(question) ?? ask(tunnel, link, bytes, source?.bytes);
      known.set(question, ifindex);
      return this.carriers.get(placeOf(inode === 0 ? this.ownInode : inode, ifindex));
    });
    return [...new Set(carriers)].flatMap((carrier) => (carrier === undefined ? [] : [{ remote, carrier }]));
  }
}

/** Each once. */
const directionsOf = ({ forwarding }: Tunnel): Direction[] => [
  ...new Map(forwarding.remotes.list().map((remote) => [`${remote.address} ${remote.via}`, remote])).values(),
];

/** Index of the interface that packets leave by; 0 = the kernel knows no way. */
const ask = (
  { config }: Tunnel,
  link: number | undefined,
  address: Uint8Array,
  source: Uint8Array | undefined,
): number => {
  const lookup = {
    address,
    ...(source === undefined ? {} : { source }),
    ...(config.mark === undefined ? {} : { mark: config.mark }),
    ...(link === undefined ? {} : { link }),
    ...(config.underlayNetns === undefined ? {} : { netns: netnsPath(config.underlayNetns) }),
  };
  try {
    return attempt("route", () => addon.routeInterface(lookup));
  } catch (error) {
    if (error instanceof VtepdError) return 0; // the namespace is gone; the underlay's watch says so
    throw error;
  }
};

/** Whether what goes into one tunnel comes to another, or is in it. */
const leadsTo = (from: Tunnel, to: Tunnel, carriersOf: (tunnel: Tunnel) => readonly Tunnel[]): boolean => {
  const seen = new Set([from]);
  for (const tunnel of seen) {
    if (tunnel === to) return true;
    for (const carrier of carriersOf(tunnel)) seen.add(carrier);
  }
  return false;
};

const placeOf = (inode: number, ifindex: number): string => `${inode} ${ifindex}`;

const wordsOf = ({ remote, carrier }: Way): string =>
  `expected a route to the remote VTEP ${remote} that leads out, got one back into the tunnel, through the device ${carrier.config.name}`;

const refusal = (words: string, path: string): VtepdError =>
  new VtepdError("ERR_ROUTE_RECURSION", `${path}: ${words}`, { path });
