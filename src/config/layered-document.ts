/**
 * Several configuration files as one, by netplan's rules: the keys of maps come together, a later scalar stands for an
 * earlier one, a later list is appended. A map that is left empty adds nothing. Every value keeps its place in its own file.
 */
import type { ConfigDocument } from "./document.ts";
import { PlacedValue, valueIn } from "./placed-value.ts";
import type { KeyPath, Place } from "./problem.ts";

type Plain = Record<string, unknown>;

/** Keys whose list is one value: a later one stands for an earlier one. */
const WHOLE_LISTS: readonly unknown[] = ["port-range"];

const isMap = (value: unknown): value is Plain => typeof value === "object" && value !== null && !Array.isArray(value);
const isEmpty = (value: unknown): boolean => value === null || value === undefined;

/** Deeper than any configuration; aliases can make maps that have no end. */
const MAX_DEPTH = 16;

/** What two values come to. `key` is what they stand under. */
const merge = (earlier: unknown, later: unknown, key: unknown, depth = 0): unknown => {
  if (isMap(earlier) && isMap(later) && depth < MAX_DEPTH) {
    const merged: Plain = { ...earlier };
    for (const [name, value] of Object.entries(later)) {
      merged[name] = Object.hasOwn(earlier, name) ? merge(earlier[name], value, name, depth + 1) : value;
    }
    return merged;
  }
  if (appends(earlier, later, key)) return [...(earlier as unknown[]), ...(later as unknown[])];
  return addsNothing(earlier, later) ? earlier : later;
};

const appends = (earlier: unknown, later: unknown, key: unknown): boolean =>
  Array.isArray(earlier) && Array.isArray(later) && !WHOLE_LISTS.includes(key);

const addsNothing = (earlier: unknown, later: unknown): boolean =>
  isEmpty(later) && (isMap(earlier) || Array.isArray(earlier));

/** Where a part of the whole is written in one of the files. */
interface Source {
  readonly document: ConfigDocument;
  readonly path: KeyPath;
}

const writtenAt = ({ document, path }: Source): unknown => valueIn(document.value, path).value;

/** Those that what stands there comes from, in the order of the files: many for a map and a list, one for a scalar. */
const contributing = (sources: readonly Source[], key: unknown): Source[] => {
  let kept: Source[] = [];
  let merged: unknown;
  for (const source of sources) {
    const value = writtenAt(source);
    const both = kept.length > 0 && ((isMap(merged) && isMap(value)) || appends(merged, value, key));
    if (kept.length > 0 && addsNothing(merged, value)) continue;
    kept = both ? [...kept, source] : [source];
    merged = value;
  }
  return kept;
};

const below = (sources: readonly Source[], step: string | number): Source[] => {
  if (typeof step === "string") {
    return sources
      .map(({ document, path }) => ({ document, path: [...path, step] }))
      .filter(({ document, path }) => valueIn(document.value, path).present);
  }
  let before = 0;
  for (const { document, path } of sources) {
    const list = valueIn(document.value, path).value;
    const length = Array.isArray(list) ? list.length : 0;
    if (step < before + length) return [{ document, path: [...path, step - before] }];
    before += length;
  }
  return [];
};

export class LayeredDocument extends PlacedValue {
  readonly value: unknown;
  private readonly documents: readonly ConfigDocument[];

  /** @param documents without problems of their own; at least one, the first one is the first to be overruled */
  constructor(documents: readonly ConfigDocument[]) {
    super();
    this.documents = documents;
    this.value = documents.map(({ value }) => value).reduce((earlier, later) => mergeTop(earlier, later));
  }

  valuePlace(path: KeyPath): Place {
    const source = this.nearest(path);
    return source.document.valuePlace(source.path);
  }

  keyPlace(path: KeyPath): Place {
    const source = this.nearest(path);
    return source.document.keyPlace(source.path);
  }

  /** Where the value of `path`, or of its nearest parent, begins. */
  private nearest(path: KeyPath): Source {
    const whole = this.documents
      .filter(({ value }, index) => index === 0 || !isEmpty(value))
      .map((document) => ({ document, path: [] }));
    let sources = contributing(whole, undefined);
    for (const step of path) {
      const next = contributing(below(sources, step), step);
      if (next.length === 0) break;
      sources = next;
    }
    return sources[0]!;
  }
}

/** A file without anything in it adds nothing, whatever the others have. */
const mergeTop = (earlier: unknown, later: unknown): unknown =>
  isEmpty(later) ? earlier : merge(earlier, later, undefined);
