/**
 * A configuration file as YAML: its plain value, and where in the text each key and value stands.
 *
 * The `yaml` package parses; this file adds what a configuration needs beyond that. Keys are compared as the text they
 * become in the plain value, so `42` and `"42"` are the same key twice, and `0x10`, which would silently become `16`, is
 * refused. Tags are refused because a mistyped one would silently leave text. The schema is fixed to YAML 1.2's core, so
 * that a `%YAML 1.1` line cannot turn a MAC into a base-60 number.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLMap,
} from "yaml";
import { PlacedValue } from "./placed-value.ts";
import type { KeyPath, Place, Problem } from "./problem.ts";
import { placeText } from "./problem.ts";
import { syntaxMessage, TOO_DEEP } from "./syntax-message.ts";

/** The merge key `<<` has a symbol for its value, unless it is quoted and thus an ordinary key. */
const isMergeKey = (key: unknown): boolean => isScalar(key) && typeof key.value === "symbol";

const keyText = (key: unknown): string | undefined => {
  if (!isScalar(key) || typeof key.value === "symbol") {
    return undefined;
  }
  return key.value === null ? "" : String(key.value);
};

/** What stands under a key (a pair of nodes) or an index (a node alone). */
interface Entry {
  readonly key?: unknown;
  readonly value: unknown;
}

type Report = (node: unknown, message: string, code?: Problem["code"]) => void;

export class ConfigDocument extends PlacedValue {
  /** Undefined when `problems` is not empty. */
  readonly value: unknown;
  /** Why the text is not YAML that a configuration may consist of. */
  readonly problems: readonly Problem[];
  readonly #document: Document.Parsed | undefined;
  readonly #lines = new LineCounter();

  /** Where a text begins. */
  readonly #start: Place;

  /** @param source a text and the name of its file, or the value that one would have. Never throws: whatever is wrong with a text is in `problems`. */
  constructor(source: { readonly text: string; readonly file: string } | { readonly value: unknown }) {
    super();
    this.#start = { file: "file" in source ? source.file : undefined, line: 1, column: 1 };
    if ("value" in source) {
      this.problems = [];
      this.value = source.value;
      return;
    }
    const { text } = source;
    try {
      this.#document = parseDocument(text, {
        lineCounter: this.#lines,
        prettyErrors: false,
        schema: "core",
        resolveKnownTags: false,
        merge: true,
        uniqueKeys: false,
      });
      const problems = [...this.#parserProblems(this.#document, text), ...this.#nodeProblems(this.#document)];
      this.problems = problems;
      this.value = problems.length === 0 ? this.#document.toJS() : undefined;
    } catch (error) {
      // The parser recurses, and an alias may be expanded too often: both end in an exception without a position.
      const got = error instanceof RangeError ? TOO_DEEP : (error as Error).message;
      this.problems = [
        { code: "ERR_CONFIG_SYNTAX", place: this.#start, path: [], message: `expected readable YAML, got ${got}` },
      ];
    }
  }

  valuePlace(path: KeyPath): Place {
    return this.#place(path, ({ key, value }) => this.#placeOf(value) ?? this.#placeOf(key));
  }

  keyPlace(path: KeyPath): Place {
    return this.#place(path, ({ key, value }) => this.#placeOf(key) ?? this.#placeOf(value));
  }

  #place(path: KeyPath, placeOfEntry: (entry: Entry) => Place | undefined): Place {
    let node: unknown = this.#document?.contents;
    let place = this.#placeOf(node) ?? this.#start;
    for (const step of path) {
      const entry = this.#entry(node, step);
      if (entry === undefined) {
        break;
      }
      node = entry.value;
      place = placeOfEntry(entry) ?? place;
    }
    return place;
  }

  #placeOf(node: unknown): Place | undefined {
    const offset = (node as Node | null | undefined)?.range?.[0];
    return offset === undefined ? undefined : this.#placeAt(offset);
  }

  #placeAt(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return line === 0 ? this.#start : { ...this.#start, line, column: col };
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) && this.#document !== undefined ? node.resolve(this.#document) : node;
  }

  #entry(parent: unknown, step: string | number): Entry | undefined {
    const node = this.#resolve(parent);
    if (isSeq(node) && typeof step === "number") {
      return step < node.items.length ? { value: node.items[step] } : undefined;
    }
    return isMap(node) ? this.#pair(node, String(step), new Set()) : undefined;
  }

  /** The pair of a key, looked for in the map itself and then in the maps merged into it. */
  #pair(map: YAMLMap, key: string, seen: Set<YAMLMap>): Entry | undefined {
    seen.add(map);
    const own = map.items.find((pair) => keyText(pair.key) === key);
    if (own !== undefined) {
      return own;
    }
    for (const pair of map.items.filter((item) => isMergeKey(item.key))) {
      const merged = this.#resolve(pair.value);
      for (const source of isSeq(merged) ? merged.items : [merged]) {
        const node = this.#resolve(source);
        const found = isMap(node) && !seen.has(node) ? this.#pair(node, key, seen) : undefined;
        if (found !== undefined) {
          return found;
        }
      }
    }
    return undefined;
  }

  #parserProblems(document: Document.Parsed, text: string): Problem[] {
    const byOffset = new Map<number, Problem>();
    // A tag that nobody knows is a warning to the parser; here it is a value that would not mean what it says.
    for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
      if (!byOffset.has(pos[0])) {
        byOffset.set(pos[0], {
          code: "ERR_CONFIG_SYNTAX",
          place: this.#placeAt(pos[0]),
          path: [],
          message: syntaxMessage(code, message, text.slice(pos[0]).split(/\r?\n/, 1)[0] ?? ""),
        });
      }
    }
    return [...byOffset.values()];
  }

  #nodeProblems(document: Document.Parsed): Problem[] {
    const problems: Problem[] = [];
    const report: Report = (node, message, code = "ERR_CONFIG_SYNTAX") => {
      problems.push({ code, place: this.#placeOf(node) ?? this.#start, path: [], message });
    };
    visit(document, {
      Alias: (_, alias) => {
        if (alias.resolve(document) === undefined) {
          report(alias, `expected the name of an anchor that stands above, got *${alias.source}`);
        }
      },
      Map: (_, map) => this.#checkKeys(map, report),
      Pair: (_, pair) => this.#checkMerge(pair, report),
    });
    return problems;
  }

  #checkKeys(map: YAMLMap, report: Report): void {
    const first = new Map<string, unknown>();
    for (const { key } of map.items) {
      const text = keyText(key);
      if (isMergeKey(key)) {
        continue;
      }
      if (text === undefined) {
        report(key, "expected a key that is plain text, got a list, a map or an alias");
      } else if (text === "__proto__") {
        report(key, "unknown key `__proto__`", "ERR_CONFIG_KEY");
      } else if (isScalar(key) && typeof key.value !== "string" && key.source !== text) {
        report(key, `expected a key that is plain text, got \`${key.source}\`, which YAML reads as ${text}: quote it`);
      } else if (first.has(text)) {
        const place = placeText(this.#placeOf(first.get(text)) ?? this.#start);
        report(key, `expected each key once, got \`${text}\` again (first at ${place})`);
      } else {
        first.set(text, key);
      }
    }
  }

  #checkMerge(pair: Pair, report: Report): void {
    if (!isMergeKey(pair.key)) {
      return;
    }
    const merged = this.#resolve(pair.value);
    const sources = isSeq(merged) ? merged.items.map((item) => this.#resolve(item)) : [merged];
    if (!sources.every(isMap)) {
      report(pair.key, "expected `<<` with a map or an alias of one, got something else");
    }
  }
}
