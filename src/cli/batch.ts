/** Files of commands, as `ip -batch` reads them. */
import { readFileSync } from "node:fs";
import { VtepdError } from "../errors.ts";

const STANDARD_INPUT = "-";

export interface BatchLine {
  /** Of its last line in the file, from 1. */
  readonly number: number;
  readonly words: readonly string[];
}

/** Words between white space; quotes keep it, `#` begins a comment. */
const wordsOf = (line: string): string[] => {
  const words: string[] = [];
  for (const [, double, single, plain, comment] of line.matchAll(/"([^"]*)"|'([^']*)'|([^\s#"'][^\s"']*)|(#.*)/g)) {
    if (comment !== undefined) break;
    words.push(double ?? single ?? plain!);
  }
  return words;
};

const read = (file: string): string => {
  try {
    return readFileSync(file === STANDARD_INPUT ? 0 : file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new VtepdError("ERR_USAGE", `Cannot open file "${file}" for reading: ${code}`, { cause });
  }
};

/** @throws ERR_USAGE when the file cannot be read */
export function* readBatch(file: string): Generator<BatchLine> {
  let line = "";
  let number = 0;
  for (const part of read(file).split("\n")) {
    number++;
    line += part;
    if (line.endsWith("\\")) {
      line = line.slice(0, -1);
      continue;
    }
    const words = wordsOf(line);
    if (words.length > 0) yield { number, words };
    line = "";
  }
}
