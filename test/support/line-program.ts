/** A program that answers each line of its input with one line of output, as the tools of the addon do. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

interface Question {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

export class LineProgram {
  readonly #process: ChildProcess;
  readonly #questions: Question[] = [];
  readonly #ended: Promise<void>;
  #failure: Error | undefined;

  constructor(command: string, args: readonly string[] = []) {
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#process.stdout! }).on("line", (line) => this.#questions.shift()?.resolve(line));
    // A program that ends while being written to is seen by its end.
    this.#process.stdin!.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      const end = (failure: Error): void => {
        this.#failure ??= failure;
        for (const question of this.#questions.splice(0)) question.reject(this.#failure);
        resolve();
      };
      this.#process.on("error", end);
      this.#process.on("close", (code, signal) => end(new Error(`${command}: ended with ${signal ?? code}`)));
    });
  }

  /** Answers come in the order of the questions. @throws Error when the program has ended or ends instead of answering. */
  ask(line: string): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#questions.push({ resolve, reject });
      this.#process.stdin!.write(`${line}\n`);
    });
  }

  /** Ends its input and waits for its end. */
  async close(): Promise<void> {
    this.#process.stdin!.end();
    await this.#ended;
  }
}
