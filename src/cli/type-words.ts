/** The words of a tunnel's type, taken from a command line. */
import type { VtepdError } from "../errors.ts";
import { type GivenWord, type LinkType, spellings, type TypeWord } from "./grammar/link-type.ts";
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

interface Match {
  readonly word: TypeWord;
  readonly isOn: boolean;
}

/** As iproute2 finds it: by its whole name, else the first one that begins so. */
const find = (text: string, all: readonly TypeWord[]): Match | undefined => {
  const match = (fits: (spelling: string) => boolean): Match | undefined => {
    for (const word of all) {
      const spelling = spellings(word).find(fits);
      if (spelling !== undefined) return { word, isOn: word.names.includes(spelling) };
    }
    return undefined;
  };
  return match((spelling) => spelling === text) ?? match((spelling) => spelling.startsWith(text));
};

export const wordText = ({ names, isSwitch, values }: TypeWord): string =>
  [isSwitch === true ? `[no]${names[0]}` : names[0]!, ...values.map(({ placeholder }) => placeholder)].join(" ");

const accepted = (all: readonly TypeWord[]): TypeWord[] => all.filter(({ refused }) => refused === undefined);

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
    const match = find(text, type.words);
    if (match === undefined) {
      throw unknownWord(words, `${type.name}: unknown command "${text}"?`, type.words, words.position - 1);
    }
    given.push(takeWord(words, match));
  }
  return { type, given };
};

/** Takes `text` and what belongs to it if it begins, or is, part of a tunnel's type. */
export const takeType = (words: Words, text: string, verb: Verb, before: Typed | undefined): Typed | undefined => {
  if (verb.types !== undefined && text === KEYWORD) return takeBehindType(words, verb.types);
  const match = verb.mixed === undefined ? undefined : find(text, verb.mixed);
  if (match === undefined) return undefined;
  return { type: undefined, given: [...(before?.given ?? []), takeWord(words, match)] };
};
