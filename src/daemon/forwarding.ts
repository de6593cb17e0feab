/**
 * What an operator says about one tunnel's forwarding: its flood list and its static FDB entries, kept as text for
 * showing, and written through to the tables the workers read. Learned entries live only in the tables.
 *
 * Each change happens whole or not at all: what can fail (a full table) comes first, and is taken back when a later step
 * fails. The flood list is replaced as one list by one store.
 */
import { macTwice, memberTwice } from "../config/contradictions.ts";
import { BD_FLOOD } from "../dataplane/bridge-domain.ts";
import { FDB_CONTROL, FDB_STICKY } from "../dataplane/fdb-memory.ts";
import type { Tables } from "../dataplane/tables.ts";
import type { FdbRequest } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { parseMac, readMacHi, readMacLo } from "../wire/mac.ts";
import { monotonicS } from "./clock.ts";
import type { RemoteKey, TunnelRemotes } from "./remotes.ts";

export type Owner = "config" | "control";

/** One thing the operator asked for. */
export interface Static {
  readonly remote: RemoteKey;
  readonly owner: Owner;
  readonly sticky: boolean;
  /** Second it was made. */
  readonly sinceS: number;
}

export const FLOOD_MAC = "00:00:00:00:00:00";

export class Forwarding {
  private readonly tables: Tables;
  private readonly bd: number;
  private readonly name: string;
  private readonly own: { readonly port: number; readonly vni: number };
  readonly remotes: TunnelRemotes;
  readonly flood: Static[] = [];
  readonly statics: Map<string, Static> = new Map();

  constructor(name: string, tables: Tables, bd: number, remotes: TunnelRemotes, own: { port: number; vni: number }) {
    this.name = name;
    this.tables = tables;
    this.bd = bd;
    this.remotes = remotes;
    this.own = own;
  }

  /** @param request checked: canonical addresses, MAC in lower case. @throws ERR_FDB_ENTRY_EXISTS, ERR_LIMIT */
  change(verb: "add" | "append" | "replace", request: FdbRequest, owner: Owner): void {
    const made = this.toStatic(request, owner);
    if (request.mac === FLOOD_MAC) this.changeFlood(verb, made);
    else this.changeStatic(verb, request.mac, made);
  }

  /** A request with the tunnel's own UDP port and VNI filled in. */
  toStatic(request: FdbRequest, owner: Owner): Static {
    const remote = { address: request.dst, port: request.port ?? this.own.port, vni: request.vni ?? this.own.vni };
    return { remote, owner, sticky: request.sticky === true, sinceS: monotonicS() };
  }

  /** Removes a MAC, or only its entry at `dst`. @throws ERR_FDB_ENTRY_NOT_FOUND */
  delete(mac: string, dst: string | undefined): void {
    if (mac === FLOOD_MAC) this.deleteFlood(dst);
    else this.deleteUnicast(mac, dst);
  }

  private changeFlood(verb: "add" | "append" | "replace", made: Static): void {
    const there = this.flood.some(({ remote }) => sameRemote(remote, made.remote));
    if (verb === "replace") {
      this.setFlood([made]);
    } else if (there) {
      if (verb === "add") throw memberExists(made.remote); // appending a member twice is no error, as in the kernel
    } else if (verb === "add" && this.flood.length > 0) {
      throw new VtepdError(
        "ERR_FDB_ENTRY_EXISTS",
        `${this.name}: the flood list has members already; \`append\` adds one, \`replace\` makes it the only one`,
      );
    } else {
      this.setFlood([...this.flood, made]);
    }
  }

  /** Replaces the whole flood list at once. @throws ERR_LIMIT, then nothing has changed */
  setFlood(members: readonly Static[]): void {
    const { floods, bridgeDomains } = this.tables;
    const nowS = monotonicS();
    const acquired: Static[] = [];
    let list: number;
    try {
      const slots = members.map((member) => {
        const slot = this.remotes.acquire(member.remote);
        acquired.push(member);
        return slot;
      });
      list = floods.store(slots, nowS);
    } catch (error) {
      for (const { remote } of acquired) this.remotes.release(remote);
      throw error;
    }
    const before = bridgeDomains.get(this.bd, BD_FLOOD);
    bridgeDomains.set(this.bd, BD_FLOOD, list);
    floods.release(before, nowS);
    for (const { remote } of this.flood.splice(0, this.flood.length, ...members)) this.remotes.release(remote);
  }

