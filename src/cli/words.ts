/**
 * The words of a command line, taken one after the other. Whatever is wrong with one is told with its place: the line again,
 * the word marked, and what was expected there.
 */
import { nearestKey } from "../config/nearest-key.ts";
import { VtepdError } from "../errors.ts";

const INCOMPLETE = 'Command line is not complete. Try option "help"';
/** Of a list of expected words that is shown; more would hide the message. Characters. */
const MAX_EXPECTED = 400;

/** A line as somebody wrote it. */
export interface Written {
  readonly program: string;
  readonly argv: readonly string[];
}

export interface Complaint {
  /** What could stand there. */
  readonly expected?: readonly string[] | undefined;
  /** Words, one of which was perhaps meant. */
  readonly near?: readonly string[] | undefined;
  /** Index of the word that is wrong; without it, the one that was taken last. */
  readonly at?: number;
}

const expectedText = (expected: readonly string[]): string => {
  const text = expected.join(", ");
  return text.length <= MAX_EXPECTED ? text : `${text.slice(0, text.lastIndexOf(",", MAX_EXPECTED))}, ...`;
};

export class Words {
  readonly all: readonly string[];
  readonly #written: Written;
  /** Of the word that comes next. */
  position = 0;

  /** @param written the line that became these words; what was taken over from it are its last words */
  constructor(all: readonly string[], written: Written = { program: "vtepctl", argv: all }) {
    this.all = all;
    this.#written = written;
  }

  /** Those that have not been taken. */
  get rest(): readonly string[] {
    return this.all.slice(this.position);
  }

  peek(): string | undefined {
    return this.all[this.position];
  }

  next(): string | undefined {
    const word = this.peek();
    if (word !== undefined) this.position++;
    return word;
  }

  /** The word that must come. @throws ERR_USAGE when there is none */
  take(expected: readonly string[]): string {
    const word = this.next();
    if (word === undefined) throw this.incomplete(expected);
    return word;
  }

  /** For a line that ends too early. */
  incomplete(expected: readonly string[], message: string = INCOMPLETE): VtepdError {
    return this.wrong(message, { expected, at: this.all.length });
  }

  /** @param message without the place */
  wrong(message: string, { expected = [], near = [], at = this.position - 1 }: Complaint = {}): VtepdError {
    const word = this.all[at];
    const meant = word === undefined ? undefined : nearestKey(word, near);
    const question = meant === undefined || meant === word ? "" : ` Did you mean "${meant}"?`;
    return new VtepdError("ERR_USAGE", `${message}${question}\n${this.#place(at, expected)}`);
  }

  #place(at: number, expected: readonly string[]): string {
    const { program, argv } = this.#written;
    const place = Math.max(0, argv.length - (this.all.length - at));
    const before = [program, ...argv.slice(0, place)].join(" ");
    const word = argv[place] ?? "";
    const line = [before, ...argv.slice(place)].join(" ");
    const mark = " ".repeat(before.length + 1) + "^".repeat(Math.max(word.length, 1));
    return `  ${line}\n  ${mark}${expected.length === 0 ? "" : ` expected ${expectedText(expected)}`}`;
  }
}
