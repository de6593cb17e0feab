/**
 * What is asked of one tunnel in the model, by its settings and by hand. The settings have the first word whenever they are read:
 * an entry of theirs that was deleted or replaced by hand is hidden until then. What was said by hand must fit a tunnel that
 * changes; what does not fit when vtepd starts waits.
 */
import type { EntryChange } from "../../src/dataplane/change.ts";
import type { Settings } from "../../src/dataplane/desired-view.ts";

export interface Refusal {
  readonly code: string;
  /** Undefined = not foreseen. */
  readonly path?: string;
}

interface EntryWords {
  readonly mac: string;
  readonly dst: string;
  readonly port?: number | undefined;
  readonly vni?: number | undefined;
  readonly sticky?: boolean | undefined;
}

const FLOOD = "00:00:00:00:00:00";
const ETHERNET = ["vxlan", "geneve", "gretap"];
const PORTS: Readonly<Record<string, number>> = { vxlan: 4789, geneve: 6081 };
const CONFLICT: Refusal = { code: "ERR_CONFIG_CONFLICT" };
const NOT_FOUND: Refusal = { code: "ERR_FDB_ENTRY_NOT_FOUND" };

export const isEthernet = ({ mode }: Settings): boolean => ETHERNET.includes(String(mode));

export const entryText = ({ mac, dst, port, vni, sticky }: EntryWords): string =>
  [mac, dst, port ?? "-", vni ?? "-", sticky === true ? "sticky" : "-"].join(" ");

export const neighbourText = (address: string, mac: string, isRouter: boolean): string =>
  `${address} ${mac}${isRouter ? " router" : ""}`;

const memberKey = (text: string): string => `flood ${text.split(" ").slice(1, 4).join(" ")}`;

/** What the settings say, by what identifies it. */
const ownOf = (settings: Settings): Map<string, string> => {
  const { flood = [], fdb = [] } = settings as { flood?: string[]; fdb?: EntryWords[] };
  if (!isEthernet(settings)) return new Map();
  const members = flood.map((dst) => entryText({ mac: FLOOD, dst }));
  return new Map([
    ...members.map((text) => [memberKey(text), text] as const),
    ...fdb.map((entry) => [`fdb ${entry.mac}`, entryText(entry)] as const),
  ]);
};

const isIpv6 = (address: unknown): boolean => String(address).includes(":");

/** Without what the tunnel has itself. */
const shortened = <Words extends Omit<EntryWords, "mac">>(settings: Settings, words: Words): Words => ({
  ...words,
  port: words.port === PORTS[String(settings["mode"])] ? undefined : words.port,
  vni: words.vni === settings["id"] ? undefined : words.vni,
});

const canSendTo = ({ local }: Settings, dst: string): boolean => dst !== local && isIpv6(dst) === isIpv6(local);

const fits = (settings: Settings, key: string, text: string): boolean => {
  if (key.startsWith("neighbour")) return settings["arp-proxy"] === true;
  return isEthernet(settings) && canSendTo(settings, text.split(" ")[1]!);
};

export class Asked {
  /** By hand; keys begin with `fdb`, `flood` or `neighbour`. */
  private said: Map<string, string> = new Map();
  private hidden: Set<string> = new Set();
  private waiting: Map<string, string> = new Map();

  clone(): Asked {
    const copy = new Asked();
    copy.said = new Map(this.said);
    copy.hidden = new Set(this.hidden);
    copy.waiting = new Map(this.waiting);
    return copy;
  }

  /** How many changes wait. @param isRunning whether there is the tunnel */
  waits(isRunning: boolean): number {
    return this.waiting.size + (isRunning ? 0 : this.said.size);
  }

  lines(name: string, settings: Settings): string[] {
    const own = [...ownOf(settings)].filter(([key]) => !this.hidden.has(key));
    return [
      ...own.map(([, text]) => `fdb ${name} ${text} config`),
      ...[...this.said].map(([key, text]) =>
        key.startsWith("neighbour") ? `neighbour ${name} ${text} control` : `fdb ${name} ${text} control`,
      ),
    ];
  }

  /** The settings have been read. @returns whether what was said by hand fits them */
  read(settings: Settings, isStart = false): boolean {
    this.hidden.clear();
    const own = ownOf(settings);
    for (const [key, text] of this.said) {
      if (own.has(key)) this.said.delete(key);
      else if (!fits(settings, key, text)) {
        if (!isStart) return false;
        this.said.delete(key);
        this.waiting.set(key, text);
      }
    }
    for (const [key, text] of this.waiting) {
      if (!own.has(key) && !fits(settings, key, text)) continue;
      this.waiting.delete(key);
      if (!own.has(key)) this.said.set(key, text);
    }
    return true;
  }

