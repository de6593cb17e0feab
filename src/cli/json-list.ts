/** A JSON array that is written element by element, because an FDB does not fit into one string. */

const INDENT = 4;

export class JsonList {
  readonly #isPretty: boolean;
  #count = 0;

  constructor(isPretty: boolean) {
    this.#isPretty = isPretty;
  }

  /** Text of the next element, with what stands before it. */
  add(value: unknown): string {
    const before = this.#count++ === 0 ? "[" : ",";
    if (!this.#isPretty) return before + JSON.stringify(value);
    const text = JSON.stringify(value, null, INDENT).replaceAll("\n", `\n${" ".repeat(INDENT)}`);
    return `${before}\n${" ".repeat(INDENT)}${text}`;
  }

  /** What stands behind the last element. */
  end(): string {
    if (this.#count === 0) return "[]\n";
    return this.#isPretty ? "\n]\n" : "]\n";
  }
}

/** One value, in the same form. */
export const jsonText = (value: unknown, isPretty: boolean): string =>
  `${JSON.stringify(value, null, isPretty ? INDENT : undefined)}\n`;
