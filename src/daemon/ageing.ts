/**
 * Ageing: once a second, learned entries that nobody has used for their tunnel's ageing time are removed. Used means hit
 * in either direction, as a source or as a destination, as the kernel's vxlan counts it: a station that only listens is
 * not flooded to while somebody talks to it.
 *
 * Entries that lead to a remote VTEP which is gone are removed, too: a worker in the middle of a batch may have learned one
 * after the others went with it. Its slot rests for longer than the second until then.
 *
 * Main thread. The table is swept block by block under its lock; blocks without entries cost nothing.
 */
import { MAX_BRIDGE_DOMAINS } from "../dataplane/bridge-domain.ts";
import type { Fdb } from "../dataplane/fdb.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";
import type { RemoteTable } from "../dataplane/remote-table.ts";

export class Ageing {
  private readonly fdb: Fdb;
  private readonly remotes: RemoteTable;
  /** Seconds, by bridge domain; 0 = never. */
  private readonly ageingS = new Int32Array(MAX_BRIDGE_DOMAINS);
  private readonly aged = new Float64Array(MAX_BRIDGE_DOMAINS);

  constructor({ fdb, remotes }: { readonly fdb: Fdb; readonly remotes: RemoteTable }) {
    this.fdb = fdb;
    this.remotes = remotes;
  }

  /** Ageing time of a bridge domain, from now on; its count of aged entries starts again. */
  set(bd: number, ageingS: number): void {
    this.ageingS[bd] = ageingS;
    this.aged[bd] = 0;
  }

  /** Another ageing time. */
  change(bd: number, ageingS: number): void {
    this.ageingS[bd] = ageingS;
  }

  /** Entries aged out since `set`. */
  count(bd: number): number {
    return this.aged[bd]!;
  }

  /** @param onAged told of each entry that goes, under the table's lock; MAC as in the FDB, remote VTEP by slot */
  tick(nowS: number, onAged?: (bd: number, macHi: number, macLo: number, target: number) => void): void {
    const { ageingS, aged, remotes } = this;
    this.fdb.sweep(nowS, (bd, target, flags, usedS, macHi, macLo) => {
      if ((flags & FDB_STATIC) !== 0) return false;
      if (!remotes.isOf(target, bd)) return true;
      const limitS = ageingS[bd]!;
      if (limitS === 0 || nowS - usedS < limitS) return false;
      aged[bd]!++;
      onAged?.(bd, macHi, macLo, target);
      return true;
    });
  }
}
