/**
 * Runs the lines of a batch in order. Changes of FDB, flood lists and neighbours that follow one another go to the daemon in
 * one call, as thousands of them come. A call is made whole or not at all; when one of it fails, those before it are made, and
 * the line that failed is told, as if all had gone one by one.
 */
import { VtepdError } from "../errors.ts";
import type { BatchLine } from "./batch.ts";
import { type ChangeJson, changeOf } from "./change.ts";
import type { ControlClient } from "./client.ts";
import { parseCommandLine } from "./command-line.ts";

export interface BatchParts {
  readonly client: ControlClient;
  /** Runs one line by itself and tells what is wrong with it. Returns whether it was done. */
  readonly runLine: (line: BatchLine) => Promise<boolean>;
  /** Goes on behind a line that fails. */
  readonly isForced: boolean;
}

/** Changes of one call. */
const MAX_CHANGES = 20_000;

interface Pending {
  readonly line: BatchLine;
  readonly change: ChangeJson;
}

/** The change that a line is, if it is one and nothing is wrong with it. */
const changeIn = ({ words }: BatchLine): ChangeJson | undefined => {
  try {
    return changeOf(parseCommandLine(words));
  } catch {
    return undefined;
  }
};

/** Index of the change that an error is about. */
const indexOf = ({ path = "" }: VtepdError): number | undefined => {
  const [, index] = /^changes\.(\d+)\b/.exec(path) ?? [];
  return index === undefined ? undefined : Number(index);
};

class BatchRun {
  readonly #parts: BatchParts;
  #pending: Pending[] = [];
  #failed = false;

  constructor(parts: BatchParts) {
    this.#parts = parts;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** Whether no line shall be run any more. */
  get #isOver(): boolean {
    return this.#failed && !this.#parts.isForced;
  }

  async #one(line: BatchLine): Promise<void> {
    if (!this.#isOver && !(await this.#parts.runLine(line))) this.#failed = true;
  }

  async #each(lines: readonly Pending[]): Promise<void> {
    for (const { line } of lines) await this.#one(line);
  }

  async #many(pending: readonly Pending[]): Promise<void> {
    if (pending.length === 0 || this.#isOver) return;
    if (pending.length === 1) return this.#each(pending);
    try {
      await this.#parts.client.send("POST", "/v1/changes", { changes: pending.map(({ change }) => change) });
    } catch (error) {
      const index = error instanceof VtepdError ? indexOf(error) : undefined;
      if (index === undefined || pending[index] === undefined) return this.#each(pending);
      await this.#many(pending.slice(0, index));
      await this.#one(pending[index].line);
      await this.#many(pending.slice(index + 1));
    }
  }

  async #flush(): Promise<void> {
    await this.#many(this.#pending.splice(0));
  }

  /** Returns whether to go on. */
  async take(line: BatchLine): Promise<boolean> {
    const change = changeIn(line);
    if (change === undefined) {
      await this.#flush();
      await this.#one(line);
    } else if (this.#pending.push({ line, change }) === MAX_CHANGES) {
      await this.#flush();
    }
    return !this.#isOver;
  }

  end(): Promise<void> {
    return this.#flush();
  }
}

/** Returns whether all lines were done. */
export const runLines = async (lines: Iterable<BatchLine>, parts: BatchParts): Promise<boolean> => {
  const run = new BatchRun(parts);
  for (const line of lines) if (!(await run.take(line))) break;
  await run.end();
  return !run.failed;
};
