/** A value on the command line: its keyword, what it looks like, and what is wrong with a text that is none. */

/** Complains about a value in iproute2's words; undefined when it is right. */
export type Check = (text: string) => string | undefined;

/** Whose names the daemon or the host may tell a shell that completes a word. */
export type Names = "link" | "interface" | "netns" | "file";

/** A value of a verb. */
export interface Value {
  /** Name of the value in the parsed command, and its keyword on the command line. */
  readonly key: string;
  /** Other keywords that are understood. */
  readonly aliases?: readonly string[];
  /** As the help calls it. */
  readonly placeholder: string;
  readonly check: Check;
  readonly required?: boolean;
  /** May stand several times; the texts are joined by commas. */
  readonly isList?: true;
  /** The words that it may be, or whose names. */
  readonly choices?: readonly string[] | Names;
}
