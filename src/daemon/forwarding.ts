/**
 * What an operator says about one tunnel's forwarding: its flood list and its static FDB entries, kept as they were asked
 * for, and written through to the tables the workers read. Learned entries live only in the tables. Each change happens
 * whole or not at all.
 */
import type { Tables } from "../dataplane/tables.ts";
import type { FdbRequest } from "../dataplane/view.ts";
import { monotonicS } from "./clock.ts";
import { type EntryEars, NOBODY } from "./entry-ears.ts";
import { type Addresses, FLOOD_MAC, FloodList } from "./flood-list.ts";
import type { TunnelRemotes } from "./remotes.ts";
import { StaticEntries } from "./static-entries.ts";
import { type Owner, type Wish, wishText } from "./wish.ts";

/** What an entry that does not say otherwise has. */
export interface Own {
  readonly port: number;
  readonly vni: number;
  /** Underlay interface that the tunnel is pinned to. */
  readonly link?: string | undefined;
}

const NOTHING = {};

const given = <Key extends string, Value>(key: Key, value: Value | undefined): { [key in Key]?: Value } =>
  value === undefined ? {} : ({ [key]: value } as { [key in Key]: Value });

export class Forwarding {
  private readonly own: Own;
  readonly remotes: TunnelRemotes;
  readonly flood: FloodList;
  readonly statics: StaticEntries;
  /** By destination, what was asked for in second `sharedS`: a hundred thousand entries of one call lead to few. */
  private readonly shared = new Map<string, Wish>();
  private sharedS = 0;

  /** @param name the tunnel's */
  constructor(
    name: string,
    tables: Tables,
    bd: number,
    remotes: TunnelRemotes,
    addresses: Addresses,
    own: Own,
    ears: EntryEars = NOBODY,
  ) {
    this.remotes = remotes;
    this.own = own;
    this.flood = new FloodList(name, tables, bd, remotes, addresses, ears);
    this.statics = new StaticEntries(name, tables, bd, remotes, addresses, ears);
  }

  /** @param request checked: canonical addresses, MAC in lower case. @throws ERR_FDB_ENTRY_EXISTS, ERR_LIMIT */
  change(verb: "add" | "append" | "replace", request: FdbRequest, owner: Owner): void {
    if (request.mac === FLOOD_MAC) this.flood.change(verb, this.toWish(request, owner));
    else this.statics.change(verb, request.mac, this.sharedWish(request, owner));
  }

  /** Makes the static entries of the configuration these. @param requests without flood-list members @throws ERR_LIMIT */
  configure(requests: readonly FdbRequest[]): void {
    const wanted = new Map(requests.map((request) => [request.mac, this.toWish(request, "config", true)]));
    for (const mac of this.statics.macs()) {
      const { wish } = this.statics.get(mac)!;
      const next = wanted.get(mac);
      const isSame = next !== undefined && wishText(next) === wishText(wish) && next.isSticky === wish.isSticky;
      if (isSame && wish.owner === "config") wanted.delete(mac);
      else if (next === undefined && wish.owner === "config") this.statics.delete(mac, undefined);
    }
    for (const [mac, wish] of wanted) this.statics.change("replace", mac, wish);
  }

  /** One object for what is equal, where entries say nothing but where they lead. */
  private sharedWish(request: FdbRequest, owner: Owner): Wish {
    const { dst, port, vni, via, sticky } = request;
    if ((port ?? vni ?? via ?? sticky) !== undefined || owner !== "control") return this.toWish(request, owner, true);
    const nowS = monotonicS();
    if (nowS !== this.sharedS) this.shared.clear();
    this.sharedS = nowS;
    const wish = this.shared.get(dst) ?? this.toWish(request, owner, true);
    this.shared.set(dst, wish);
    return wish;
  }

  /** A request with the tunnel's own UDP port and VNI filled in. Its own interface is no `via`. */
  toWish({ dst, port, vni, via, sticky }: Omit<FdbRequest, "mac">, owner: Owner, isSingle = false): Wish {
    const isPlain = port === undefined && vni === undefined && via === undefined;
    return {
      dst,
      said: isPlain ? NOTHING : { ...given("port", port), ...given("vni", vni), ...given("via", via) },
      port: port ?? this.own.port,
      vni: vni ?? this.own.vni,
      via: via === this.own.link ? undefined : via,
      owner,
      sinceS: monotonicS(),
      isSingle,
      isSticky: sticky === true,
    };
  }

  /** Without what says the same as nothing: the tunnel's own port, VNI and interface. */
  withoutOwn<Request extends Pick<FdbRequest, "port" | "vni" | "via">>(request: Request): Request {
    const { port, vni, via } = request;
    const { own } = this;
    const isOwn = (value: unknown, mine: unknown): boolean => value !== undefined && value === mine;
    if (!isOwn(port, own.port) && !isOwn(vni, own.vni) && !isOwn(via, own.link)) return request;
    const { port: _, vni: __, via: ___, ...rest } = request;
    return {
      ...rest,
      ...(port === own.port ? {} : given("port", port)),
      ...(vni === own.vni ? {} : given("vni", vni)),
      ...(via === own.link ? {} : given("via", via)),
    } as Request;
  }

  /** Removes a MAC, or only its entry at `dst`. @throws ERR_FDB_ENTRY_NOT_FOUND */
  delete(mac: string, dst: string | undefined): void {
    if (mac === FLOOD_MAC) this.flood.delete(dst);
    else this.statics.delete(mac, dst);
  }

  /** A host name has other addresses now. @throws ERR_LIMIT */
  follow(name: string): void {
    this.flood.follow(name);
    this.statics.follow(name);
  }

  /** Lets go of everything. */
  clear(): void {
    this.flood.set([]);
    for (const mac of this.statics.macs()) this.statics.delete(mac, undefined);
  }
}