  change(settings: Settings, change: EntryChange): Refusal | undefined {
    const own = ownOf(settings);
    const seen = new Map([...[...own].filter(([key]) => !this.hidden.has(key)), ...this.said]);
    const remove = (key: string): void => {
      if (!this.said.delete(key) && own.has(key)) this.hidden.add(key);
    };
    const put = (key: string, text: string): void => {
      if (own.has(key)) this.hidden.add(key);
      this.waiting.delete(key);
      this.said.set(key, text);
    };
    const setFlood = (members: readonly string[]): void => {
      const keys = new Set(members.map(memberKey));
      for (const key of seen.keys()) if (key.startsWith("flood") && !keys.has(key)) remove(key);
      for (const key of this.waiting.keys()) if (key.startsWith("flood")) this.waiting.delete(key);
      for (const text of members) if (!seen.has(memberKey(text))) put(memberKey(text), text);
    };
    switch (change.op) {
      case "neighbour": {
        const key = `neighbour ${change.address}`;
        if (settings["arp-proxy"] !== true) return CONFLICT;
        if (change.verb === "add" && seen.has(key)) return { code: "ERR_NEIGHBOUR_EXISTS" };
        put(key, neighbourText(change.address, change.mac, change.router === true));
        return undefined;
      }
      case "neighbour-del": {
        const key = `neighbour ${change.address}`;
        const isWaiting = this.waiting.delete(key);
        if (!seen.has(key)) return isWaiting ? undefined : { code: "ERR_NEIGHBOUR_NOT_FOUND" };
        remove(key);
        return undefined;
      }
      case "fdb": {
        if (!isEthernet(settings) || !canSendTo(settings, change.dst)) return CONFLICT;
        const text = entryText(shortened(settings, change));
        if (change.mac === FLOOD) {
          const present = [...seen.keys()].filter((key) => key.startsWith("flood"));
          if (change.verb === "add" && present.length > 0) return { code: "ERR_FDB_ENTRY_EXISTS" };
          if (change.verb === "replace") setFlood([text]);
          else this.addMember(own, text);
          return undefined;
        }
        const key = `fdb ${change.mac}`;
        if (change.verb !== "replace" && seen.has(key)) return { code: "ERR_FDB_ENTRY_EXISTS" };
        put(key, text);
        return undefined;
      }
      case "fdb-del": {
        const prefix = change.mac === FLOOD ? "flood " : `fdb ${change.mac}`;
        const isMeant = ([key, text]: [string, string]): boolean =>
          key.startsWith(prefix) && (change.dst === undefined || text.split(" ")[1] === change.dst);
        const gone = [...this.waiting].filter(([key, text]) =>
          change.mac === FLOOD ? isMeant([key, text]) : key === prefix,
        );
        const present = [...seen].filter(isMeant);
        if (gone.length + present.length === 0) return isEthernet(settings) ? NOT_FOUND : CONFLICT;
        for (const [key] of gone) this.waiting.delete(key);
        for (const [key] of present) remove(key);
        return undefined;
      }
      case "flood":
        if (!isEthernet(settings) || !canSendTo(settings, change.dst)) return CONFLICT;
        this.addMember(own, entryText({ mac: FLOOD, ...shortened(settings, change) }));
        return undefined;
      case "flood-del": {
        const key = memberKey(entryText({ mac: FLOOD, ...shortened(settings, change) }));
        const isWaiting = this.waiting.delete(key);
        if (!seen.has(key)) return isWaiting ? undefined : isEthernet(settings) ? NOT_FOUND : CONFLICT;
        remove(key);
        return undefined;
      }
      case "flood-set": {
        const members = change.members.map((member) => entryText({ mac: FLOOD, ...shortened(settings, member) }));
        if (!isEthernet(settings)) return CONFLICT;
        if (change.members.some(({ dst }) => !canSendTo(settings, dst))) return CONFLICT;
        setFlood(members);
        return undefined;
      }
    }
  }

  /** What `fdb flush` of all static entries takes. */
  flush(settings: Settings): void {
    for (const map of [this.said, this.waiting])
      for (const key of map.keys()) if (key.startsWith("fdb")) map.delete(key);
    for (const key of ownOf(settings).keys()) if (key.startsWith("fdb")) this.hidden.add(key);
  }

  private addMember(own: ReadonlyMap<string, string>, text: string): void {
    const key = memberKey(text);
    this.waiting.delete(key);
    if (!own.has(key) || this.hidden.has(key)) this.said.set(key, text);
  }
}
