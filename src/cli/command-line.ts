/** Words to a command, by the tables of grammar/. Knows nothing of what the commands do. */
import { spellings } from "./grammar/link-type.ts";
import { OBJECTS } from "./grammar/objects.ts";
import { OPTIONS, type Option, type OptionName } from "./grammar/options.ts";
import type { CommandObject, Verb } from "./grammar/table.ts";
import type { Value } from "./grammar/value.ts";
import { accepted, HELP, type Typed, takeType, wordText } from "./type-words.ts";
import { Words, type Written } from "./words.ts";

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
  /** What stands behind `type`, or among the words of `tunnel`. */
  readonly typed: Typed | undefined;
  /** For complaints that come later. */
  readonly words: Words;
}

type Values = Map<string, string>;

const EMPTY_LIST = "none";

/**
 * The row that `word` means: by its whole name, else by a prefix that fits one row only. Undefined when none fits.
 * @throws ERR_USAGE when several fit
 */
const resolve = <Row>(
  words: Words,
  word: string,
  rows: readonly Row[],
  namesOf: (row: Row) => readonly string[],
): Row | undefined => {
  const exact = rows.find((row) => namesOf(row).includes(word));
  if (exact !== undefined) return exact;
  const fitting = rows.filter((row) => namesOf(row).some((name) => name.startsWith(word)));
  if (fitting.length > 1) {
    const names = fitting.map((row) => namesOf(row)[0]).join(", ");
    throw words.wrong(`"${word}" is ambiguous: it may mean ${names}`);
  }
  return fitting[0];
};

const matchOption = (words: Words, word: string): Option => {
  // `-color=never`: the value says nothing to us.
  const text = word.replace(/^--?/, "").replace(/=.*/s, "");
  const fits = (name: string | undefined): boolean => name?.startsWith(text) === true;
  const option =
    OPTIONS.find(({ name, alias }) => text === name || text === alias) ??
    OPTIONS.find(({ name, alias, shortest }) => text.length >= shortest && (fits(name) || fits(alias)));
  if (option !== undefined) return option;
  const near = OPTIONS.filter(({ name }) => name.length > 1).map(({ name }) => `-${name}`);
  throw words.wrong(`Option "${word}" is unknown, try "vtepctl help".`, { near });
};

/** Takes the options off the front. */
const takeOptions = (words: Words): Command["options"] => {
  const options = new Map<OptionName, string | true>();
  while (words.peek()?.startsWith("-")) {
    const option = matchOption(words, words.next()!);
    options.set(option.name, option.value === undefined ? true : words.take([option.value]));
  }
  return options;
};

const objectNames = ({ name, aliases = [] }: CommandObject): string[] => [name, ...aliases];

const takeObject = (words: Words): Command["object"] => {
  const word = words.next();
  if (word === undefined) return undefined;
  const object = resolve(words, word, [...OBJECTS, HELP], (row) => (row === HELP ? [HELP] : objectNames(row)));
  if (object !== undefined) return object;
  const near = OBJECTS.map(({ name }) => name);
  throw words.wrong(`Object "${word}" is unknown, try "vtepctl help".`, { near, expected: near });
};

const namesOf = ({ key, aliases = [] }: Value): readonly string[] => [key, ...aliases];

/** For an option that was taken as a word. */
const isOption = (words: Words, word: string): Error =>
  words.wrong(`"${word}" is an option: options stand before the object`);

const valueText = ({ key, placeholder }: Value): string => `${key} ${placeholder}`;

/** Whether a word can only belong to the verb that may be left out: `stats dev vx42`. */
const isOfImplied = (word: string, { values, flags = [], implied = [] }: Verb): boolean =>
  values.some((value) => namesOf(value).includes(word)) || flags.includes(word) || implied.flat().includes(word);

