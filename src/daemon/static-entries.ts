/**
 * The static FDB entries of one tunnel: what was asked for, by MAC, written through to the table the workers read. An entry
 * whose host name has no address yet is kept, and is in the table as soon as it has. Each change happens whole or not at all.
 */
import { macTwice } from "../config/contradictions.ts";
import { FDB_CONTROL, FDB_STICKY } from "../dataplane/fdb-memory.ts";
import { isHostName } from "../dataplane/host-name.ts";
import type { Tables } from "../dataplane/tables.ts";
import { formatVtepAddress } from "../dataplane/vtep-address.ts";
import { VtepdError } from "../errors.ts";
import { textMacHi, textMacLo } from "../wire/mac.ts";
import { monotonicS } from "./clock.ts";
import type { EntryEars } from "./entry-ears.ts";
import type { Addresses } from "./flood-list.ts";
import type { RemoteKey, TunnelRemotes } from "./remotes.ts";
import { stay, type Wish } from "./wish.ts";

export interface StaticEntry {
  readonly wish: Wish;
  /** Undefined = not in the table. */
  readonly remote: RemoteKey | undefined;
}

export class StaticEntries {
  private readonly tables: Tables;
  private readonly bd: number;
  private readonly name: string;
  private readonly remotes: TunnelRemotes;
  private readonly addresses: Addresses;
  private readonly ears: EntryEars;
  private readonly entries = new Map<string, StaticEntry>();
  /** How many have a host name or an interface of their own. */
  private peculiar = 0;

  /** @param name the tunnel's */
  constructor(name: string, tables: Tables, bd: number, remotes: TunnelRemotes, addresses: Addresses, ears: EntryEars) {
    this.name = name;
    this.ears = ears;
    this.tables = tables;
    this.bd = bd;
    this.remotes = remotes;
    this.addresses = addresses;
  }

  get(mac: string): StaticEntry | undefined {
    return this.entries.get(mac);
  }

  /** Whether one may have a host name or an interface of its own, which the table does not tell. */
  get hasPeculiar(): boolean {
    return this.peculiar > 0;
  }

  macs(): string[] {
    return [...this.entries.keys()];
  }

  /** @throws ERR_FDB_ENTRY_EXISTS, ERR_LIMIT, then nothing has changed */
  change(verb: "add" | "append" | "replace", mac: string, wish: Wish): void {
    const before = this.entries.get(mac);
    if (before !== undefined && verb !== "replace") throw exists(mac, before.wish);
    this.addresses.hold(wish);
    try {
      this.point(mac, wish, before);
    } catch (error) {
      this.addresses.release(wish);
      throw error;
    }
    this.peculiar += Number(isPeculiar(wish));
    if (before === undefined) return;
    this.peculiar -= Number(isPeculiar(before.wish));
    this.addresses.release(before.wish);
  }

  /** Removes a MAC, also a learned one, or only its entry at `dst`. @throws ERR_FDB_ENTRY_NOT_FOUND */
  delete(mac: string, dst: string | undefined): void {
    const [macHi, macLo] = macWords(mac);
    const made = this.entries.get(mac);
    // An entry by name is found by the name and by where it stands now.
    const isThere = dst === undefined || made?.wish.dst === dst || this.destinationOf(macHi, macLo) === dst;
    if (!isThere) throw this.notFound(mac, dst);
    if (this.ears.isOn) this.note(mac, made, this.tables.fdb.find(this.bd, macHi, macLo));
    const isGone = this.tables.fdb.remove(this.bd, macHi, macLo, monotonicS());
    if (!isGone && made === undefined) throw this.notFound(mac, dst);
    if (made === undefined) return;
    this.entries.delete(mac);
    this.peculiar -= Number(isPeculiar(made.wish));
    if (made.remote !== undefined) this.remotes.release(made.remote);
    this.addresses.release(made.wish);
  }

  /** A name has other addresses now. @throws ERR_LIMIT, then the entry at hand has not changed */
  follow(name: string): void {
    for (const [mac, entry] of this.entries) if (entry.wish.dst === name) this.point(mac, entry.wish, entry);
  }

  /** Makes the MAC's entry lead to where the wish stands now: one store in the table. */
  private point(mac: string, wish: Wish, before: StaticEntry | undefined): void {
    const present = before?.wish.dst === wish.dst ? before.remote?.address : undefined;
    const address = stay(this.addresses.of(wish.dst), present);
    if (before?.wish === wish && before.remote?.address === address) return;
    if (this.ears.isOn) this.note(mac, before, -1);
    const remote = address === undefined ? undefined : this.remotes.keyOf(address, wish);
    const [macHi, macLo] = macWords(mac);
    if (remote === undefined) {
      if (before?.remote !== undefined) this.tables.fdb.remove(this.bd, macHi, macLo, monotonicS());
    } else {
      const slot = this.remotes.acquire(remote);
      const flags = (wish.owner === "control" ? FDB_CONTROL : 0) | (wish.isSticky ? FDB_STICKY : 0);
      if (!this.tables.fdb.setStatic(this.bd, macHi, macLo, slot, flags, monotonicS())) {
        this.remotes.release(remote);
        const message = `expected at most ${this.tables.fdb.capacity} FDB entries in all, got one more`;
        throw new VtepdError("ERR_LIMIT", message);
      }
    }
    this.entries.set(mac, { wish, remote });
    if (before?.remote !== undefined) this.remotes.release(before.remote);
  }

  /** @param handle of what the table has, where that may be learned; -1 = nothing */
  private note(mac: string, made: StaticEntry | undefined, handle: number): void {
    const { fdb, remotes } = this.tables;
    const found = handle < 0 ? undefined : formatVtepAddress(remotes.address(fdb.target(handle)));
    const address = made === undefined ? found : made.remote?.address;
    this.ears.fdb(this.name, mac, address === undefined ? undefined : { address, wish: made?.wish });
  }

  private destinationOf(macHi: number, macLo: number): string | undefined {
    const entry = this.tables.fdb.find(this.bd, macHi, macLo);
    if (entry < 0) return undefined;
    const slot = this.tables.fdb.target(entry);
    return this.remotes.list().find((remote) => remote.slot === slot)?.address;
  }

  private notFound(mac: string, dst: string | undefined): VtepdError {
    const where = dst === undefined ? "" : ` at ${dst}`;
    return new VtepdError(
      "ERR_FDB_ENTRY_NOT_FOUND",
      `${this.name}: expected an FDB entry for ${mac}${where}, there is none`,
    );
  }
}

const isPeculiar = ({ dst, via }: Wish): boolean => via !== undefined || isHostName(dst);

const exists = (mac: string, { dst, port, vni }: Wish): VtepdError => {
  const message = `mac: ${macTwice(mac)}: it is at ${dst} port ${port} vni ${vni}; \`replace\` changes it`;
  return new VtepdError("ERR_FDB_ENTRY_EXISTS", message, { path: "mac" });
};

const macWords = (mac: string): [hi: number, lo: number] => {
  const hi = textMacHi(mac);
  if (Number.isNaN(hi))
    throw new VtepdError("ERR_CONFIG_VALUE", `expected a MAC address, got "${mac}"`, { path: "mac" });
  return [hi, textMacLo(mac)];
};
