/** What the grammar of vtepctl is made of. The tables in this folder feed parser, help, completion and manual page. */
import type { LinkType, TypeWord } from "./link-type.ts";
import type { Value } from "./value.ts";

/** A reason by word. */
export type Reasons = Readonly<Record<string, string>>;

export interface Verb {
  /** The first one is its name, the others are understood too. */
  readonly names: readonly string[];
  /** May stand without its keyword. */
  readonly operand?: Value;
  /** The operand may stand several times; all of them are the list of the parsed command. */
  readonly repeats?: true;
  /** Stand behind their keyword. */
  readonly values: readonly Value[];
  /** A list: its values stand behind their keywords, the first one of them begins each element. `none` is the empty list. */
  readonly list?: readonly [Value, ...Value[]];
  /** Words that stand alone; a command that has one has it as a value, too. */
  readonly flags?: readonly string[];
  /** Words that say what vtepd does anyway; groups are alternatives in the help. */
  readonly implied?: readonly (readonly string[])[];
  /** Words that somebody may try, and why they are refused. */
  readonly refused?: Reasons;
  /** What may stand behind `type`; it and its words end the line. */
  readonly types?: readonly LinkType[];
  /** Whether it must. */
  readonly needsType?: true;
  /** Words of types among the others. */
  readonly mixed?: readonly TypeWord[];
}

export interface CommandObject {
  readonly name: string;
  /** Other names that are understood. */
  readonly aliases?: readonly string[];
  readonly summary: string;
  /** The first one is meant when none is given. */
  readonly verbs: readonly Verb[];
  /** Its one verb has no word: what belongs to it stands behind the object. */
  readonly isVerb?: true;
  /** What stands behind it is for another program to understand; how the help tells of it. */
  readonly foreign?: string;
}
