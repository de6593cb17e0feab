/** Random edits of the configuration file: the tunnels in it that the walk may touch. */
import type { Settings } from "../../src/dataplane/desired-view.ts";
import { numberFor } from "./calls.ts";
import type { Model } from "./model.ts";
import type { Random } from "./random.ts";
import { changesOf, NAMES, settingsOf, TAKEN, wrongSettings } from "./settings.ts";

export type Tunnels = ReadonlyMap<string, Settings>;

/** Tunnels that take each other's number: neither can be made before the other has gone. */
const swapped = (random: Random, next: Map<string, Settings>): void => {
  const names = [...next.keys()].filter((name) => next.get(name)!["id"] !== undefined);
  const [a, b] = [random.pick(names), random.pick(names)];
  const [left, right] = [next.get(a)!, next.get(b)!];
  next.set(a, { ...left, id: right["id"], ...(left["addresses"] ? { addresses: left["addresses"] } : {}) });
  next.set(b, { ...right, id: left["id"] });
};

/** A file that is right. It may have names of tunnels that were made by hand. */
export const edited = (random: Random, model: Model, before: Tunnels): Map<string, Settings> => {
  const next = new Map(before);
  for (let count = 1 + random.below(3); count > 0; count--) {
    const name = random.pick(NAMES);
    const number = numberFor(random, [model], [...before.values(), ...next.values()]);
    const present = next.get(name);
    const byHand = model.byHand.get(name);
    if (present === undefined && byHand !== undefined) {
      // Over the interface that stays.
      const { link: _, ...rest } = byHand;
      if (random.chance(0.2)) next.set(name, settingsOf(random, name, number));
      else if (random.chance(0.3) && byHand["link"] === undefined) next.set(name, rest);
    } else if (present === undefined) next.set(name, settingsOf(random, name, number));
    else if (random.chance(0.4)) next.delete(name);
    else {
      const changed = Object.entries({ ...present, ...changesOf(random, present, number) });
      next.set(name, Object.fromEntries(changed.filter(([, value]) => value !== null)));
    }
  }
  if (random.chance(0.2) && [...next.values()].some(({ id }) => id !== undefined)) swapped(random, next);
  return next;
};

/** A right one, and something that is wrong. */
export const spoilt = (random: Random, model: Model, before: Tunnels): Map<string, Settings> => {
  const next = edited(random, model, before);
  const number = numberFor(random, [model], [...before.values(), ...next.values()]);
  const settings = settingsOf(random, "c1", number);
  // Behind the others in the file, so that the right ones have been made when it is found.
  if (random.chance(0.5)) next.set(TAKEN, settings);
  else next.set("c98", wrongSettings(random, settings, [...next.values()]));
  return next;
};
