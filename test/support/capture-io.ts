/** Io of a command that runs inside the test's own process. */
import type { Io } from "../../src/cli/io.ts";

export interface CapturedIo extends Io {
  stdout: string;
  stderr: string;
}

export const captureIo = (env: Readonly<Record<string, string>> = {}): CapturedIo => {
  const io: CapturedIo = {
    stdout: "",
    stderr: "",
    env,
    out: (text) => {
      io.stdout += text;
    },
    err: (text) => {
      io.stderr += text;
    },
  };
  return io;
};
