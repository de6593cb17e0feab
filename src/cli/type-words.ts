/** The words of a tunnel's type, taken from a command line, and the settings that they come to. */
import type { VtepdError } from "../errors.ts";
import { type GivenWord, type LinkType, type Settings, spellings, type TypeWord } from "./grammar/link-type.ts";
import type { Verb } from "./grammar/table.ts";
import type { Words } from "./words.ts";

export const HELP: "help" = "help";

export interface Typed {
  /** Undefined for `tunnel`, whose mode may stand anywhere or not at all. */
  readonly type: LinkType | undefined;
  readonly given: readonly GivenWord[];
  /** Somebody asks what words a type has. */
  readonly topic?: LinkType;
}

const KEYWORD = "type";
/** As iproute2 understands it; one letter may be the name of a device. */
const isKeyword = (text: string): boolean => text.length > 1 && KEYWORD.startsWith(text);

interface Match {
  readonly word: TypeWord;
  readonly isOn: boolean;
}

const match = (all: readonly TypeWord[], fits: (spelling: string) => boolean): Match | undefined => {
  for (const word of all) {
    const spelling = spellings(word).find(fits);
    if (spelling !== undefined) return { word, isOn: word.names.includes(spelling) };
  }
  return undefined;
};

/** As iproute2 finds it: by its whole name, else the first one that begins so. */
const find = (text: string, all: readonly TypeWord[]): Match | undefined =>
  match(all, (spelling) => spelling === text) ?? match(all, (spelling) => spelling.startsWith(text));

export const wordText = ({ names, isSwitch, values }: TypeWord): string =>
  [isSwitch === true ? `[no]${names[0]}` : names[0]!, ...values.map(({ placeholder }) => placeholder)].join(" ");

export const accepted = (all: readonly TypeWord[]): TypeWord[] => all.filter(({ refused }) => refused === undefined);

/** Takes a word and its values. */
const takeWord = (words: Words, { word, isOn }: Match): GivenWord => {
  const at = words.position - 1;
  if (word.refused !== undefined && isOn) throw words.wrong(`"${word.names[0]}" is not supported: ${word.refused}`);
  const texts = word.values.map(({ placeholder, check }) => {
    const text = words.take([placeholder]);
    const complaint = check(text);
    if (complaint !== undefined) throw words.wrong(complaint, { expected: [placeholder] });
    return text;
  });
  return { word, texts, isOn, at };
};

const unknownWord = (words: Words, message: string, all: readonly TypeWord[], at: number): VtepdError =>
  words.wrong(message, { at, near: all.flatMap(spellings), expected: accepted(all).map(wordText) });

const NO_TUNNELS = ["dummy", "bridge", "veth", "vlan", "bond", "macvlan", "vrf", "ifb", "tun", "ipvlan", "wireguard"];

const takeLinkType = (words: Words, types: readonly LinkType[]): LinkType => {
  const names = types.map(({ name }) => name);
  const name = words.take(names);
  const type = types.find((known) => known.name === name);
  if (type !== undefined) return type;
  const hint = NO_TUNNELS.includes(name) ? `: that is no tunnel, use \`ip link add ... type ${name}\`` : ".";
  throw words.wrong(`Unknown device type "${name}"${hint}`, { near: names, expected: names });
};

/** What stands behind `type`: everything up to the end of the line. */
const takeBehindType = (words: Words, types: readonly LinkType[]): Typed => {
  const type = takeLinkType(words, types);
  const given: GivenWord[] = [];
  for (let text = words.next(); text !== undefined; text = words.next()) {
    if (text === HELP) return { type, given, topic: type };
    const found = find(text, type.words);
    if (found === undefined) {
      throw unknownWord(words, `${type.name}: unknown command "${text}"?`, type.words, words.position - 1);
    }
    const { word } = found;
    if (type.isOnce === true && word.values.length > 0 && given.some((one) => one.word === word)) {
      const second = words.peek() ?? text;
      throw words.wrong(`either "${word.names[0]}" is duplicate, or "${second}" is a garbage.`);
    }
    given.push(takeWord(words, found));
  }
  return { type, given };
};

/** Takes `text` and what belongs to it if it begins, or is, part of a tunnel's type. */
export const takeType = (words: Words, text: string, verb: Verb, before: Typed | undefined): Typed | undefined => {
  if (verb.types !== undefined && isKeyword(text)) return takeBehindType(words, verb.types);
  // Not abbreviated: a name may stand there, too.
  const found = match(verb.mixed ?? [], (spelling) => spelling === text);
  if (found === undefined) return undefined;
  return { type: undefined, given: [...(before?.given ?? []), takeWord(words, found)] };
};

/** Looks whether a new tunnel has what it must have. @throws ERR_USAGE */
export const checkNew = (words: Words, { words: all, required = [] }: LinkType, given: readonly GivenWord[]): void => {
  const missing = required.find((name) => !given.some(({ word }) => word.names.includes(name)));
  const word = all.find(({ names }) => missing !== undefined && names.includes(missing));
  if (word === undefined) return;
  throw words.incomplete([wordText(word)], `"${missing}" is required: ${wordText(word)}`);
};

/** The same words as words of another type. @throws ERR_USAGE for what that one does not have */
export const wordsOf = (words: Words, type: LinkType, given: readonly GivenWord[]): GivenWord[] =>
  given.map((one) => {
    const name = one.word.names[0]!;
    const word = type.words.find(({ names }) => names.includes(name));
    if (word === undefined) {
      throw unknownWord(words, `"${name}" is no word of type ${type.name}.`, type.words, one.at);
    }
    if (word.refused !== undefined && one.isOn) {
      throw words.wrong(`"${name}" is not supported: ${word.refused}`, { at: one.at });
    }
    one.texts.forEach((text, index) => {
      const complaint = word.values[index]?.check(text);
      if (complaint !== undefined) throw words.wrong(complaint, { at: one.at + 1 + index });
    });
    return { ...one, word };
  });

/** Settings after words have changed them; the argument stays as it is. */
export const changed = (type: LinkType, given: readonly GivenWord[], settings: Settings): Settings => {
  const result = structuredClone(settings);
  for (const { word, texts, isOn } of given) if (word.refused === undefined) word.set(result, texts, isOn);
  type.finish?.(result);
  return result;
};

/** What is to be said of words that mean less here than they say. */
export const notesOf = (given: readonly GivenWord[]): string[] =>
  given.flatMap(({ word: { names, note } }) => (note === undefined ? [] : [`${names[0]}: ${note}`]));
