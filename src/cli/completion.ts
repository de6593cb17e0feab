/** What may come next on an unfinished command line, by the tables of grammar/. */
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import type { LinkType, TypeWord } from "./grammar/link-type.ts";
import { spellings } from "./grammar/link-type.ts";
import { OBJECTS } from "./grammar/objects.ts";
import { OPTIONS } from "./grammar/options.ts";
import type { CommandObject, Verb } from "./grammar/table.ts";
import type { Value } from "./grammar/value.ts";

/** What the host and the daemon are asked; each answers with nothing rather than with an error. */
export interface NameSource {
  links(): Promise<readonly string[]>;
}

const entries = (folder: string): string[] => {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => entry.name + (entry.isDirectory() ? "/" : ""));
  } catch {
    return [];
  }
};

const files = (begun: string): string[] => {
  const folder = begun.endsWith("/") ? begun : `${dirname(begun)}/`;
  const prefix = begun.includes("/") ? folder.replace("//", "/") : "";
  return entries(prefix || ".").map((name) => prefix + name);
};

/** Names without the `/` that a folder has. */
const plain = (folder: string): string[] => entries(folder).map((name) => name.replace("/", ""));

type Choices = Value["choices"];

const namesOf = async (choices: Choices, begun: string, source: NameSource): Promise<readonly string[]> => {
  switch (choices) {
    case undefined:
      return [];
    case "link":
      return source.links();
    case "interface":
      return plain("/sys/class/net");
    case "netns":
      return plain("/run/netns");
    case "file":
      return files(begun);
    default:
      return choices;
  }
};

const keywords = ({ key, aliases = [] }: Value): readonly string[] => [key, ...aliases];

/** One word of the grammar that fits whole or as the beginning of only one name. */
const fitting = <Row>(rows: readonly Row[], names: (row: Row) => readonly string[], word: string): Row | undefined => {
  const exact = rows.find((row) => names(row).includes(word));
  const some = rows.filter((row) => names(row).some((name) => name.startsWith(word)));
  return exact ?? (some.length === 1 ? some[0] : undefined);
};

/** What stands behind a verb, up to the word that is being written. */
class Place {
  readonly #verb: Verb;
  readonly #used = new Set<string>();
  /** Values that the words so far still want. */
  #wanted: Pick<Value, "choices">[] = [];
  #type: LinkType | "next" | undefined;

  constructor(verb: Verb) {
    this.#verb = verb;
  }

  #typeWord(word: string, words: readonly TypeWord[]): boolean {
    const found = words.find((one) => spellings(one).includes(word));
    this.#wanted = found === undefined || !found.names.includes(word) ? [] : [...found.values];
    if (found !== undefined) this.#used.add(word);
    return found !== undefined;
  }

  pass(word: string): void {
    const { operand, values, list = [], mixed = [], types } = this.#verb;
    if (this.#wanted.length > 0) {
      this.#wanted.shift();
    } else if (this.#type === "next") {
      this.#type = types?.find(({ name }) => name === word);
    } else if (this.#type !== undefined) {
      this.#typeWord(word, this.#type.words);
    } else if (types !== undefined && word === "type") {
      this.#type = "next";
    } else if (!this.#typeWord(word, mixed)) {
      const named = [...(operand === undefined ? [] : [operand]), ...values, ...list];
      const value = named.find((one) => keywords(one).includes(word));
      if (value !== undefined) this.#wanted = [value];
      this.#used.add(value?.key ?? (operand === undefined || this.#isFlag(word) ? word : operand.key));
    }
  }

  #isFlag(word: string): boolean {
    const { flags = [], implied = [] } = this.#verb;
    return flags.includes(word) || implied.flat().includes(word);
  }

  /** What the next word may be: words of the grammar, and whose names. */
  next(): { words: readonly string[]; choices: Choices } {
    const { operand, repeats, values, list = [], flags = [], implied = [], mixed = [], types } = this.#verb;
    const [wanted] = this.#wanted;
    if (wanted !== undefined) return { words: [], choices: wanted.choices };
    if (this.#type === "next") return { words: (types ?? []).map(({ name }) => name), choices: undefined };
    const known = (all: readonly TypeWord[]): string[] =>
      all
        .flatMap((word) => (word.refused === undefined ? spellings(word) : []))
        .filter((word) => !this.#used.has(word));
    if (this.#type !== undefined) return { words: known(this.#type.words), choices: undefined };
    const open = values.filter(({ key, isList }) => isList === true || !this.#used.has(key));
    const words = [
      ...[...open, ...list].map(({ key }) => key),
      ...[...flags, ...implied.flat()].filter((word) => !this.#used.has(word)),
      ...known(mixed),
      ...(types === undefined ? [] : ["type"]),
    ];
    const isOpen = operand !== undefined && (repeats === true || !this.#used.has(operand.key));
    return { words, choices: isOpen ? operand?.choices : undefined };
  }
}

const optionNames = (): string[] => OPTIONS.map(({ name }) => `-${name}`);

/** Takes the options off the front of `before`. Returns the choices of a value that one of them still wants. */
const passOptions = (before: string[]): { choices: Choices } | undefined => {
  while (before[0]?.startsWith("-")) {
    const word = before.shift()!.replace(/^--?/, "");
    const option = OPTIONS.find(({ name, shortest }) => word.length >= shortest && name.startsWith(word));
    if (option?.value === undefined) continue;
    if (before.length === 0) return { choices: option.name === "netns" ? "netns" : "file" };
    before.shift();
  }
  return undefined;
};

const objectNames = ({ name, aliases = [] }: CommandObject): readonly string[] => [name, ...aliases];

const next = (words: readonly string[]): { words: readonly string[]; choices: Choices } => {
  const before = [...words];
  const nothing = { words: [], choices: undefined };
  const value = passOptions(before);
  if (value !== undefined) return { words: [], choices: value.choices };
  const first = before.shift();
  if (first === undefined)
    return { words: [...OBJECTS.map(({ name }) => name), "help", ...optionNames()], choices: undefined };
  const object = fitting(OBJECTS, objectNames, first);
  if (object === undefined || object.foreign !== undefined) return nothing;
  const implied = object.verbs[0]!;
  if (object.isVerb === true) {
    const place = new Place(implied);
    for (const word of before) place.pass(word);
    return place.next();
  }
  const [second] = before;
  const verb = second === undefined ? undefined : fitting(object.verbs, ({ names }) => names, second);
  if (second === undefined) {
    const place = new Place(implied).next();
    const own = implied.operand === undefined ? place.words : [];
    return { words: [...object.verbs.map(({ names }) => names[0]!), "help", ...own], choices: undefined };
  }
  const place = new Place(verb ?? implied);
  for (const word of verb === undefined ? before : before.slice(1)) place.pass(word);
  return place.next();
};

/**
 * Words that an unfinished line may go on with, sorted.
 * @param line with the program's name, up to the cursor
 */
export const complete = async (line: string, source: NameSource): Promise<string[]> => {
  const words = line.trimStart().split(/\s+/).slice(1);
  const begun = words.pop() ?? "";
  const { words: known, choices } = next(words);
  const names = await namesOf(choices, begun, source);
  const all = [...known, ...names].filter((word) => word.startsWith(begun));
  // Options stand there, but few want to see them before they ask.
  return [...new Set(all)].filter((word) => begun !== "" || !word.startsWith("-")).sort();
};