  /** Takes one member off the flood list. @throws ERR_FDB_ENTRY_NOT_FOUND */
  deleteMember({ remote }: Static): void {
    const rest = this.flood.filter((member) => !sameRemote(member.remote, remote));
    if (rest.length === this.flood.length) {
      const { address, port, vni } = remote;
      const message = `${this.name}: expected a member of the flood list, there is none at ${address} port ${port} vni ${vni}`;
      throw new VtepdError("ERR_FDB_ENTRY_NOT_FOUND", message);
    }
    this.setFlood(rest);
  }

  private deleteFlood(dst: string | undefined): void {
    const rest = dst === undefined ? [] : this.flood.filter(({ remote }) => remote.address !== dst);
    if (rest.length === this.flood.length) throw this.notFound(FLOOD_MAC, dst);
    this.setFlood(rest);
  }

  private changeStatic(verb: "add" | "append" | "replace", mac: string, made: Static): void {
    const before = this.statics.get(mac);
    if (before !== undefined && verb !== "replace") throw this.exists(mac, before.remote);
    const slot = this.remotes.acquire(made.remote);
    const [macHi, macLo] = macWords(mac);
    const flags = (made.owner === "control" ? FDB_CONTROL : 0) | (made.sticky ? FDB_STICKY : 0);
    if (!this.tables.fdb.setStatic(this.bd, macHi, macLo, slot, flags, made.sinceS)) {
      this.remotes.release(made.remote);
      throw new VtepdError(
        "ERR_LIMIT",
        `expected at most ${this.tables.fdb.capacity} FDB entries in all, got one more`,
      );
    }
    this.statics.set(mac, made);
    if (before !== undefined) this.remotes.release(before.remote);
  }

  private deleteUnicast(mac: string, dst: string | undefined): void {
    const [macHi, macLo] = macWords(mac);
    const made = this.statics.get(mac);
    if (dst !== undefined && this.destinationOf(macHi, macLo) !== dst) throw this.notFound(mac, dst);
    if (!this.tables.fdb.remove(this.bd, macHi, macLo, monotonicS())) throw this.notFound(mac, dst);
    if (made === undefined) return;
    this.statics.delete(mac);
    this.remotes.release(made.remote);
  }

  private destinationOf(macHi: number, macLo: number): string | undefined {
    const entry = this.tables.fdb.find(this.bd, macHi, macLo);
    if (entry < 0) return undefined;
    const slot = this.tables.fdb.target(entry);
    return this.remotes.list().find((remote) => remote.slot === slot)?.address;
  }

  private exists(mac: string, { address, port, vni }: RemoteKey): VtepdError {
    return new VtepdError(
      "ERR_FDB_ENTRY_EXISTS",
      `mac: ${macTwice(mac)}: it is at ${address} port ${port} vni ${vni}; \`replace\` changes it`,
      { path: "mac" },
    );
  }

  private notFound(mac: string, dst: string | undefined): VtepdError {
    const where = dst === undefined ? "" : ` at ${dst}`;
    return new VtepdError(
      "ERR_FDB_ENTRY_NOT_FOUND",
      `${this.name}: expected an FDB entry for ${mac}${where}, there is none`,
    );
  }
}

const memberExists = ({ address }: RemoteKey): VtepdError =>
  new VtepdError("ERR_FDB_ENTRY_EXISTS", `dst: ${memberTwice(address)}`, { path: "dst" });

const sameRemote = (a: RemoteKey, b: RemoteKey): boolean =>
  a.address === b.address && a.port === b.port && a.vni === b.vni;

const macWords = (mac: string): [hi: number, lo: number] => {
  const bytes = parseMac(mac);
  if (bytes === undefined)
    throw new VtepdError("ERR_CONFIG_VALUE", `expected a MAC address, got "${mac}"`, { path: "mac" });
  return [readMacHi(bytes, 0), readMacLo(bytes, 0)];
};
