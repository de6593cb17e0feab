/**
 * The flood list of one tunnel: its members as they were asked for, and the remote VTEPs that they stand for now, which are
 * written through to the tables as one list by one store. What can fail (a full table) comes first, and is taken back when a
 * later step fails.
 */
import { memberTwice } from "../config/contradictions.ts";
import { BD_FLOOD, BD_NEXT_HOP } from "../dataplane/bridge-domain.ts";
import type { Tables } from "../dataplane/tables.ts";
import { VtepdError } from "../errors.ts";
import { monotonicS } from "./clock.ts";
import type { EntryEars } from "./entry-ears.ts";
import { type RemoteKey, remoteText, type TunnelRemotes } from "./remotes.ts";
import { type Place, stay, type Wish, wishText } from "./wish.ts";

/** Of a host name or an address: what it means, without what this tunnel cannot send to. */
export interface Addresses {
  of(dst: string): readonly string[];
  /** Whoever holds a wish has its name looked after, and its interface's sockets. */
  hold(wish: Pick<Wish, "dst" | "via">): void;
  release(wish: Pick<Wish, "dst" | "via">): void;
}

export const FLOOD_MAC = "00:00:00:00:00:00";

export class FloodList {
  private readonly tables: Tables;
  private readonly bd: number;
  private readonly name: string;
  private readonly remotes: TunnelRemotes;
  private readonly addresses: Addresses;
  private readonly ears: EntryEars;
  private wishes: readonly Wish[] = [];
  private present: readonly Place[] = [];

  /** @param name the tunnel's */
  constructor(name: string, tables: Tables, bd: number, remotes: TunnelRemotes, addresses: Addresses, ears: EntryEars) {
    this.name = name;
    this.ears = ears;
    this.tables = tables;
    this.bd = bd;
    this.remotes = remotes;
    this.addresses = addresses;
  }

  /** As they were asked for, in order. */
  get members(): readonly Wish[] {
    return this.wishes;
  }

  /** What they stand for now, each remote VTEP once. */
  get places(): readonly Place[] {
    return this.present;
  }

  /**
   * Replaces the whole list at once. Members that were there stay as they were made, but are the configuration's when it has
   * them. @throws ERR_LIMIT, then nothing has changed
   */
  set(wanted: readonly Wish[]): void {
    const before = new Map(this.wishes.map((wish) => [wishText(wish), wish]));
    const kept = (wish: Wish): Wish | undefined => {
      const present = before.get(wishText(wish));
      return wish.owner === "config" && present?.owner === "control" ? undefined : present;
    };
    this.restore(wanted.map((wish) => kept(wish) ?? wish));
  }

  /** Makes it what it was. @throws as set */
  restore(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.addresses.hold(wish);
    try {
      this.place(wishes);
    } catch (error) {
      for (const wish of wishes) this.addresses.release(wish);
      throw error;
    }
    for (const wish of this.wishes) this.addresses.release(wish);
    this.wishes = wishes;
  }

  /** @throws ERR_FDB_ENTRY_EXISTS, ERR_LIMIT */
  change(verb: "add" | "append" | "replace", wish: Wish): void {
    const isThere = this.wishes.some((member) => wishText(member) === wishText(wish));
    if (verb === "replace") {
      this.set([wish]);
    } else if (isThere) {
      // Appending a member twice is no error, as in the kernel.
      if (verb === "add")
        throw new VtepdError("ERR_FDB_ENTRY_EXISTS", `dst: ${memberTwice(wish.dst)}`, { path: "dst" });
    } else if (verb === "add" && this.wishes.length > 0) {
      const message = `${this.name}: the flood list has members already; \`append\` adds one, \`replace\` makes it the only one`;
      throw new VtepdError("ERR_FDB_ENTRY_EXISTS", message);
    } else {
      this.set([...this.wishes, wish]);
    }
  }

  /** Takes one member off. @throws ERR_FDB_ENTRY_NOT_FOUND */
  deleteMember(wish: Wish): void {
    const { dst, port, vni, via } = wish;
    const rest = this.wishes.filter((member) => wishText(member) !== wishText(wish));
    if (rest.length === this.wishes.length) {
      const where = via === undefined ? "" : ` via ${via}`;
      throw this.notFound(`there is none at ${dst} port ${port} vni ${vni}${where}`);
    }
    this.set(rest);
  }

  /** Takes all members off, or those at `dst`. @throws ERR_FDB_ENTRY_NOT_FOUND */
  delete(dst: string | undefined): void {
    const rest = dst === undefined ? [] : this.wishes.filter((member) => member.dst !== dst);
    if (rest.length === this.wishes.length)
      throw this.notFound(`there is none${dst === undefined ? "" : ` at ${dst}`}`);
    this.set(rest);
  }

  /** A name has other addresses now. @throws ERR_LIMIT, then nothing has changed */
  follow(name: string): void {
    if (this.wishes.some(({ dst }) => dst === name)) this.place(this.wishes);
  }

  private place(wishes: readonly Wish[]): void {
    const { floods, bridgeDomains } = this.tables;
    const nowS = monotonicS();
    const places = this.placesOf(wishes);
    const acquired: RemoteKey[] = [];
    let list: number;
    try {
      const slots = places.map(({ remote }) => {
        const slot = this.remotes.acquire(remote);
        acquired.push(remote);
        return slot;
      });
      list = floods.store(this.remotes.isMirror ? [] : slots, nowS);
    } catch (error) {
      for (const remote of acquired) this.remotes.release(remote);
      throw error;
    }
    const before = bridgeDomains.get(this.bd, BD_FLOOD);
    bridgeDomains.set(this.bd, BD_FLOOD, list);
    // Behind an empty list stands another tunnel's.
    bridgeDomains.set(this.bd, BD_NEXT_HOP, floods.words[list] === 0 ? 0 : floods.words[list + 1]!);
    floods.release(before, nowS);
    for (const { remote } of this.present) this.remotes.release(remote);
    if (this.ears.isOn) this.ears.flood(this.name, this.present);
    this.present = places;
  }

  private placesOf(wishes: readonly Wish[]): Place[] {
    const places = new Map<string, Place>();
    for (const wish of wishes) {
      for (const address of this.addressesOf(wish)) {
        const remote = { address, port: wish.port, vni: wish.vni, via: wish.via };
        const key = remoteText(remote);
        if (!places.has(key)) places.set(key, { wish, remote });
      }
    }
    return [...places.values()];
  }

  private addressesOf(wish: Wish): readonly string[] {
    const all = this.addresses.of(wish.dst);
    if (!wish.isSingle) return all;
    const one = stay(all, this.present.find((place) => wishText(place.wish) === wishText(wish))?.remote.address);
    return one === undefined ? [] : [one];
  }

  private notFound(what: string): VtepdError {
    return new VtepdError("ERR_FDB_ENTRY_NOT_FOUND", `${this.name}: expected a member of the flood list, ${what}`);
  }
}
