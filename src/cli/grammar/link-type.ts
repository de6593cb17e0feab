/** Types of tunnels in iproute2's words, and the settings of the configuration file that the words are. */
import type { Value } from "./value.ts";

/** A tunnel's map as in the configuration file. */
export type Settings = Record<string, unknown>;

export interface TypeWord {
  /** iproute2's, its main one first. */
  readonly names: readonly string[];
  /** Also understood with `no` before it. */
  readonly isSwitch?: true;
  readonly values: readonly Pick<Value, "placeholder" | "check" | "choices">[];
  /** Why it is refused; `no` before it is what vtepd does anyway. */
  readonly refused?: string;
  /** What somebody who says so should know. */
  readonly note?: string;
  readonly set: (settings: Settings, texts: readonly string[], isOn: boolean) => void;
}

export interface LinkType {
  /** As iproute2 calls it. */
  readonly name: string;
  /** In its order: of several words with the same beginning, the first is meant. */
  readonly words: readonly TypeWord[];
  /** Settings of a new one: what iproute2 and the kernel take for words that are not there. */
  readonly initial: Settings;
  /** Names of words that a new one must have. */
  readonly required?: readonly string[];
  /** Whether no word may stand twice, as iproute2 has it for some. */
  readonly isOnce?: true;
  /** Modes of the configuration that are of this type. */
  readonly modes: readonly string[];
  /** Last changes to settings that all words have made. */
  readonly finish?: (settings: Settings) => void;
  /** Last changes to those of a new one. Returns what is to be said about it. */
  readonly complete?: (settings: Settings) => readonly string[];
}

/** A word with its values, as it was given. */
export interface GivenWord {
  readonly word: TypeWord;
  readonly texts: readonly string[];
  readonly isOn: boolean;
  /** Index in the command line. */
  readonly at: number;
}

/** Spellings of a word in the order in which iproute2 tries them. */
export const spellings = ({ names, isSwitch }: TypeWord): string[] =>
  isSwitch === true ? names.flatMap((name) => [`no${name}`, name]) : [...names];
