/**
 * What has been said of one tunnel by hand, folded: of each MAC, member of the flood list and neighbour the last word. It needs no
 * tunnel, so that records of a journal mean the same whatever the tunnel is when they are read.
 */
import type { EntryChange } from "../dataplane/change.ts";
import type { FdbFilter, FloodMember } from "../dataplane/view.ts";
import { FLOOD_MAC } from "./flood-list.ts";

const memberText = ({ dst, port, vni, via }: FloodMember): string => `${dst} ${port ?? ""} ${vni ?? ""} ${via ?? ""}`;

const memberOf = ({ dst, port, vni, via }: FloodMember): FloodMember => ({
  dst,
  ...(port === undefined ? {} : { port }),
  ...(vni === undefined ? {} : { vni }),
  ...(via === undefined ? {} : { via }),
});

export class Said {
  private readonly entries = new Map<string, Extract<EntryChange, { op: "fdb" }>>();
  private readonly members = new Map<string, FloodMember>();
  private readonly neighbours = new Map<string, Extract<EntryChange, { op: "neighbour" }>>();

  static of(changes: readonly EntryChange[]): Said {
    const said = new Said();
    for (const change of changes) said.take(change);
    return said;
  }

  get size(): number {
    return this.entries.size + this.members.size + this.neighbours.size;
  }

  take(change: EntryChange): void {
    switch (change.op) {
      case "fdb":
        if (change.mac !== FLOOD_MAC) {
          this.entries.set(change.mac, { ...change, verb: "replace" });
          return;
        }
        if (change.verb === "replace") this.members.clear();
        this.add(change);
        return;
      case "flood":
        this.add(change);
        return;
      case "flood-set":
        this.members.clear();
        for (const member of change.members) this.add(member);
        return;
      case "neighbour":
        this.neighbours.set(change.address, { ...change, verb: "replace" });
        return;
      default:
        this.drop(change);
    }
  }

  /** Whether there may be something that a change speaks of. */
  has(change: EntryChange): boolean {
    if (change.op === "neighbour" || change.op === "neighbour-del") return this.neighbours.has(change.address);
    if ((change.op === "fdb" || change.op === "fdb-del") && change.mac !== FLOOD_MAC)
      return this.entries.has(change.mac);
    return this.members.size > 0;
  }

  /** Forgets what a change speaks of, whatever it says. Returns whether there was something. */
  drop(change: EntryChange): boolean {
    const before = this.size;
    switch (change.op) {
      case "fdb":
      case "fdb-del":
        if (change.mac !== FLOOD_MAC) this.entries.delete(change.mac);
        else if (change.op === "fdb" && change.verb !== "replace") this.members.delete(memberText(change));
        else this.dropMembers(change.op === "fdb" ? undefined : change.dst);
        break;
      case "flood":
      case "flood-del":
        this.members.delete(memberText(change));
        break;
      case "flood-set":
        this.members.clear();
        break;
      case "neighbour":
      case "neighbour-del":
        this.neighbours.delete(change.address);
        break;
    }
    return this.size < before;
  }

  /** MACs of the entries that a flush takes. */
  macs({ mac, dst, port, vni, state = "learned", idleS = 0, ageS = 0 }: FdbFilter): string[] {
    if (state === "learned" || idleS > 0 || ageS > 0) return [];
    const takes = (wanted: unknown, value: unknown): boolean => wanted === undefined || wanted === value;
    return [...this.entries.values()]
      .filter(
        (entry) => takes(mac, entry.mac) && takes(dst, entry.dst) && takes(port, entry.port) && takes(vni, entry.vni),
      )
      .map((entry) => entry.mac);
  }

  /** The same, as changes that can be made one by one. */
  changes(dev: string): EntryChange[] {
    return [
      ...[...this.members.values()].map((member): EntryChange => ({ op: "flood", dev, ...member })),
      ...this.entries.values(),
      ...this.neighbours.values(),
    ];
  }

  private add(member: FloodMember): void {
    const text = memberText(member);
    if (!this.members.has(text)) this.members.set(text, memberOf(member));
  }

  private dropMembers(dst: string | undefined): void {
    for (const [text, member] of this.members) if (dst === undefined || member.dst === dst) this.members.delete(text);
  }
}

/** @param change one that Said.changes or changesOf has made */
export const deletionOf = (change: EntryChange): EntryChange => {
  switch (change.op) {
    case "fdb":
      return { op: "fdb-del", dev: change.dev, mac: change.mac };
    case "flood":
      return { ...change, op: "flood-del" };
    case "neighbour":
      return { op: "neighbour-del", dev: change.dev, address: change.address };
    default:
      throw new TypeError(`expected a change that adds, got ${change.op}`);
  }
};

/** What was said before and is not any more, as deletions. */
export const forgottenOf = (before: readonly EntryChange[], after: readonly EntryChange[]): EntryChange[] => {
  if (before.length === 0) return [];
  const rest = Said.of(before);
  for (const change of after) rest.drop(change);
  return before[0] === undefined ? [] : rest.changes(before[0].dev).map(deletionOf);
};
