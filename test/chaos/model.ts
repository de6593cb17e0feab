/**
 * What vtepd shall have after the calls of a chaos walk: tunnels of the file and by hand, and what was said of them (asked.ts). It
 * is simple where vtepd is not: a change happens in a copy, which is taken if nothing refuses it, and a restart keeps what was made by
 * hand.
 */
import type { Change } from "../../src/dataplane/change.ts";
import type { Settings } from "../../src/dataplane/desired-view.ts";
import { Asked, isEthernet, type Refusal } from "./asked.ts";
import { FOREIGN_LOCAL, NO_INTERFACE, PINNED, TAKEN } from "./settings.ts";

type Written = Map<string, Settings>;

const WRONG_MAC = /^(?!([0-9a-f]{2}:){5}[0-9a-f]{2}$)/;

/** The same text for the same settings, in whatever order. */
export const settingsText = (settings: Settings): string =>
  JSON.stringify(Object.fromEntries(Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1))));

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
  private asked: Map<string, Asked> = new Map();

  clone(): Model {
    const copy = new Model();
    copy.file = copied(this.file);
    copy.byHand = copied(this.byHand);
    copy.disk = this.disk;
    copy.absent = new Set(this.absent);
    copy.isInterfaceMissing = this.isInterfaceMissing;
    copy.asked = new Map([...this.asked].map(([name, asked]) => [name, asked.clone()]));
    return copy;
  }

  private become(next: Model): void {
    const { file, byHand, absent, asked } = next;
    Object.assign(this, { file, byHand, absent, asked });
  }

  /** Settings of a tunnel that is running. */
  running(name: string): Settings | undefined {
    return this.file.get(name) ?? (this.absent.has(name) ? undefined : this.byHand.get(name));
  }

  get names(): string[] {
    return [...new Set([...this.file.keys(), ...this.byHand.keys()])].filter((name) => this.running(name));
  }

  /** How many changes wait for a tunnel that they fit. */
  get waits(): number {
    return [...this.asked].reduce((sum, [name, asked]) => sum + asked.waits(this.running(name) !== undefined), 0);
  }

  private askedOf(name: string): Asked {
    const asked = this.asked.get(name) ?? new Asked();
    this.asked.set(name, asked);
    return asked;
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
    const flaw = count === 0 ? undefined : (next.flaw(this) ?? next.read(this, () => false) ?? next.taken(this));
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
    for (const name of next.asked.keys()) if (!next.file.has(name) && !next.byHand.has(name)) next.asked.delete(name);
    const flaw = next.flaw(this) ?? next.read(this, () => true) ?? next.taken(this);
    if (flaw === undefined) this.become(next);
    return flaw;
  }

  /** The daemon ends somehow, and another one starts. @param isFresh nothing by hand is kept */
  restart(file: ReadonlyMap<string, Settings>, isFresh: boolean): void {
    if (isFresh) {
      this.byHand.clear();
      this.asked.clear();
    }
    this.file = copied(file);
    for (const name of file.keys()) this.byHand.delete(name);
    for (const name of this.asked.keys()) if (!file.has(name) && !this.byHand.has(name)) this.asked.delete(name);
    this.absent.clear();
    if (this.isInterfaceMissing) {
      for (const [name, { link }] of this.byHand) if (link === PINNED) this.absent.add(name);
    }
    for (const name of this.names) this.askedOf(name).read(this.running(name)!, true);
  }

  /** The interface is there again, and what waited for it is, too. */
  returned(): void {
    this.isInterfaceMissing = false;
    for (const name of this.absent) this.askedOf(name).read(this.byHand.get(name)!, true);
    this.absent.clear();
  }

  /** A tunnel's device was deleted: the file's come back. */
  deviceDeleted(name: string): void {
    if (this.byHand.delete(name)) this.asked.delete(name);
  }

  /** The state, line by line, as the control socket and the host tell it (state.ts). */
  lines(): string[] {
    const links = this.names.flatMap((name) => {
      const settings = this.running(name)!;
      const { mode, addresses = [], id, ageing = 300 } = settings as Record<string, never>;
      return [
        `link ${name} ${this.file.has(name) ? "config" : "control"} ${settingsText(settings)}`,
        `runs ${name} ${mode} ${id ?? "-"} ${isEthernet(settings) && id !== undefined ? ageing : "-"}`,
        `device ${name} ${[...(addresses as string[])].sort().join(" ")}`,
        ...this.askedOf(name).lines(name, settings),
      ];
    });
    return [...links, `waiting ${this.waits}`];
  }

  private changeLink(change: Change): Refusal | undefined {
    if (change.op === "link-add") {
      const { name } = change;
      if (this.running(name) !== undefined) return { code: "ERR_DEVICE_EXISTS" };
      this.asked.delete(name);
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
        this.asked.delete(name);
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
    return this.askedOf(change.dev).change(settings, change);
  }

  /** Settings are read again. Returns the code of the error if what was said does not fit them. @param isRead of those that stay the same */
  private read(before: Model, isRead: (name: string) => boolean): string | undefined {
    for (const name of this.names) {
      const settings = this.running(name)!;
      const former = before.running(name);
      if (former === settings && !isRead(name)) continue;
      if (!this.askedOf(name).read(settings, former === undefined)) return "ERR_CONFIG_CONFLICT";
    }
    return undefined;
  }

  /** All static entries go. */
  flush(name: string): void {
    this.askedOf(name).flush(this.running(name)!);
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
    ];
    return checks.find(([, isSo]) => isSo)?.[0];
  }

  /** What is found when sockets and devices are made. */
  private taken(before: Model): string | undefined {
    const isForeign = (name: string): boolean => this.running(name)!["local"] === FOREIGN_LOCAL;
    if (this.names.some(isForeign)) return "ERR_ADDRESS_NOT_LOCAL";
    return this.running(TAKEN) !== before.running(TAKEN) ? "ERR_DEVICE_EXISTS" : undefined;
  }
}
