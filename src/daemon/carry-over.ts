/**
 * What a tunnel takes along when it is made anew: what operators have said of it over the control socket, and what it has
 * learned. Whatever does not fit the new one any more stays behind.
 */
import type { Change } from "../dataplane/change.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { FdbRequest, NeighbourRequest } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Wish } from "./wish.ts";

interface Learned {
  readonly macHi: number;
  readonly macLo: number;
  /** Second of last use. */
  readonly usedS: number;
  /** Of the remote VTEP. */
  readonly address: string;
}

/** What operators have said of a tunnel over the control socket. */
export interface HandMade {
  /** With members of the flood list. */
  readonly fdb: readonly FdbRequest[];
  readonly neighbours: readonly NeighbourRequest[];
}

export interface CarryOver extends HandMade {
  readonly learned: readonly Learned[];
}

const handMadeOf = (tunnel: Tunnel): HandMade => {
  const { forwarding, neighbours } = tunnel;
  const members = forwarding.flood.members.filter(isByHand).map((wish) => requestOf(tunnel, FLOOD_MAC, wish));
  const entries = forwarding.statics.macs().flatMap((mac) => {
    const { wish } = forwarding.statics.get(mac)!;
    return isByHand(wish) ? [requestOf(tunnel, mac, wish)] : [];
  });
  const named = [...neighbours.list()].filter(({ owner }) => owner === "control");
  return {
    fdb: [...members, ...entries],
    neighbours: named.map(({ address, mac, router }) => ({ address, mac, router })),
  };
};

/** The same, as changes of a tunnel that has nothing made by hand. */
export const changesOf = (tunnel: Tunnel): Change[] => {
  const dev = tunnel.config.name;
  const { fdb, neighbours } = handMadeOf(tunnel);
  return [
    ...fdb.map(({ mac, sticky, ...member }): Change => {
      return mac === FLOOD_MAC
        ? { op: "flood", dev, ...member }
        : { op: "fdb", dev, verb: "replace", mac, ...member, ...(sticky === true ? { sticky } : {}) };
    }),
    ...neighbours.map((neighbour): Change => ({ op: "neighbour", dev, verb: "replace", ...neighbour })),
  ];
};

/** By name; one pass over the FDB for all of them. */
export const takeAlong = (tunnels: readonly Tunnel[], { fdb }: Tables): Map<string, CarryOver> => {
  const learned = new Map(tunnels.map(({ bd }) => [bd, [] as Learned[]]));
  const addresses = new Map(
    tunnels.flatMap(({ forwarding }) => forwarding.remotes.list().map(({ slot, address }) => [slot, address] as const)),
  );
  for (const { bd, macHi, macLo, target, flags, usedS } of tunnels.length === 0 ? [] : fdb.entries()) {
    const address = addresses.get(target);
    if ((flags & FDB_STATIC) === 0 && address !== undefined) learned.get(bd)?.push({ macHi, macLo, usedS, address });
  }
  return new Map(
    tunnels.map((tunnel) => [tunnel.config.name, { ...handMadeOf(tunnel), learned: learned.get(tunnel.bd) ?? [] }]),
  );
};

/** Gives it to the tunnel that stands in the place of the former one. */
export const giveBack = ({ fdb, neighbours, learned }: CarryOver, tunnel: Tunnel, tables: Tables): void => {
  const { forwarding, bd, config } = tunnel;
  for (const request of fdb)
    attempt(() => forwarding.change(request.mac === FLOOD_MAC ? "append" : "add", request, "control"));
  for (const request of neighbours) attempt(() => tunnel.neighbours.change("add", request, "control"));
  if (!config.macLearning) return;
  const plain = forwarding.remotes.list().filter((remote) => forwarding.remotes.isPlain(remote));
  const slots = new Map(plain.map(({ address, slot }) => [address, slot]));
  for (const { macHi, macLo, usedS, address } of learned) {
    const slot = slots.get(address);
    if (slot !== undefined) tables.fdb.learn(bd, macHi, macLo, slot, usedS);
  }
};

const isByHand = ({ owner }: Wish): boolean => owner === "control";

/** What is the tunnel's own is left out, and will be that of the new one. */
const requestOf = ({ config }: Tunnel, mac: string, { dst, port, vni, via, isSticky }: Wish): FdbRequest => ({
  mac,
  dst,
  ...(port === config.port ? {} : { port }),
  ...(vni === config.id ? {} : { vni }),
  ...(via === undefined ? {} : { via }),
  ...(isSticky ? { sticky: true } : {}),
});

const attempt = (step: () => void): void => {
  try {
    step();
  } catch (error) {
    if (!(error instanceof VtepdError)) throw error;
  }
};
