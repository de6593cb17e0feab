/** A configuration's plain value, and where each part of it is written: in one file or in several. */
import type { KeyPath, Place } from "./problem.ts";

export interface Found {
  readonly present: boolean;
  readonly value: unknown;
}

/** The plain value at `path`; an absent one is not the same as an empty one. */
export const valueIn = (whole: unknown, path: KeyPath): Found => {
  let value = whole;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) {
      return { present: false, value: undefined };
    }
    value = (value as Record<string | number, unknown>)[step];
  }
  return { present: true, value };
};

export abstract class PlacedValue {
  /** Maps, lists and scalars. May hold cycles, as aliases can make them. */
  abstract readonly value: unknown;
  /** Where the value at `path` begins; for a path that is not written, where its nearest parent begins. */
  abstract valuePlace(path: KeyPath): Place;
  /** Where the key that `path` ends with stands; for a list item, where the item begins. */
  abstract keyPlace(path: KeyPath): Place;

  valueAt(path: KeyPath): Found {
    return valueIn(this.value, path);
  }

  /** The keys of the map at `path`; none when something else or nothing stands there. */
  keysAt(path: KeyPath): string[] {
    const { value } = this.valueAt(path);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
  }
}
