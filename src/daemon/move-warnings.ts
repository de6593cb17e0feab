/**
 * Says which MACs move too often, once for each hold (dataplane/move-damping.ts), and at most one line a second: a loop moves
 * all of a network's MACs at once. What was not said is counted in the next line. Main thread.
 */
import type { Logger } from "pino";
import type { RemoteTable } from "../dataplane/remote-table.ts";
import { UPCALL_BD, UPCALL_HELD_AT, UPCALL_MAC_HI, UPCALL_MAC_LO, UPCALL_SEEN_AT } from "../dataplane/upcall-ring.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { formatMac } from "../wire/mac.ts";

export class MoveWarnings {
  private readonly remotes: RemoteTable;
  private readonly nameOf: (bd: number) => string | undefined;
  private readonly log: Logger;
  private lastS = Number.NEGATIVE_INFINITY;
  private unsaid = 0;

  /** @param nameOf tunnel of a bridge domain */
  constructor(remotes: RemoteTable, nameOf: (bd: number) => string | undefined, log: Logger) {
    this.remotes = remotes;
    this.nameOf = nameOf;
    this.log = log;
  }

  /** Takes an UPCALL_MAC_HELD. */
  held(record: Int32Array, nowS: number): void {
    const link = this.nameOf(record[UPCALL_BD]!);
    if (link === undefined) return;
    if (nowS === this.lastS) {
      this.unsaid++;
      return;
    }
    this.log.warn(
      {
        link,
        mac: formatMac(record[UPCALL_MAC_HI]!, record[UPCALL_MAC_LO]!),
        remoteVtep: this.addressOf(record[UPCALL_HELD_AT]!),
        alsoAt: this.addressOf(record[UPCALL_SEEN_AT]!),
        ...(this.unsaid === 0 ? {} : { othersUnsaid: this.unsaid }),
      },
      "MAC moves too often and is held where it is",
    );
    this.lastS = nowS;
    this.unsaid = 0;
  }

  private addressOf(slot: number): string {
    return formatVtepAddress(this.remotes.address(slot));
  }
}