const takeVerb = (words: Words, { name, verbs, isVerb }: CommandObject): Command["verb"] => {
  const word = words.peek();
  const implied = verbs[0]!;
  if (word === undefined || isOfImplied(word, implied)) return implied;
  if (isVerb === true && word !== HELP) return implied;
  words.next();
  if (word.startsWith("-")) throw isOption(words, word);
  const verb = resolve(words, word, [...verbs, HELP], (row) => (row === HELP ? [HELP] : row.names));
  if (verb !== undefined) return verb;
  const near = verbs.flatMap(({ names }) => names);
  const expected = verbs.map(({ names }) => names[0]!);
  throw words.wrong(`Command "${word}" is unknown, try "vtepctl ${name} help".`, { near, expected });
};

/** What takes the words of one verb. */
class VerbWords {
  readonly #words: Words;
  readonly #verb: Verb;
  readonly #named: readonly Value[];
  readonly values: Values = new Map();
  readonly elements: Values[] = [];
  #isEmptyList = false;

  constructor(words: Words, verb: Verb) {
    this.#words = words;
    this.#verb = verb;
    this.#named = verb.operand === undefined ? verb.values : [verb.operand, ...verb.values];
  }

  /** What may still stand here. */
  #expected(): string[] {
    const { operand, values, list = [], flags = [], mixed = [] } = this.#verb;
    const open = (value: Value): boolean => value.isList === true || !this.values.has(value.key);
    return [
      ...(operand !== undefined && open(operand) ? [operand.placeholder] : []),
      ...values.filter(open).map(valueText),
      ...list.map(valueText),
      ...flags.filter((flag) => !this.values.has(flag)),
      ...(this.#verb.types === undefined ? [] : ["type TYPE"]),
      ...accepted(mixed).map(wordText),
    ];
  }

  #keywords(): string[] {
    const { list = [], flags = [], implied = [], types, mixed = [] } = this.#verb;
    const named = [...this.#named, ...list].flatMap(namesOf);
    const ofTypes = mixed.flatMap(spellings);
    return [...named, ...flags, ...implied.flat(), ...(types === undefined ? [] : ["type"]), ...ofTypes];
  }

  /** The value that a word is the keyword of; an abbreviated one where nothing stands without keyword. */
  #find(word: string): Value | undefined {
    const exact = this.#named.find((value) => namesOf(value).includes(word));
    if (exact !== undefined || this.#verb.operand !== undefined) return exact;
    const { flags = [], implied = [], refused = {} } = this.#verb;
    if ([...flags, ...implied.flat(), ...Object.keys(refused)].includes(word)) return undefined;
    return resolve(this.#words, word, this.#named, namesOf);
  }

  #set(values: Values, { key, check, isList }: Value, text: string): void {
    const before = values.get(key);
    if (before !== undefined && isList !== true)
      throw this.#words.wrong(`duplicate "${key}": "${text}" is the second value.`);
    const complaint = check(text);
    if (complaint !== undefined) throw this.#words.wrong(complaint);
    values.set(key, before === undefined ? text : `${before},${text}`);
  }

