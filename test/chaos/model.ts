/**
 * What vtepd shall have after the calls of a chaos walk: tunnels of the file and by hand, and what was said of them. It is simple
 * where vtepd is not: a change happens in a copy, which is taken if nothing refuses it, and a restart keeps what was made by hand.
 *
 * What the file has and what is made by hand have nothing in common but names (settings.ts), because which of the two owns an
 * entry that both have is not what this is about.
 */
import type { Change } from "../../src/dataplane/change.ts";
import type { Settings } from "../../src/dataplane/desired-view.ts";
import { FOREIGN_LOCAL, NO_INTERFACE, PINNED, TAKEN } from "./settings.ts";

type Written = Map<string, Settings>;

/** By what identifies it, the line that the state has for it. */
type Said = Map<string, string>;

export interface Refusal {
  readonly code: string;
  /** Undefined = not foreseen. */
  readonly path?: string;
}

const FLOOD = "00:00:00:00:00:00";
const ETHERNET = ["vxlan", "geneve", "gretap"];
const WRONG_MAC = /^(?!([0-9a-f]{2}:){5}[0-9a-f]{2}$)/;

export const isEthernet = ({ mode }: Settings): boolean => ETHERNET.includes(String(mode));

/** The same text for the same settings, in whatever order. */
export const settingsText = (settings: Settings): string =>
  JSON.stringify(Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))));

interface EntryWords {
  readonly mac: string;
  readonly dst: string;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  readonly sticky?: boolean | undefined;
}

export const entryText = ({ mac, dst, port, vni, sticky }: EntryWords): string =>
  [mac, dst, port ?? "-", vni ?? "-", sticky === true ? "sticky" : "-"].join(" ");

export const neighbourText = (address: string, mac: string, isRouter: boolean): string =>
  `${address} ${mac}${isRouter ? " router" : ""}`;

const copied = <Value>(map: ReadonlyMap<string, Value>): Map<string, Value> => new Map(map);

export class Model {
  /** Of the file that is in effect. */
  file: Written = new Map();
  byHand: Written = new Map();
  /** Of the file on the disk, which the next reload or start brings into effect. */
  disk: ReadonlyMap<string, Settings> = new Map();
  /** Tunnels made by hand that wait for their interface. */
  absent: Set<string> = new Set();
  isInterfaceMissing = false;
  private said: Map<string, Said> = new Map();

  clone(): Model {
    const copy = new Model();
    copy.file = copied(this.file);
    copy.byHand = copied(this.byHand);
    copy.disk = this.disk;
    copy.absent = new Set(this.absent);
    copy.isInterfaceMissing = this.isInterfaceMissing;
    copy.said = new Map([...this.said].map(([name, said]) => [name, copied(said)]));
    return copy;
  }

  private become(next: Model): void {
    const { file, byHand, absent, said } = next;
    Object.assign(this, { file, byHand, absent, said });
  }

  /** Settings of a tunnel that is running. */
  running(name: string): Settings | undefined {
    return this.file.get(name) ?? (this.absent.has(name) ? undefined : this.byHand.get(name));
  }

  get names(): string[] {
    return [...new Set([...this.file.keys(), ...this.byHand.keys()])].filter((name) => this.running(name));
  }

  /** What was said of a tunnel by hand: keys begin with `fdb`, `flood` or `neighbour`. */
  saidOf(name: string): ReadonlyMap<string, string> {
    return this.said.get(name) ?? new Map();
  }

