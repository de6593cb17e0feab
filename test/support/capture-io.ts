/** Io of a command that runs inside the test's own process. */
import type { Executed, Io } from "../../src/cli/io.ts";

export interface CapturedIo extends Io {
  stdout: string;
  stderr: string;
  /** Programs that were run, with their arguments. */
  readonly executed: string[];
}

const DONE: Executed = { status: 0, stdout: "", stderr: "" };

/** @param answer what a program of the host that is run comes to */
export const captureIo = (
  env: Readonly<Record<string, string>> = {},
  answer: (command: string) => Executed = () => DONE,
): CapturedIo => {
  const io: CapturedIo = {
    stdout: "",
    stderr: "",
    env,
    executed: [],
    execute: (program, argv) => {
      const command = [program, ...argv].join(" ");
      io.executed.push(command);
      return answer(command);
    },
    out: (text) => {
      io.stdout += text;
    },
    outBytes: async (bytes) => {
      io.stdout += Buffer.from(bytes).toString("latin1");
    },
    isTerminal: false,
    onInterrupt: () => () => {},
    err: (text) => {
      io.stderr += text;
    },
  };
  return io;
};