  #element(value: Value, word: string): void {
    const first = this.#verb.list![0];
    const text = this.#words.take([value.placeholder]);
    if (value === first) this.elements.push(new Map());
    else if (this.elements.length === 0) {
      const at = this.#words.position - 2;
      throw this.#words.wrong(`"${word}" stands behind the "${first.key}" that it belongs to`, { at });
    }
    this.#set(this.elements.at(-1)!, value, text);
  }

  #repeated(operand: Value, text: string): void {
    this.elements.push(new Map());
    this.#set(this.elements.at(-1)!, operand, text);
    this.values.set(operand.key, text);
  }

  #garbage(word: string): Error {
    const { operand } = this.#verb;
    const complaint = { expected: this.#expected(), near: this.#keywords() };
    if (word.startsWith("-")) return isOption(this.#words, word);
    return operand === undefined
      ? this.#words.wrong(`"${word}" is a garbage.`, complaint)
      : this.#words.wrong(`either "${operand.key}" is duplicate, or "${word}" is a garbage.`, complaint);
  }

  take(word: string): void {
    const { operand, repeats, flags = [], implied = [], refused = {}, list } = this.#verb;
    const element = list?.find((value) => namesOf(value).includes(word));
    const named = element === undefined ? this.#find(word) : undefined;
    if (element !== undefined) this.#element(element, word);
    else if (named !== undefined) this.#set(this.values, named, this.#words.take([named.placeholder]));
    else if (flags.includes(word)) this.values.set(word, "true");
    else if (Object.hasOwn(refused, word)) throw this.#words.wrong(refused[word]!);
    else if (list !== undefined && word === EMPTY_LIST && this.values.has(operand!.key)) this.#isEmptyList = true;
    else if (implied.flat().includes(word)) return;
    else if (operand === undefined || word.startsWith("-")) throw this.#garbage(word);
    else if (repeats === true) this.#repeated(operand, word);
    else if (this.values.has(operand.key)) throw this.#garbage(word);
    else this.#set(this.values, operand, word);
  }

  /** @throws ERR_USAGE when something is missing */
  end(typed: Typed | undefined): void {
    const { operand, list, needsType } = this.#verb;
    const missing = this.#named.find(({ key, required }) => required === true && !this.values.has(key));
    if (missing !== undefined) {
      const text = missing === operand ? missing.placeholder : valueText(missing);
      throw this.#words.incomplete([text], `"${missing.key}" is required: ${text}`);
    }
    if (needsType === true && typed === undefined) {
      throw this.#words.incomplete(["type TYPE"], 'Not enough information: "type" argument is required');
    }
    if (list === undefined) return;
    const text = valueText(list[0]);
    if (this.#isEmptyList && this.elements.length > 0) {
      throw this.#words.wrong(`"${EMPTY_LIST}" is the empty list: give it alone or not at all`);
    }
    if (!this.#isEmptyList && this.elements.length === 0) {
      const message = `"${list[0].key}" is required: ${text}, or ${EMPTY_LIST} for an empty list`;
      throw this.#words.incomplete([text, EMPTY_LIST], message);
    }
  }
}

type Rest = Pick<Command, "values" | "list" | "typed">;

const takeRest = (words: Words, verb: Verb): Rest => {
  const rest = new VerbWords(words, verb);
  let typed: Typed | undefined;
  for (let word = words.next(); word !== undefined; word = words.next()) {
    const taken = takeType(words, word, verb, typed);
    if (taken === undefined) rest.take(word);
    else typed = taken;
  }
  if (typed?.topic === undefined) rest.end(typed);
  return { values: rest.values, list: rest.elements, typed };
};

/** `link help vxlan`. */
const takeTopic = (words: Words, { verbs }: CommandObject): Pick<Command, "typed"> => {
  const word = words.next();
  const topic = verbs.flatMap((verb) => verb.types ?? []).find(({ name }) => name === word);
  return { typed: topic === undefined ? undefined : { type: topic, given: [], topic } };
};

/** @param written the line that `argv` was made of, where it was another @throws ERR_USAGE */
export const parseCommandLine = (argv: readonly string[], written?: Written): Command => {
  const words = new Words(argv, written);
  const options = takeOptions(words);
  // Whoever asks for help need not have the rest right.
  const isQuestion = options.has("help") || options.has("Version");
  const object = isQuestion ? undefined : takeObject(words);
  const none: Rest = { values: new Map<string, string>(), list: [], typed: undefined };
  // `help link` is `link help`.
  const asked = object === HELP ? takeObject(words) : undefined;
  if (asked !== undefined && asked !== HELP)
    return { options, object: asked, words, verb: HELP, ...none, ...takeTopic(words, asked) };
  const common = { options, object, words };
  if (object === undefined || object === HELP || object.foreign !== undefined)
    return { ...common, verb: undefined, ...none };
  const verb = takeVerb(words, object);
  if (verb === HELP) return { ...common, verb, ...none, ...takeTopic(words, object) };
  return { ...common, verb, ...(verb === undefined ? none : takeRest(words, verb)) };
};
