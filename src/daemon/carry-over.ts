/**
 * What a tunnel takes along when it is made anew: what operators have said of it over the control socket, and what it has
 * learned. What was learned and does not fit the new one any more stays behind. What was said must fit, or there is no new one.
 */
import type { TunnelConfig } from "../config/config.ts";
import { NEIGHBOURS_FOR_NOTHING } from "../config/contradictions.ts";
import type { EntryChange } from "../dataplane/change.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { FdbRequest, NeighbourRequest } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { admitEntry, admitFdb, admitNeighbour, admitVia } from "./admission.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import type { Tunnel } from "./tunnel.ts";
import { type Wish, wishText } from "./wish.ts";

interface Learned {
  readonly macHi: number;
  readonly macLo: number;
  /** Second of last use. */
  readonly usedS: number;
  /** Of the remote VTEP. */
  readonly address: string;
}

/** All that was asked of a tunnel, by its settings and by hand. */
export interface Asked {
  readonly members: readonly Wish[];
  /** By MAC. */
  readonly entries: ReadonlyMap<string, Wish>;
  readonly neighbours: readonly (NeighbourRequest & { readonly owner: Wish["owner"] })[];
  readonly isAltered: boolean;
}

export interface CarryOver {
  readonly asked: Asked;
  readonly said: readonly EntryChange[];
  readonly learned: readonly Learned[];
}

export const askedOf = ({ forwarding: { flood, statics }, neighbours, isAltered }: Tunnel): Asked => ({
  members: flood.members,
  entries: new Map(statics.macs().map((mac) => [mac, statics.get(mac)!.wish])),
  neighbours: neighbours.allNamed(),
  isAltered,
});

/** Makes it again what it was. Host names and interfaces must be prepared. @throws ERR_LIMIT */
export const askAgain = (tunnel: Tunnel, { members, entries, neighbours, isAltered }: Asked): void => {
  const { flood, statics } = tunnel.forwarding;
  flood.restore(members);
  for (const mac of statics.macs()) if (!entries.has(mac)) statics.delete(mac, undefined);
  for (const [mac, wish] of entries) if (statics.get(mac)?.wish !== wish) statics.change("replace", mac, wish);
  for (const { address } of tunnel.neighbours.allNamed()) tunnel.neighbours.delete(address);
  for (const { owner, ...request } of neighbours) tunnel.neighbours.change("replace", request, owner);
  tunnel.isAltered = isAltered;
};

/** Host names and interfaces that it needs. */
export const membersOf = ({ members, entries }: Asked): Pick<FdbRequest, "dst" | "via">[] => [
  ...members,
  ...entries.values(),
];

/** What was said by hand, as changes of a tunnel of which nothing was. */
export const saidOf = (tunnel: Tunnel): EntryChange[] => {
  const dev = tunnel.config.name;
  const { flood, statics } = tunnel.forwarding;
  const members = flood.members
    .filter(isByHand)
    .map(({ dst, said }): EntryChange => ({ op: "flood", dev, dst, ...said }));
  const entries = statics.macs().flatMap((mac): EntryChange[] => {
    const { wish } = statics.get(mac)!;
    const { dst, said, isSticky } = wish;
    if (!isByHand(wish)) return [];
    return [{ op: "fdb", dev, verb: "replace", mac, dst, ...said, ...(isSticky ? { sticky: true } : {}) }];
  });
  const named = tunnel.neighbours.allNamed().filter(isByHand);
  return [
    ...members,
    ...entries,
    ...named.map(({ owner: _, ...rest }): EntryChange => ({ op: "neighbour", dev, verb: "replace", ...rest })),
  ];
};

/**
 * Says something again of a tunnel that is another one now. Returns false when its settings say the same, whose word it then is.
 * Host names and interfaces must be prepared. @param change of saidOf @throws as VtepService's changes, then nothing has changed
 */
