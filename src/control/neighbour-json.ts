/** A neighbour in the JSON of `ip -s -j neigh show`, recorded from iproute2 6.1. Keys stand in iproute2's order. */
import type { NeighbourView } from "../dataplane/view.ts";

export interface NeighbourJson {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr: string;
  /** There when it is a router. */
  readonly router?: null;
  /** Seconds since it was last heard, and since it was made or changed. */
  readonly used: number;
  readonly updated: number;
  readonly state: readonly ["PERMANENT" | "REACHABLE"];
  /** Of one that was named: who made it. */
  readonly vtepd?: { readonly owner: "config" | "control" };
}

export const neighbourJson = (neighbour: NeighbourView): NeighbourJson => ({
  dst: neighbour.address,
  dev: neighbour.dev,
  lladdr: neighbour.mac,
  ...(neighbour.router ? { router: null } : {}),
  used: neighbour.heardS,
  updated: neighbour.updatedS,
  state: [neighbour.owner === "learned" ? "REACHABLE" : "PERMANENT"],
  ...(neighbour.owner === "learned" ? {} : { vtepd: { owner: neighbour.owner } }),
});
