/** Random changes over the control socket, most of them right. */
import type { Change, EntryChange, LinkChange } from "../../src/dataplane/change.ts";
import type { Settings } from "../../src/dataplane/desired-view.ts";
import { isEthernet } from "./asked.ts";
import type { Model } from "./model.ts";
import type { Random } from "./random.ts";
import {
  changesOf,
  freeNumber,
  HAND_MACS,
  HAND_MEMBERS,
  HAND_MEMBERS6,
  LOCAL,
  NAMES,
  NEIGHBOURS,
  settingsOf,
  TAKEN,
  wrongSettings,
} from "./settings.ts";

const FLOOD = "00:00:00:00:00:00";

/** All that have a number, or will have it. */
const numbered = (models: readonly Model[]): Settings[] =>
  models.flatMap(({ file, byHand, disk }) => [...file.values(), ...byHand.values(), ...disk.values()]);

/** @param others models whose numbers are taken, too */
export const numberFor = (random: Random, models: readonly Model[], others: Iterable<Settings> = []): number =>
  freeNumber(random, [...numbered(models), ...others]);

/** A change of an entry that may or may not be possible. @param dev a name, or none at all */
export const entryChange = (random: Random, model: Model, dev: string): EntryChange => {
  const mac = random.chance(0.02) ? "02:zz" : random.pick(HAND_MACS);
  const own = String(model.running(dev)?.["local"] ?? LOCAL);
  const members = own.includes(":") === random.chance(0.97) ? HAND_MEMBERS6 : HAND_MEMBERS;
  const dst = random.chance(0.03) ? own : random.pick(members);
  const elsewhere = random.chance(0.3) ? placeOf(random, model.running(dev)) : {};
  const verb = random.pick(["add", "append", "replace"] as const);
  const address = random.pick(NEIGHBOURS);
  return random.weighted<() => EntryChange>([
    [5, () => ({ op: "fdb", dev, verb, mac, dst, ...elsewhere, ...(random.chance(0.2) ? { sticky: true } : {}) })],
    [3, () => ({ op: "fdb-del", dev, mac, ...(random.chance(0.3) ? { dst: random.pick(HAND_MEMBERS) } : {}) })],
    [3, () => ({ op: "flood", dev, dst, ...elsewhere })],
    [2, () => ({ op: "flood-del", dev, dst, ...elsewhere })],
    [
      1,
      () => ({ op: "flood-set", dev, members: random.some(members).map((member) => ({ dst: member, ...elsewhere })) }),
    ],
    [1, () => ({ op: "fdb", dev, verb, mac: FLOOD, dst, ...elsewhere })],
    [0.5, () => ({ op: "fdb-del", dev, mac: FLOOD, ...(random.chance(0.7) ? { dst } : {}) })],
    [
      3,
      () => ({
        op: "neighbour",
        dev,
        verb: random.pick(["add", "replace"] as const),
        address,
        mac,
        ...(random.chance(0.3) ? { router: true } : {}),
      }),
    ],
    [2, () => ({ op: "neighbour-del", dev, address })],
  ])();
};

/** UDP port and VNI, others than the tunnel's own or the same. */
const placeOf = (random: Random, settings: Settings | undefined): { port?: number; vni?: number } => {
  const { id, mode } = settings ?? {};
  if (id === undefined) return {};
  return {
    port: random.chance(0.3) ? (mode === "geneve" ? 6081 : 4789) : 7001 + random.below(3),
    ...(random.chance(0.6) ? { vni: random.chance(0.3) ? Number(id) : 9001 + random.below(3) } : {}),
  };
};

/** Names that entries may be said of; those that can have them more often. */
export const deviceFor = (random: Random, model: Model): string => {
  const able = model.names.filter((name) => isEthernet(model.running(name)!));
  return able.length > 0 && random.chance(0.9) ? random.pick(able) : random.pick(NAMES);
};

/** A change of a tunnel. @param others models whose numbers are taken, too */
export const linkChange = (random: Random, model: Model, name: string, others: readonly Model[] = []): LinkChange => {
  const number = numberFor(random, [model, ...others]);
  const before = model.byHand.get(name);
  if (model.running(name) === undefined || random.chance(0.05)) {
    return { op: "link-add", name, settings: settingsOf(random, name, number, random.chance(0.3)) };
  }
  if (random.chance(0.3)) return { op: "link-del", name };
  return { op: "link-set", name, settings: before === undefined ? { ttl: 9 } : changesOf(random, before, number) };
};

const wrongLink = (random: Random, model: Model): LinkChange => {
  const free = NAMES.filter((name) => model.running(name) === undefined);
  const name = random.weighted([
    [6, free.length === 0 ? "c99" : random.pick(free)],
    [1, TAKEN],
    [1, "no/name"],
  ]);
  const right = settingsOf(random, "c1", numberFor(random, [model]));
  const present = model.names.map((known) => model.running(known)!).filter(({ local }) => local === LOCAL);
  return { op: "link-add", name, settings: wrongSettings(random, right, present) };
};

/** A call of one change or of several, those of links first. */
export const randomCall = (random: Random, model: Model): Change[] => {
  const one = (draft: Model): Change => entryChange(random, draft, deviceFor(random, draft));
  return random.weighted<() => Change[]>([
    [10, () => [one(model)]],
    [8, () => [linkChange(random, model, random.pick(NAMES))]],
    [4, () => [wrongLink(random, model)]],
    [6, () => several(random, model, one)],
    [1, () => [one(model), linkChange(random, model, random.pick(NAMES))]],
  ])();
};

/** Each made for what is there after those before it, so that most of these calls succeed as a whole. */
const several = (random: Random, model: Model, one: (draft: Model) => Change): Change[] => {
  const draft = model.clone();
  const changes: Change[] = [];
  const push = (change: Change): void => {
    if (draft.run([change]) === undefined || random.chance(0.03)) changes.push(change);
  };
  for (let count = random.below(3); count > 0; count--) {
    push(linkChange(random, draft, random.pick(NAMES), [model]));
  }
  for (let count = 1 + random.below(30); count > 0; count--) push(one(draft));
  return changes.length === 0 ? [one(model)] : changes;
};
