/** What a command may touch of its process, so that a test can run it in its own. */
import { spawnSync } from "node:child_process";

export interface Io {
  /** Standard output, as it is. */
  out(text: string): void;
  /** The same for bytes; resolves when there is room for more. */
  outBytes(bytes: Uint8Array): Promise<void>;
  /** Whether somebody looks at standard output as it comes. */
  readonly isTerminal: boolean;
  /**
   * Tells of the first signal that asks for an end, instead of ending; a second one ends the process as ever. Returns what takes
   * that back.
   */
  onInterrupt(listener: () => void): () => void;
  /** Standard error, as it is. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Runs a program of the host to its end. */
  execute(program: string, argv: readonly string[]): Executed;
}

export interface Executed {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As a shell has it: a program that is not there. */
const NOT_FOUND = 127;

const execute = (program: string, argv: readonly string[]): Executed => {
  const { error, status, stdout, stderr } = spawnSync(program, argv, { encoding: "utf8" });
  if (error !== undefined) return { status: NOT_FOUND, stdout: "", stderr: `${program}: ${error.message}` };
  return { status: status ?? NOT_FOUND, stdout, stderr };
};

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const onInterrupt = (listener: () => void): (() => void) => {
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, heard);
  };
  const heard = (): void => {
    forget();
    listener();
  };
  for (const signal of SIGNALS) process.on(signal, heard);
  return forget;
};

/** A reader that has seen enough (`vtepctl fdb | head`) is no error. */
const endOnClosedPipe = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
};

export const processIo = (): Io => {
  process.stdout.on("error", endOnClosedPipe);
  process.stderr.on("error", () => {}); // there is nobody to tell
  return {
    out: (text) => void process.stdout.write(text),
    outBytes: async (bytes) => {
      if (!process.stdout.write(bytes)) await new Promise<void>((resolve) => process.stdout.once("drain", resolve));
    },
    isTerminal: process.stdout.isTTY === true,
    onInterrupt,
    err: (text) => void process.stderr.write(text),
    env: process.env,
    execute,
  };
};
