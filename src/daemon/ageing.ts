/**
 * Ageing: once a second, learned entries that nobody has used for their tunnel's ageing time are removed. Used means hit
 * in either direction, as a source or as a destination, as the kernel's vxlan counts it: a station that only listens is
 * not flooded to while somebody talks to it.
 *
 * Main thread. The table is swept block by block under its lock; blocks without entries cost nothing.
 */
import { MAX_BRIDGE_DOMAINS } from "../dataplane/bridge-domain.ts";
import type { Fdb } from "../dataplane/fdb.ts";
import { FDB_STATIC } from "../dataplane/fdb-memory.ts";

export class Ageing {
  private readonly fdb: Fdb;
  /** Seconds, by bridge domain; 0 = never. */
  private readonly ageingS = new Int32Array(MAX_BRIDGE_DOMAINS);
  private readonly aged = new Float64Array(MAX_BRIDGE_DOMAINS);

  constructor(fdb: Fdb) {
    this.fdb = fdb;
  }

  /** Ageing time of a bridge domain, from now on; its count of aged entries starts again. */
  set(bd: number, ageingS: number): void {
    this.ageingS[bd] = ageingS;
    this.aged[bd] = 0;
  }

  /** Entries aged out since `set`. */
  count(bd: number): number {
    return this.aged[bd]!;
  }

  tick(nowS: number): void {
    const { ageingS, aged } = this;
    this.fdb.sweep(nowS, (bd, _target, flags, usedS) => {
      if ((flags & FDB_STATIC) !== 0) return false;
      const limitS = ageingS[bd]!;
      if (limitS === 0 || nowS - usedS < limitS) return false;
      aged[bd]!++;
      return true;
    });
  }
}
