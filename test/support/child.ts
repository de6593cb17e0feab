/** A running program: its output is kept, and it ends for certain, by pid. */
import { type ChildProcess, spawn } from "node:child_process";
import { PATIENCE_MS, waitFor } from "./wait-for.ts";

/** Time a program gets between SIGTERM and SIGKILL. */
const STOP_TIMEOUT_MS = 15_000;
/** Time the last output gets to arrive after the program's end. */
const PIPE_TIMEOUT_MS = 300;

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
}

export class Child {
  /** The command as a user would type it. */
  readonly command: string;
  readonly exited: Promise<ExitStatus>;
  stdout = "";
  stderr = "";
  readonly #process: ChildProcess;
  #status: ExitStatus | undefined;

  constructor(command: string, args: readonly string[], options: ChildOptions = {}) {
    this.command = [command, ...args].join(" ");
    this.#process = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
    // A program that ends while being written to is seen in `exited`, not as an exception out of nowhere.
    this.#process.stdin?.on("error", () => {});
    this.exited = new Promise((resolve) => {
      const settle = (status: ExitStatus): void => {
        this.#status ??= status;
        resolve(this.#status);
      };
      this.#process.on("error", (error) => {
        this.stderr += `${error.message}\n`;
        settle({ code: 127, signal: null });
      });
      this.#process.on("close", (code, signal) => settle({ code, signal }));
      // A grandchild may hold the pipes open long after the program itself has ended.
      this.#process.on("exit", (code, signal) => setTimeout(settle, PIPE_TIMEOUT_MS, { code, signal }));
    });
  }

  /** 0 when the program could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get running(): boolean {
    return this.#status === undefined;
  }

  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  endInput(): void {
    this.#process.stdin?.end();
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Waits until stdout or stderr matches; fails at once, with all output, when the program ends before. */
  async waitForOutput(pattern: RegExp, timeoutMs = PATIENCE_MS): Promise<RegExpMatchArray> {
    const seen = (): RegExpMatchArray | null => this.stdout.match(pattern) ?? this.stderr.match(pattern);
    await waitFor(() => seen() !== null || !this.running, {
      timeoutMs,
      what: () => `${pattern} from \`${this.command}\`; it said:\n${this.stdout}${this.stderr}`,
    });
    const match = seen();
    if (match === null) throw new Error(`\`${this.command}\` ended without ${pattern}:\n${this.stdout}${this.stderr}`);
    return match;
  }

  /** Waits for the end; a program that takes longer is stopped and this throws. */
  async wait(timeoutMs = PATIENCE_MS): Promise<ExitStatus> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, undefined);
    });
    const status = await Promise.race([this.exited, late]);
    clearTimeout(timer);
    if (status !== undefined) return status;
    await this.stop();
    throw new Error(`\`${this.command}\` did not end within ${timeoutMs} ms:\n${this.stdout}${this.stderr}`);
  }

  /** SIGTERM, then SIGKILL after 15 s. Returns how it ended; calling it again is harmless. */
  async stop(): Promise<ExitStatus> {
    if (this.running) {
      this.#process.kill("SIGTERM");
      const timer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await this.exited;
      clearTimeout(timer);
    }
    return this.exited;
  }

  /** For the way out of a dying test process, where nothing can be awaited. */
  killNow(): void {
    if (this.running) this.#process.kill("SIGKILL");
  }
}