export const sayAgain = (tunnel: Tunnel, change: EntryChange): boolean => {
  const { forwarding, neighbours } = tunnel;
  if (change.op === "neighbour") {
    const { op: _, dev: __, verb: ___, ...request } = change;
    admitNeighbour(tunnel, request);
    if (neighbours.named(request.address)?.owner === "config") return false;
    neighbours.change("replace", request, "control");
    return true;
  }
  if (change.op !== "fdb" && change.op !== "flood")
    throw new TypeError(`expected a change that adds, got ${change.op}`);
  const request = change.op === "flood" ? { ...change, mac: FLOOD_MAC } : change;
  admitFdb(tunnel);
  admitEntry(tunnel, request);
  admitVia(tunnel, change.via, "via");
  if (change.op === "fdb") {
    if (forwarding.statics.get(change.mac)?.wish.owner === "config") return false;
    forwarding.change("replace", change, "control");
    return true;
  }
  const wish = forwarding.toWish(request, "control");
  if (forwarding.flood.members.some((member) => wishText(member) === wishText(wish))) return false;
  forwarding.flood.change("append", wish);
  return true;
};

/** That a tunnel cannot become another one. @param change what was said of it and would not fit */
export const wouldNotFit = (name: string, change: EntryChange, cause: unknown): unknown => {
  if (!(cause instanceof VtepdError)) return cause;
  const path = `tunnels.${name}`;
  const { op: _, dev: __, verb: ___, ...words } = change as EntryChange & { verb?: string };
  const what = Object.values(words).join(" ");
  const message = `${path}: expected what was made by hand to fit, ${what} would not, delete it first: ${cause.message}`;
  return new VtepdError(cause.code, message, { path, cause });
};

/** Whether a tunnel that is not made anew can have other settings. @throws ERR_CONFIG_CONFLICT */
export const admitSettings = (tunnel: Tunnel, { name, arpProxy, notifications }: TunnelConfig): void => {
  if (arpProxy || notifications.includes("l3-miss")) return;
  const said = saidOf(tunnel).find(({ op }) => op === "neighbour");
  if (said === undefined) return;
  const cause = new VtepdError("ERR_CONFIG_CONFLICT", NEIGHBOURS_FOR_NOTHING);
  throw wouldNotFit(name, said, cause);
};

/** What tunnels have learned, by name; one pass over the FDB for all of them. */
export const learnedOf = (tunnels: readonly Tunnel[], { fdb }: Tables): Map<string, Learned[]> => {
  const learned = new Map(tunnels.map(({ bd }) => [bd, [] as Learned[]]));
  const addresses = new Map(
    tunnels.flatMap(({ forwarding }) => forwarding.remotes.list().map(({ slot, address }) => [slot, address] as const)),
  );
  for (const { bd, macHi, macLo, target, flags, usedS } of tunnels.length === 0 ? [] : fdb.entries()) {
    const address = addresses.get(target);
    if ((flags & FDB_STATIC) === 0 && address !== undefined) learned.get(bd)?.push({ macHi, macLo, usedS, address });
  }
  return new Map(tunnels.map(({ config, bd }) => [config.name, learned.get(bd) ?? []]));
};

/** By name. */
export const takeAlong = (tunnels: readonly Tunnel[], tables: Tables): Map<string, CarryOver> => {
  const learned = learnedOf(tunnels, tables);
  return new Map(
    tunnels.map((tunnel) => {
      const { name } = tunnel.config;
      return [name, { asked: askedOf(tunnel), said: saidOf(tunnel), learned: learned.get(name)! }];
    }),
  );
};

/** Gives the tunnel that stands in the place of the former one what was said, and what was learned. @throws as wouldNotFit */
export const giveSaid = async ({ said, asked }: CarryOver, tunnel: Tunnel): Promise<void> => {
  if (said.length === 0) return;
  const { name } = tunnel.config;
  const byHand = membersOf(asked).filter((wish) => isByHand(wish as Wish));
  const release = await tunnel.prepare(byHand).catch((error: unknown) => {
    throw wouldNotFit(name, said[0]!, error);
  });
  try {
    for (const change of said) {
      try {
        sayAgain(tunnel, change);
      } catch (error) {
        throw wouldNotFit(name, change, error);
      }
    }
  } finally {
    release();
  }
};

export const giveLearned = ({ learned }: CarryOver, { forwarding, bd, config }: Tunnel, tables: Tables): void => {
  if (!config.macLearning) return;
  const plain = forwarding.remotes.list().filter((remote) => forwarding.remotes.isPlain(remote));
  const slots = new Map(plain.map(({ address, slot }) => [address, slot]));
  for (const { macHi, macLo, usedS, address } of learned) {
    const slot = slots.get(address);
    if (slot !== undefined) tables.fdb.learn(bd, macHi, macLo, slot, usedS);
  }
};

const isByHand = ({ owner }: { readonly owner: Wish["owner"] }): boolean => owner === "control";
