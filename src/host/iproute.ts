/**
 * The one place that runs iproute2. Its JSON is read, its batch mode written; nothing here keeps state.
 * A command for another network namespace runs through `nsenter`, because `ip -n` also remounts /sys and takes names only.
 */
import { type ExecFileException, execFile } from "node:child_process";
import { VtepdError } from "../errors.ts";
import { netnsPath } from "./netns.ts";

const OUTPUT_LIMIT_BYTES = 64 << 20;

interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly error: ExecFileException | null;
}

const execute = (program: string, args: readonly string[], input: string): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(program, args, { maxBuffer: OUTPUT_LIMIT_BYTES }, (error, stdout, stderr) =>
      resolve({ stdout, stderr, error }),
    );
    child.stdin?.on("error", () => {}); // a program that ends early; its exit status says why
    child.stdin?.end(input);
  });

/** `ip` as it is run in a namespace; undefined = the daemon's own. */
const commandFor = (netns: string | undefined, args: readonly string[]): [program: string, args: readonly string[]] =>
  netns === undefined ? ["ip", args] : ["nsenter", [`--net=${netnsPath(netns)}`, "ip", ...args]];

const commandError = (
  program: string,
  args: readonly string[],
  error: ExecFileException,
  stderr: string,
): VtepdError => {
  const what =
    error.code === "ENOENT"
      ? `expected the program \`${program}\` (Debian: ${program === "ip" ? "iproute2" : "util-linux"}), found none`
      : stderr.trim() || error.message;
  return new VtepdError("ERR_HOST_COMMAND", `\`${[program, ...args].join(" ")}\`: ${what}`, { cause: error });
};

/** Runs `ip ARGS`, in `netns` when given, and returns what it prints. @throws ERR_HOST_COMMAND */
export const runIp = async (
  args: readonly string[],
  options: { netns?: string | undefined; input?: string } = {},
): Promise<string> => {
  const { netns, input = "" } = options;
  const [program, words] = commandFor(netns, args);
  const { stdout, stderr, error } = await execute(program, words, input);
  if (error !== null) throw commandError(program, words, error, stderr);
  return stdout;
};

/** Runs `ip -j ARGS`, in `netns` when given, and parses its output; iproute2 prints nothing at all for an empty list. */
export const queryIp = async <T>(args: readonly string[], netns?: string): Promise<T[]> => {
  const text = await runIp(["-j", ...args], { netns });
  return text.trim() === "" ? [] : (JSON.parse(text) as T[]);
};

/** Rows, or why `ip` has none. */
export type Answer = readonly unknown[] | VtepdError;

/**
 * Asks many questions of one process, a line each, e.g. `route get 192.0.2.2`. What goes wrong with one line does not
 * concern the others. @throws ERR_HOST_COMMAND when `ip` cannot be run at all
 */
export const queryIpEach = async (lines: readonly string[], netns: string | undefined): Promise<Answer[]> => {
  if (lines.length === 0) return [];
  const [program, args] = commandFor(netns, ["-j", "-force", "-batch", "-"]);
  const { stdout, stderr, error } = await execute(program, args, `${lines.join("\n")}\n`);
  const refusals = refusalsIn(stderr);
  if (error !== null && refusals.size === 0 && stdout === "") throw commandError(program, args, error, stderr);
  const answers = stdout.split("\n").filter((text) => text !== "");
  return lines.map((line, index): Answer => {
    const refusal = refusals.get(index + 1);
    const text = refusal === undefined ? answers.shift() : undefined;
    if (text !== undefined) return JSON.parse(text) as unknown[];
    return new VtepdError("ERR_HOST_COMMAND", `\`ip ${line}\`: ${refusal ?? "no answer"}`);
  });
};

/** What `ip -force -batch` says of lines that failed, by their number from 1. */
const refusalsIn = (stderr: string): Map<number, string> => {
  const refusals = new Map<number, string>();
  let said: string[] = [];
  for (const line of stderr.split("\n")) {
    const number = /^Command failed -:(\d+)/.exec(line)?.[1];
    if (number === undefined) {
      if (line !== "") said.push(line);
    } else {
      refusals.set(Number(number), said.join(" "));
      said = [];
    }
  }
  return refusals;
};

/** Carries out `ip` command lines in one process; stops at the first that fails. @throws ERR_HOST_COMMAND */
export const batchIp = async (lines: readonly string[], netns?: string): Promise<void> => {
  if (lines.length === 0) return;
  try {
    await runIp(["-batch", "-"], { netns, input: `${lines.join("\n")}\n` });
  } catch (error) {
    // `ip` says only the number of the line: "Command failed -:1".
    const line = lines[Number(/Command failed -:(\d+)/.exec((error as Error).message)?.[1]) - 1];
    if (line === undefined) throw error;
    throw new VtepdError("ERR_HOST_COMMAND", `\`ip ${line}\`: ${(error as Error).message}`, { cause: error });
  }
};
