/** Who is told what is about to become of the entries that operators make: static ones of the FDB, flood lists, neighbours. */
import type { Place, Wish } from "./wish.ts";

/** An entry of the FDB as it was. */
export interface FdbEntryBefore {
  /** Of the remote VTEP. */
  readonly address: string;
  /** Undefined = it was learned. */
  readonly wish: Wish | undefined;
}

export interface NeighbourBefore {
  readonly mac: string;
  readonly router: boolean;
}

/** Told before the change, by the name of the tunnel; what was there may be asked for only while somebody listens. */
export interface EntryEars {
  readonly isOn: boolean;
  fdb(dev: string, mac: string, before: FdbEntryBefore | undefined): void;
  flood(dev: string, before: readonly Place[]): void;
  neighbour(dev: string, address: string, before: NeighbourBefore | undefined): void;
}

export const NOBODY: EntryEars = { isOn: false, fdb: () => {}, flood: () => {}, neighbour: () => {} };
