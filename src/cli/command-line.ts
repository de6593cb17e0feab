/** Words to a command, by the table of grammar.ts. Knows nothing of what the commands do. */
import { VtepdError } from "../errors.ts";
import {
  type CommandObject,
  OBJECTS,
  OPTIONS,
  type Option,
  type OptionName,
  type Value,
  type Verb,
} from "./grammar.ts";

export interface Command {
  /** Options that were given; true, or the value of those that take one. */
  readonly options: ReadonlyMap<OptionName, string | true>;
  /** Undefined = no object was given. */
  readonly object: CommandObject | "help" | undefined;
  readonly verb: Verb | "help" | undefined;
  /** By the keys of the verb's values; every one has passed its check. */
  readonly values: ReadonlyMap<string, string>;
  /** The list of a verb that takes one, each element as `values`. */
  readonly list: readonly ReadonlyMap<string, string>[];
}

const EMPTY_LIST = "none";

const usage = (message: string): VtepdError => new VtepdError("ERR_USAGE", message);
const incomplete = (): VtepdError => usage('Command line is not complete. Try option "help"');

/**
 * The row that `word` means: by its whole name, else by a prefix that fits one row only. Undefined when none fits.
 * @throws ERR_USAGE when several fit
 */
const resolve = <Row>(
  word: string,
  rows: readonly Row[],
  namesOf: (row: Row) => readonly string[],
): Row | undefined => {
  const exact = rows.find((row) => namesOf(row).includes(word));
  if (exact !== undefined) return exact;
  const fitting = rows.filter((row) => namesOf(row).some((name) => name.startsWith(word)));
  if (fitting.length > 1) {
    const names = fitting.map((row) => namesOf(row)[0]).join(", ");
    throw usage(`"${word}" is ambiguous: it may mean ${names}`);
  }
  return fitting[0];
};

const matchOption = (word: string): Option => {
  const text = word.replace(/^--?/, "");
  const option = OPTIONS.find(
    ({ name, alias, shortest }) =>
      text.length >= shortest && (name.startsWith(text) || alias?.startsWith(text) === true),
  );
  if (option === undefined) throw usage(`Option "${word}" is unknown, try "vtepctl help".`);
  return option;
};

/** Takes the options off the front of `words`. */
const takeOptions = (words: string[]): Command["options"] => {
  const options = new Map<OptionName, string | true>();
  while (words[0]?.startsWith("-")) {
    const option = matchOption(words.shift()!);
    if (option.value === undefined) {
      options.set(option.name, true);
      continue;
    }
    const value = words.shift();
    if (value === undefined) throw incomplete();
    options.set(option.name, value);
  }
  return options;
};

const takeObject = (words: string[]): Command["object"] => {
  const word = words.shift();
  if (word === undefined) return undefined;
  const object = resolve(word, [...OBJECTS, "help" as const], (row) => [row === "help" ? row : row.name]);
  if (object === undefined) throw usage(`Object "${word}" is unknown, try "vtepctl help".`);
  return object;
};

const takeVerb = (words: string[], { name, verbs }: CommandObject): Command["verb"] => {
  const [word] = words;
  const implied = verbs[0]!;
  // `stats dev vx42`: the verb is left out.
  if (word === undefined || implied.values.some(({ key }) => key === word)) return implied;
  const verb = resolve(word, [...verbs, "help" as const], (row) => (row === "help" ? [row] : row.names));
  if (verb === undefined) throw usage(`Command "${word}" is unknown, try "vtepctl ${name} help".`);
  words.shift();
  return verb;
};

const garbage = (word: string, operand: Value | undefined): VtepdError => {
  if (word.startsWith("-")) return usage(`"${word}" is an option: options stand before the object`);
  return operand === undefined
    ? usage(`"${word}" is a garbage.`)
    : usage(`either "${operand.key}" is duplicate, or "${word}" is a garbage.`);
};

const set = (values: Map<string, string>, { key, check }: Value, text: string): void => {
  if (values.has(key)) throw usage(`duplicate "${key}": "${text}" is the second value.`);
  const complaint = check(text);
  if (complaint !== undefined) throw usage(complaint);
  values.set(key, text);
};

/** Takes the words of a verb's list out of `words` and leaves the others. */
const takeList = (words: string[], { operand, values, list }: Verb): Command["list"] => {
  if (list === undefined) return [];
  const [first] = list;
  const elements: Map<string, string>[] = [];
  const others: string[] = [];
  let isEmpty = false;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const value = list.find(({ key }) => key === word);
    if (value !== undefined) {
      const text = words.shift();
      if (text === undefined) throw incomplete();
      if (value === first) elements.push(new Map());
      else if (elements.length === 0) throw usage(`"${word}" stands behind the "${first.key}" that it belongs to`);
      set(elements.at(-1)!, value, text);
    } else if (word === EMPTY_LIST && others.length > 0) {
      isEmpty = true;
    } else {
      others.push(word);
      // The value of another keyword may look like ours.
      if ([operand, ...values].some((other) => other?.key === word) && words.length > 0) others.push(words.shift()!);
    }
  }
  words.push(...others);
  if (isEmpty && elements.length > 0) throw usage(`"${EMPTY_LIST}" is the empty list: give it alone or not at all`);
  if (!isEmpty && elements.length === 0) {
    throw usage(`"${first.key}" is required: ${first.key} ${first.placeholder}, or ${EMPTY_LIST} for an empty list`);
  }
  return elements;
};

const takeValues = (words: string[], verb: Verb): Command["values"] => {
  const { operand, flags = [], implied = [], refused = {} } = verb;
  const all = operand === undefined ? verb.values : [operand, ...verb.values];
  const values = new Map<string, string>();

  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const named = all.find(({ key }) => key === word);
    if (named !== undefined) {
      const text = words.shift();
      if (text === undefined) throw incomplete();
      set(values, named, text);
    } else if (flags.includes(word)) {
      values.set(word, "true");
    } else if (Object.hasOwn(refused, word)) {
      throw usage(refused[word]!);
    } else if (!implied.flat().includes(word)) {
      if (operand === undefined || values.has(operand.key) || word.startsWith("-")) throw garbage(word, operand);
      set(values, operand, word);
    }
  }
  const missing = all.find(({ key, required }) => required === true && !values.has(key));
  if (missing !== undefined) {
    throw usage(`"${missing.key}" is required: ${missing === operand ? "" : `${missing.key} `}${missing.placeholder}`);
  }
  return values;
};

/** @throws ERR_USAGE */
export const parseCommandLine = (argv: readonly string[]): Command => {
  const words = [...argv];
  const options = takeOptions(words);
  // Whoever asks for help need not have the rest right.
  const isQuestion = options.has("help") || options.has("Version");
  const object = isQuestion ? undefined : takeObject(words);
  const none = { values: new Map<string, string>(), list: [] };
  if (object === undefined || object === "help") return { options, object, verb: undefined, ...none };
  const verb = takeVerb(words, object);
  if (verb === undefined || verb === "help") return { options, object, verb, ...none };
  const list = takeList(words, verb);
  return { options, object, verb, values: takeValues(words, verb), list };
};