  /** What one call does: all of it, or nothing and why. */
  run(changes: readonly Change[]): Refusal | undefined {
    const isAlone = changes.length === 1;
    const at = (index: number, refusal: Refusal): Refusal =>
      isAlone ? { code: refusal.code } : { ...refusal, path: `changes.${index}` };
    const misshapen = changes.findIndex((change) => "mac" in change && WRONG_MAC.test(change.mac));
    if (misshapen >= 0) return { code: "ERR_CONFIG_VALUE", path: `changes.${misshapen}.mac` };
    const count = changes.filter(({ op }) => op.startsWith("link-")).length;
    if (changes.slice(0, count).some(({ op }) => !op.startsWith("link-")))
      return { code: "ERR_USAGE", path: "changes" };
    const next = this.clone();
    for (const [index, change] of changes.slice(0, count).entries()) {
      const refusal = next.changeLink(change);
      if (refusal !== undefined) return at(index, refusal);
    }
    const flaw = count === 0 ? undefined : next.flaw(this);
    if (flaw !== undefined) return { code: flaw };
    for (const [index, change] of changes.entries()) {
      const refusal = index < count ? undefined : next.changeEntry(change);
      if (refusal !== undefined) return at(index, refusal);
    }
    this.become(next);
    return undefined;
  }

  /** Another file comes into effect. Returns the code of the error if it cannot. */
  apply(file: ReadonlyMap<string, Settings>): string | undefined {
    const next = this.clone();
    next.file = copied(file);
    for (const name of file.keys()) {
      next.byHand.delete(name);
      next.absent.delete(name);
    }
    for (const name of next.said.keys()) if (!next.file.has(name) && !next.byHand.has(name)) next.said.delete(name);
    const flaw = next.flaw(this);
    if (flaw === undefined) this.become(next);
    return flaw;
  }

  /** The daemon ends somehow, and another one starts. @param isFresh nothing by hand is kept */
  restart(file: ReadonlyMap<string, Settings>, isFresh: boolean): void {
    if (isFresh) {
      this.byHand.clear();
      this.said.clear();
    }
    this.file = copied(file);
    for (const name of file.keys()) this.byHand.delete(name);
    for (const name of this.said.keys()) if (!file.has(name) && !this.byHand.has(name)) this.said.delete(name);
    this.absent.clear();
    if (this.isInterfaceMissing) {
      for (const [name, { link }] of this.byHand) if (link === PINNED) this.absent.add(name);
    }
  }

  /** The interface is there again, and what waited for it is, too. */
  returned(): void {
    this.isInterfaceMissing = false;
    this.absent.clear();
  }

  /** A tunnel's device was deleted: the file's come back. */
  deviceDeleted(name: string): void {
    if (this.byHand.delete(name)) this.said.delete(name);
  }

  /** The state, line by line, as the control socket and the host tell it (state.ts). */
  lines(): string[] {
    return this.names.flatMap((name) => {
      const settings = this.running(name)!;
      const { mode, flood = [], fdb = [], addresses = [], id, ageing = 300 } = settings as Record<string, never>;
      const members = (flood as string[]).map((dst) => entryText({ mac: FLOOD, dst }));
      const entries = (fdb as { mac: string; dst: string }[]).map(entryText);
      return [
        `link ${name} ${this.file.has(name) ? "config" : "control"} ${settingsText(settings)}`,
        `runs ${name} ${mode} ${id ?? "-"} ${isEthernet(settings) && id !== undefined ? ageing : "-"}`,
        `device ${name} ${(addresses as string[]).join(" ")}`,
        ...(isEthernet(settings) ? [...members, ...entries].map((text) => `fdb ${name} ${text} config`) : []),
        ...[...this.saidOf(name)].map(([key, text]) =>
          key.startsWith("neighbour") ? `neighbour ${name} ${text} control` : `fdb ${name} ${text} control`,
        ),
      ];
    });
  }

  private changeLink(change: Change): Refusal | undefined {
    if (change.op === "link-add") {
      const { name } = change;
      if (this.running(name) !== undefined) return { code: "ERR_DEVICE_EXISTS" };
      this.said.delete(name);
      this.absent.delete(name);
      this.byHand.set(name, change.settings);
    } else if (change.op === "link-set" || change.op === "link-del") {
      const { op, name } = change;
      if (this.file.has(name)) return { code: "ERR_LINK_OWNER" };
      const before = this.byHand.get(name);
      if (before === undefined) return { code: "ERR_LINK_NOT_FOUND" };
      if (op === "link-set" && this.absent.has(name)) return { code: "ERR_LINK_WAITING" };
      if (op === "link-del") {
        this.byHand.delete(name);
        this.absent.delete(name);
        this.said.delete(name);
      } else {
        const next = Object.entries({ ...before, ...change.settings }).filter(([, value]) => value !== null);
        this.byHand.set(name, Object.fromEntries(next));
      }
    }
    return undefined;
  }

