/** The host's own `ip`, `bridge` and `brctl`: the first in PATH that no `vtepctl shim` has made. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { VtepdError } from "../../errors.ts";

/** A file that tells a folder of wrappers from others of PATH. */
export const SHIM_MARK = ".vtepctl-shim";
/** Bytes of output that may have to be looked through: 10,000 devices with all details. */
const MAX_OUTPUT = 64 * 1024 * 1024;
/** As a shell has it. */
const NOT_FOUND = 127;
const BY_SIGNAL = 128;

export interface Captured {
  readonly status: number;
  readonly stdout: string;
}

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

/** Undefined when the host has none. */
export const findProgram = (name: string, path: string = process.env["PATH"] ?? ""): string | undefined =>
  path
    .split(":")
    .filter((folder) => !existsSync(join(folder, SHIM_MARK)))
    .map((folder) => join(folder, name))
    .find(isProgram);

/** @throws ERR_HOST_COMMAND */
const realProgram = (name: string): string => {
  const found = findProgram(name);
  if (found !== undefined) return found;
  throw new VtepdError("ERR_HOST_COMMAND", `${name}: not found in PATH`);
};

/** A signal that ended the program ends us, too, so that a shell sees what it would have seen. */
const statusOf = (status: number | null, signal: NodeJS.Signals | null): number => {
  if (signal !== null) process.kill(process.pid, signal);
  return status ?? BY_SIGNAL;
};

/** Hands a line on; the program has our own streams. Returns its status. @param name of a program, or a path */
export const passOn = (name: string, argv: readonly string[], input?: string): number => {
  const program = name.includes("/") ? name : realProgram(name);
  const stdin = input === undefined ? "inherit" : "pipe";
  const { error, status, signal } = spawnSync(program, argv, { stdio: [stdin, "inherit", "inherit"], input });
  return error === undefined ? statusOf(status, signal) : NOT_FOUND;
};

/** Runs a line for its output; what it complains of is seen. */
export const capture = (name: string, argv: readonly string[]): Captured => {
  const { error, status, signal, stdout } = spawnSync(realProgram(name), argv, {
    encoding: "utf8",
    stdio: ["inherit", "pipe", "inherit"],
    maxBuffer: MAX_OUTPUT,
  });
  return error === undefined ? { status: statusOf(status, signal), stdout } : { status: NOT_FOUND, stdout: "" };
};
