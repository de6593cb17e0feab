/**
 * One change of what is said of a running tunnel: what it takes to undo it, and what is to be kept of it. Kept is what was said by
 * hand and only that: a member that the settings have anyway is none, so that it goes with the settings.
 */
import type { EntryChange } from "../dataplane/change.ts";
import { FLOOD_MAC } from "./flood-list.ts";
import type { Tunnel } from "./tunnel.ts";
import type { Vtep } from "./vtep.ts";
import type { Wish } from "./wish.ts";

export type Inverse = () => void;

export interface Made {
  readonly inverse: Inverse;
  /** Undefined = nothing. */
  readonly kept: EntryChange | undefined;
}

export type EntryOfMac = Extract<EntryChange, { op: "fdb" | "fdb-del" }>;

/** Whether it is of a static FDB entry, and not of the flood list. */
export const isOfMac = (entry: EntryChange): entry is EntryOfMac =>
  (entry.op === "fdb" || entry.op === "fdb-del") && entry.mac !== FLOOD_MAC;

export interface ChangeParts {
  readonly vtep: Vtep;
  readonly tunnels: ReadonlyMap<string, Tunnel>;
}

/** In the shortest words that mean the same now: what is left out is the tunnel's own, whatever that will be. */
export const withoutOwn = (entry: EntryChange, tunnel: Tunnel | undefined): EntryChange => {
  if (tunnel === undefined) return entry;
  const { forwarding } = tunnel;
  if (entry.op === "flood-set") {
    const members = entry.members.map((member) => forwarding.withoutOwn(member));
    return members.some((member, index) => member !== entry.members[index]) ? { ...entry, members } : entry;
  }
  return entry.op === "fdb" || entry.op === "flood" || entry.op === "flood-del" ? forwarding.withoutOwn(entry) : entry;
};

/** @throws as VtepService's changes, then nothing has changed */
export const changeTunnel = ({ vtep, tunnels }: ChangeParts, entry: EntryChange): Made => {
  const { op, dev } = entry;
  const tunnel = tunnels.get(dev);
  switch (op) {
    case "fdb":
      if (entry.mac !== FLOOD_MAC) return madeOf(vtep, tunnel, entry);
      return changeFlood(tunnel, entry, () => vtep.changeFdb(dev, entry.verb, entry));
    case "fdb-del":
      if (entry.mac !== FLOOD_MAC) return madeOf(vtep, tunnel, entry);
      return changeFlood(tunnel, entry, () => vtep.deleteFdb(dev, entry.mac, entry.dst));
    case "flood":
    case "flood-del": {
      const { op: _, dev: __, ...member } = entry;
      return changeFlood(tunnel, entry, () =>
        op === "flood" ? vtep.addFlood(dev, member) : vtep.deleteFlood(dev, member),
      );
    }
    case "flood-set":
      return changeFlood(tunnel, entry, () => vtep.setFlood(dev, entry.members));
    case "neighbour": {
      const { op: _, dev: __, verb, ...request } = entry;
      return changeNeighbour(tunnel, entry, () => vtep.changeNeighbour(dev, verb, request));
    }
    case "neighbour-del":
      return changeNeighbour(tunnel, entry, () => vtep.deleteNeighbour(dev, entry.address));
  }
};

type Change = () => void;

/** Returns what was asked for before: all that `undoEntry` needs. @throws as changeTunnel */
export const changeEntry = (vtep: Vtep, tunnel: Tunnel | undefined, entry: EntryOfMac): Wish | undefined => {
  const former = tunnel?.forwarding.statics.get(entry.mac)?.wish;
  if (entry.op === "fdb") vtep.changeFdb(entry.dev, entry.verb, entry);
  else vtep.deleteFdb(entry.dev, entry.mac, entry.dst);
  if (former?.owner === "config") tunnel!.isAltered = true;
  return former;
};

export const undoEntry = (tunnel: Tunnel | undefined, { op, mac }: EntryOfMac, former: Wish | undefined): void => {
  const statics = tunnel?.forwarding.statics;
  if (former !== undefined) statics?.change("replace", mac, former);
  else if (op === "fdb") statics?.delete(mac, undefined);
};

const madeOf = (vtep: Vtep, tunnel: Tunnel | undefined, entry: EntryOfMac): Made => {
  const former = changeEntry(vtep, tunnel, entry);
  return { inverse: () => undoEntry(tunnel, entry, former), kept: entry };
};

const changeFlood = (
  tunnel: Tunnel | undefined,
  entry: Extract<EntryChange, { op: "fdb" | "fdb-del" | "flood" | "flood-del" | "flood-set" }>,
  change: Change,
): Made => {
  const flood = tunnel?.forwarding.flood;
  const before = flood?.members ?? [];
  change();
  const after = flood?.members ?? [];
  if (after.length === before.length && before.every((wish, index) => wish === after[index])) {
    return { inverse: () => {}, kept: undefined };
  }
  const present = new Set(after);
  if (before.some((wish) => wish.owner === "config" && !present.has(wish))) tunnel!.isAltered = true;
  return { inverse: () => flood?.restore(before), kept: keptOfFlood(entry, after) };
};

const keptOfFlood = (entry: EntryChange, after: readonly Wish[]): EntryChange => {
  const { dev } = entry as { dev: string };
  if (entry.op === "fdb" && entry.verb !== "replace") {
    const { op: _, verb: __, mac: ___, sticky: ____, ...member } = entry;
    return { op: "flood", ...member };
  }
  if (entry.op !== "fdb" && entry.op !== "flood-set") return entry;
  const byHand = after.filter(({ owner }) => owner === "control");
  if (entry.op === "flood-set" && byHand.length === entry.members.length) return entry;
  return { op: "flood-set", dev, members: byHand.map(({ dst, said }) => ({ dst, ...said })) };
};

const changeNeighbour = (
  tunnel: Tunnel | undefined,
  entry: Extract<EntryChange, { op: "neighbour" | "neighbour-del" }>,
  change: Change,
): Made => {
  const named = tunnel?.neighbours;
  const former = named?.named(entry.address);
  change();
  if (former?.owner === "config") tunnel!.isAltered = true;
  const inverse = (): void => {
    if (former !== undefined) named?.change("replace", former, former.owner);
    else if (entry.op === "neighbour") named?.delete(entry.address);
  };
  return { inverse, kept: entry };
};