  private changeEntry(change: Change): Refusal | undefined {
    if (change.op === "link-add" || change.op === "link-set" || change.op === "link-del") return undefined;
    const settings = this.running(change.dev);
    if (settings === undefined) return { code: "ERR_LINK_NOT_FOUND" };
    const said = this.said.get(change.dev) ?? new Map<string, string>();
    this.said.set(change.dev, said);
    if (change.op === "neighbour" || change.op === "neighbour-del") {
      const key = `neighbour ${change.address}`;
      if (change.op === "neighbour-del") return said.delete(key) ? undefined : { code: "ERR_NEIGHBOUR_NOT_FOUND" };
      if (settings["arp-proxy"] !== true) return { code: "ERR_CONFIG_CONFLICT" };
      if (change.verb === "add" && said.has(key)) return { code: "ERR_NEIGHBOUR_EXISTS" };
      said.set(key, neighbourText(change.address, change.mac, change.router === true));
      return undefined;
    }
    if (!isEthernet(settings)) return { code: "ERR_CONFIG_CONFLICT" };
    if ("dst" in change && change.op !== "fdb-del" && change.dst === settings["local"]) {
      return change.op === "flood-del" ? { code: "ERR_FDB_ENTRY_NOT_FOUND" } : { code: "ERR_CONFIG_CONFLICT" };
    }
    if (change.op === "fdb") {
      const key = `fdb ${change.mac}`;
      if (change.verb !== "replace" && said.has(key)) return { code: "ERR_FDB_ENTRY_EXISTS" };
      said.set(key, entryText(change));
    } else if (change.op === "fdb-del") {
      const key = `fdb ${change.mac}`;
      const isThere = change.dst === undefined || said.get(key)?.split(" ")[1] === change.dst;
      if (!isThere || !said.delete(key)) return { code: "ERR_FDB_ENTRY_NOT_FOUND" };
    } else if (change.op === "flood" || change.op === "flood-del") {
      const key = `flood ${change.dst}`;
      if (change.op === "flood") said.set(key, entryText({ mac: FLOOD, dst: change.dst }));
      else if (!said.delete(key)) return { code: "ERR_FDB_ENTRY_NOT_FOUND" };
    }
    return undefined;
  }

  /** Why this can not be made of what was before: the code of what vtepd finds first. */
  private flaw(before: Model): string | undefined {
    const all = this.names.map((name) => ({ name, settings: this.running(name)! }));
    const fresh = all.filter(({ name, settings }) => before.running(name) !== settings);
    const numbers = all.map(({ settings: { mode, id } }) => (id === undefined ? undefined : `${mode} ${id}`));
    const checks: [code: string, isSo: boolean][] = [
      [
        "ERR_CONFIG_VALUE",
        fresh.some(({ name, settings }) => name.includes("/") || Number(settings["id"] ?? 0) > 0xffffff),
      ],
      ["ERR_CONFIG_KEY", fresh.some(({ settings }) => "idd" in settings)],
      ["ERR_CONFIG_CONFLICT", numbers.some((text, at) => text !== undefined && numbers.indexOf(text) !== at)],
      [
        "ERR_INTERFACE_NOT_FOUND",
        fresh.some(({ settings: { link } }) => link === NO_INTERFACE || (link === PINNED && this.isInterfaceMissing)),
      ],
      ["ERR_ADDRESS_NOT_LOCAL", fresh.some(({ settings }) => settings["local"] === FOREIGN_LOCAL)],
      ["ERR_DEVICE_EXISTS", fresh.some(({ name }) => name === TAKEN)],
    ];
    return checks.find(([, isSo]) => isSo)?.[0];
  }
}
