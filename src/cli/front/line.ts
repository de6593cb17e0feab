/** A line as `ip` and `bridge` get it: options, an object, a verb and the rest, each perhaps shortened. */

/** iproute2's, in the order in which it compares: of several that fit, the first is meant. */
const OPTIONS = [
  "loops",
  "family",
  "4",
  "6",
  "0",
  "M",
  "B",
  "human",
  "iec",
  "stats",
  "statistics",
  "details",
  "resolve",
  "oneline",
  "timestamp",
  "tshort",
  "Version",
  "force",
  "batch",
  "brief",
  "json",
  "pretty",
  "rcvbuf",
  "color",
  "compressvlans",
  "help",
  "netns",
  "Numeric",
  "all",
  "echo",
] as const;
type Option = (typeof OPTIONS)[number];

const WITH_VALUE: readonly Option[] = ["loops", "family", "batch", "rcvbuf", "netns"];
/** Those that vtepctl understands, too. */
const SHARED: readonly Option[] = [
  ...(["4", "6", "stats", "statistics", "details", "oneline", "timestamp"] as const),
  ...(["tshort", "brief", "json", "pretty"] as const),
];

interface Given {
  readonly option: Option | undefined;
  readonly words: readonly string[];
}

const optionOf = (word: string): Option | undefined => {
  const text = word.replace(/^--?/, "").replace(/=.*/s, "");
  return text === "" ? undefined : OPTIONS.find((name) => name.startsWith(text));
};

/** Whether `word` stands for the first of `names` that it is the beginning of. */
export const isShort = (word: string | undefined, name: string, before: readonly string[] = []): boolean =>
  word !== undefined &&
  word !== "" &&
  name.startsWith(word) &&
  !before.some((other) => other !== name && other.startsWith(word));

export class Line {
  readonly program: string;
  /** All words. */
  readonly argv: readonly string[];
  /** From the object on. */
  readonly words: readonly string[];
  readonly #given: readonly Given[];

  constructor(program: string, argv: readonly string[]) {
    this.program = program;
    this.argv = argv;
    const given: Given[] = [];
    let at = 0;
    while (argv[at]?.startsWith("-")) {
      const option = optionOf(argv[at]!);
      const length = option !== undefined && WITH_VALUE.includes(option) ? 2 : 1;
      given.push({ option, words: argv.slice(at, at + length) });
      at += length;
    }
    this.#given = given;
    this.words = argv.slice(at);
  }

  has(...names: readonly Option[]): boolean {
    return this.#given.some(({ option }) => option !== undefined && names.includes(option));
  }

  value(name: Option): string | undefined {
    return this.#given.findLast(({ option }) => option === name)?.words[1];
  }

  /** The options alone, without some. */
  options(...without: readonly Option[]): string[] {
    return this.#given.flatMap(({ option, words }) => (option !== undefined && without.includes(option) ? [] : words));
  }

  /** The options that vtepctl understands as `ip` does. */
  get shared(): string[] {
    return this.#given.flatMap(({ option }) => (option !== undefined && SHARED.includes(option) ? [`-${option}`] : []));
  }
}

/** What stands behind a keyword; undefined when it is not there. */
export const behind = (words: readonly string[], keyword: string): string | undefined => {
  const at = words.indexOf(keyword);
  return at === -1 ? undefined : words[at + 1];
};
