/**
 * The one place that runs iproute2. Its JSON is read, its batch mode written; nothing here keeps state.
 * A command for another network namespace runs through `nsenter`, because `ip -n` also remounts /sys and takes names only.
 */
import { type ExecFileException, execFile } from "node:child_process";
import { VtepdError } from "../errors.ts";
import { netnsPath } from "./netns.ts";

const OUTPUT_LIMIT_BYTES = 64 << 20;

const run = (program: string, args: readonly string[], input: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = execFile(program, args, { maxBuffer: OUTPUT_LIMIT_BYTES }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(commandError(program, args, error, stderr));
    });
    child.stdin?.on("error", () => {}); // a program that ends early; its exit status says why
    child.stdin?.end(input);
  });

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
export const runIp = (
  args: readonly string[],
  options: { netns?: string | undefined; input?: string } = {},
): Promise<string> => {
  const { netns, input = "" } = options;
  return netns === undefined
    ? run("ip", args, input)
    : run("nsenter", [`--net=${netnsPath(netns)}`, "ip", ...args], input);
};

/** Runs `ip -j ARGS`, in `netns` when given, and parses its output; iproute2 prints nothing at all for an empty list. */
export const queryIp = async <T>(args: readonly string[], netns?: string): Promise<T[]> => {
  const text = await runIp(["-j", ...args], { netns });
  return text.trim() === "" ? [] : (JSON.parse(text) as T[]);
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
