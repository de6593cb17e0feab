/**
 * The neighbours of one tunnel: those that an operator has named, and those heard behind remote VTEPs. It keeps them by
 * address for showing, and writes them through to the table that the workers answer from (dataplane/neighbour-table.ts).
 *
 * A named neighbour stays as it is, whatever is heard. A learned one goes when it was not heard for the tunnel's ageing
 * time, or was heard on our own side. At most MAX_LEARNED are learned: addresses are whatever a frame claims. Main thread.
 */
import ipaddr from "ipaddr.js";
import type { NeighbourConfig } from "../config/config.ts";
import { addressTwice } from "../config/contradictions.ts";
import {
  type AddressWords,
  NEIGHBOUR_ROUTER,
  NEIGHBOUR_STATIC,
  type NeighbourTable,
} from "../dataplane/neighbour-table.ts";
import type { NeighbourRequest, NeighbourView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { formatMac, parseMac, readMacHi, readMacLo } from "../wire/mac.ts";
import { monotonicS } from "./clock.ts";
import type { EntryEars } from "./entry-ears.ts";

const MAX_LEARNED = 16_384;

interface Neighbour {
  readonly handle: number;
  readonly owner: NeighbourView["owner"];
  /** Second in which it was made or changed. */
  readonly sinceS: number;
}

export type NeighbourChange = "learned" | "moved" | "aged" | "here";

export class Neighbours {
  private readonly name: string;
  private readonly table: NeighbourTable;
  private readonly bd: number;
  private readonly ears: EntryEars;
  /** 0 = never. */
  private ageingS = 0;
  private readonly known = new Map<string, Neighbour>();
  private learned = 0;

  constructor(name: string, table: NeighbourTable, bd: number, ears: EntryEars) {
    this.name = name;
    this.ears = ears;
    this.table = table;
    this.bd = bd;
  }

  /** @param request checked: canonical address, MAC in lower case. @throws ERR_NEIGHBOUR_EXISTS, ERR_LIMIT */
  change(verb: "add" | "replace", request: NeighbourRequest, owner: "config" | "control"): void {
    const before = this.known.get(request.address);
    if (before !== undefined && before.owner !== "learned" && verb === "add") {
      const words = addressTwice(request.address);
      const message = `address: ${words}: it is at ${this.macOf(before)}; \`replace\` changes it`;
      throw new VtepdError("ERR_NEIGHBOUR_EXISTS", message, { path: "address" });
    }
    this.note(request.address, before?.owner === "learned" ? undefined : before);
    const mac = parseMac(request.mac)!;
    const flags = NEIGHBOUR_STATIC | (request.router === true ? NEIGHBOUR_ROUTER : 0);
    this.put(request.address, readMacHi(mac, 0), readMacLo(mac, 0), flags, owner);
  }

  /** @throws ERR_NEIGHBOUR_NOT_FOUND */
  delete(address: string): void {
    const neighbour = this.known.get(address);
    if (neighbour === undefined) {
      throw new VtepdError("ERR_NEIGHBOUR_NOT_FOUND", `${this.name}: expected a neighbour, ${address} is none`);
    }
    this.note(address, neighbour);
    this.drop(address, neighbour);
  }

  /** A neighbour that an operator has named. */
  named(address: string): (NeighbourRequest & { readonly owner: "config" | "control" }) | undefined {
    const neighbour = this.known.get(address);
    if (neighbour === undefined || neighbour.owner === "learned") return undefined;
    const router = (this.table.flags(neighbour.handle) & NEIGHBOUR_ROUTER) !== 0;
    return { address, mac: this.macOf(neighbour), router, owner: neighbour.owner };
  }

  /** All that operators have named. */
  allNamed(): (NeighbourRequest & { readonly owner: "config" | "control" })[] {
    return [...this.known.keys()].flatMap((address) => this.named(address) ?? []);
  }

  /** Removes the learned ones, or all; returns how many. */
  flush(state: "learned" | "all"): number {
    const goes = [...this.known].filter(([, { owner }]) => state === "all" || owner === "learned");
    for (const [address, neighbour] of goes) {
      this.note(address, neighbour);
      this.drop(address, neighbour);
    }
    return goes.length;
  }

  /** Makes those that `config` names these; the rest of the configuration has checked them. @param ageingS 0 = never */
  configure(neighbours: readonly NeighbourConfig[], ageingS: number): void {
    this.ageingS = ageingS;
    const wanted = new Set(neighbours.map(({ address }) => address));
    const goes = [...this.known].filter(([address, { owner }]) => owner === "config" && !wanted.has(address));
    for (const [address, neighbour] of goes) {
      this.note(address, neighbour);
      this.drop(address, neighbour);
    }
    for (const neighbour of neighbours) this.change("replace", neighbour, "config");
  }

  /** A neighbour was heard behind a remote VTEP. Returns what that changed. */
  heard(words: AddressWords, macHi: number, macLo: number, isRouter: boolean): NeighbourChange | undefined {
    const address = formatWords(words);
    const before = this.known.get(address);
    const nowS = monotonicS();
    if (before === undefined) {
      if (this.learned >= MAX_LEARNED) return undefined;
      this.put(address, macHi, macLo, isRouter ? NEIGHBOUR_ROUTER : 0, "learned");
      return "learned";
    }
    if (before.owner !== "learned") return undefined;
    const { table } = this;
    const isSame = table.macHi(before.handle) === macHi && table.macLo(before.handle) === macLo;
    // Only an advertisement says that somebody is a router: what was said lasts while the MAC is the same.
    const flags = (isSame ? table.flags(before.handle) : 0) | (isRouter ? NEIGHBOUR_ROUTER : 0);
    if (isSame && flags === table.flags(before.handle)) {
      table.touch(before.handle, nowS);
      return undefined;
    }
    this.put(address, macHi, macLo, flags, "learned");
    return isSame ? undefined : "moved";
  }

  /** A neighbour was heard behind our own device. Returns whether one was forgotten. */
  isHere(words: AddressWords): boolean {
    const address = formatWords(words);
    const neighbour = this.known.get(address);
    if (neighbour?.owner !== "learned") return false;
    this.drop(address, neighbour);
    return true;
  }

  /** Removes what was not heard for long; returns the addresses. */
  age(nowS: number): string[] {
    if (this.ageingS === 0 || this.learned === 0) return [];
    const old = [...this.known].filter(
      ([, { owner, handle }]) => owner === "learned" && nowS - this.table.seenS(handle) >= this.ageingS,
    );
    for (const [address, neighbour] of old) this.drop(address, neighbour);
    return old.map(([address]) => address);
  }

  *list(): Generator<NeighbourView> {
    const nowS = monotonicS();
    for (const [address, neighbour] of this.known) {
      const { handle, owner, sinceS } = neighbour;
      yield {
        dev: this.name,
        address,
        mac: this.macOf(neighbour),
        router: (this.table.flags(handle) & NEIGHBOUR_ROUTER) !== 0,
        owner,
        heardS: nowS - this.table.seenS(handle),
        updatedS: nowS - sinceS,
      };
    }
  }

  private put(address: string, macHi: number, macLo: number, flags: number, owner: Neighbour["owner"]): void {
    const nowS = monotonicS();
    const before = this.known.get(address);
    const handle = this.table.insert(this.bd, wordsOf(address), macHi, macLo, flags, nowS);
    if (before !== undefined) this.drop(address, before);
    this.known.set(address, { handle, owner, sinceS: nowS });
    if (owner === "learned") this.learned++;
  }

  /** Before it changes. */
  private note(address: string, before: Neighbour | undefined): void {
    if (!this.ears.isOn) return;
    const isRouter = before !== undefined && (this.table.flags(before.handle) & NEIGHBOUR_ROUTER) !== 0;
    this.ears.neighbour(this.name, address, before && { mac: this.macOf(before), router: isRouter });
  }

  private drop(address: string, { handle, owner }: Neighbour): void {
    this.table.remove(handle, monotonicS());
    this.known.delete(address);
    if (owner === "learned") this.learned--;
  }

  private macOf({ handle }: Neighbour): string {
    return formatMac(this.table.macHi(handle), this.table.macLo(handle));
  }
}

const wordsOf = (address: string): AddressWords => {
  const bytes = Buffer.alloc(16);
  const given = ipaddr.process(address).toByteArray();
  bytes.set(given, 16 - given.length);
  if (given.length === 4) bytes.writeUInt16BE(0xffff, 10);
  return [bytes.readInt32BE(0), bytes.readInt32BE(4), bytes.readInt32BE(8), bytes.readInt32BE(12)];
};

/** Text of an address in four words of network order. */
export const formatWords = (words: AddressWords): string => {
  const bytes = Buffer.alloc(16);
  for (const [index, word] of words.entries()) bytes.writeInt32BE(word, index * 4);
  return ipaddr.process(ipaddr.fromByteArray([...bytes]).toString()).toString();
};
