/**
 * The command `vtepctl`: a client of the control socket in iproute2's grammar, with iproute2's text and JSON. Loads
 * nothing but node:http and files of its own, because scripts call it many times.
 */
import type { ErrorCode, VtepdError } from "../errors.ts";
import { type BatchLine, readBatch } from "./batch.ts";
import { runLines } from "./batch-run.ts";
import { ControlClient } from "./client.ts";
import { COMMANDS } from "./command/commands.ts";
import { completions } from "./command/completion.ts";
import { type Command, parseCommandLine } from "./command-line.ts";
import { COMPLETE } from "./completion-script.ts";
import type { FrontProgram } from "./front/run.ts";
import { generalHelp, objectHelp, typeHelp } from "./help.ts";
import { type Io, processIo } from "./io.ts";
import { packageVersion } from "./version.ts";
import type { Written } from "./words.ts";

/** The default of the configuration's `daemon.control.socket`. */
const DEFAULT_SOCKET = "/run/vtepd/control.sock";
const EXIT_OK = 0;
const EXIT_USAGE = 1;
const EXIT_FAILED = 2;

const socketPath = (options: Command["options"], io: Io): string => {
  const given = options.get("socket");
  return typeof given === "string" ? given : io.env["VTEPD_SOCKET"] || DEFAULT_SOCKET;
};

/** Not `instanceof`: what is not in the one file that vtepctl is built into has a VtepdError of its own. */
const isOurs = (error: unknown): error is VtepdError => error instanceof Error && "exitStatus" in error;

/** What the kernel answers. */
const ANSWERS: Partial<Record<ErrorCode, string>> = {
  ERR_DEVICE_EXISTS: "File exists",
  ERR_FDB_ENTRY_EXISTS: "File exists",
  ERR_NEIGHBOUR_EXISTS: "File exists",
};

/** iproute2's words where scripts may look for them, and the daemon's. */
const messageOf = ({ code, message }: VtepdError, command: Command | undefined): string => {
  const dev = command?.values.get("dev") ?? command?.values.get("name");
  if (code === "ERR_LINK_NOT_FOUND" && dev !== undefined) return `Cannot find device "${dev}"`;
  const answer = ANSWERS[code];
  return answer === undefined ? message : `${answer}: ${message}`;
};

/** A word that was typed may have what a terminal obeys. */
const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is control characters that are looked for.
  text.replace(/[\u0000-\u0009\u000b-\u001f\u007f]/g, "?");

type Options = Command["options"];

const execute = async (command: Command, io: Io): Promise<number> => {
  const { options, object, verb } = command;
  if (options.has("Version")) {
    io.out(`vtepctl utility, vtepd-${packageVersion()}\n`);
  } else if (object === "help" || options.has("help")) {
    io.out(generalHelp());
  } else if (options.has("batch")) {
    return runBatch(options, io);
  } else if (object === undefined) {
    io.err(generalHelp());
    return EXIT_USAGE;
  } else if (object.foreign !== undefined && verb !== "help") {
    const { runFront } = await import("./front/run.ts");
    return runFront(object.name as FrontProgram, command.words.rest, socketPath(command.options, io), io, run);
  } else if (verb === "help" || verb === undefined || command.typed?.topic !== undefined) {
    const topic = command.typed?.topic;
    io.out(topic === undefined ? objectHelp(object) : typeHelp(topic));
  } else {
    const run = COMMANDS[`${object.name} ${verb.names[0]}`]!;
    const client = new ControlClient(socketPath(options, io));
    const { out, execute } = io;
    await run({ ...command, client, out, io, execute, note: (text) => io.err(`vtepctl: ${text}\n`) });
  }
  return EXIT_OK;
};

interface Line {
  /** Options that stand before all lines of a batch. */
  readonly common?: Options;
  /** What the line was before a front end made it ours. */
  readonly written?: Written | undefined;
}

/** Returns the exit status. */
const runWords = async (argv: readonly string[], io: Io, line: Line = {}): Promise<number> => {
  const { common = new Map(), written } = line;
  let command: Command | undefined;
  try {
    const own = parseCommandLine(argv, written);
    command = { ...own, options: new Map([...common, ...own.options]) };
    return await execute(command, io);
  } catch (error) {
    const { message } = error instanceof Error ? error : { message: String(error) };
    io.err(`vtepctl: ${printable(isOurs(error) ? messageOf(error, command) : message)}\n`);
    return isOurs(error) ? error.exitStatus : EXIT_FAILED;
  }
};

/** As `ip -batch`: ends at the first line that fails, unless it is forced to go on. */
const runBatch = async (options: Options, io: Io): Promise<number> => {
  const file = String(options.get("batch"));
  const common = new Map([...options].filter(([name]) => name !== "batch"));
  const runLine = async ({ number, words }: BatchLine): Promise<boolean> => {
    if ((await runWords(words, io, { common })) === EXIT_OK) return true;
    io.err(`Command failed ${file}:${number}\n`);
    return false;
  };
  const client = new ControlClient(socketPath(options, io));
  const isDone = await runLines(readBatch(file), { client, runLine, isForced: options.has("force") });
  return isDone ? EXIT_OK : EXIT_USAGE;
};

/** Returns the exit status. @param written what the line was before a front end made it ours */
export const run = async (argv: readonly string[], io: Io, written?: Written): Promise<number> => {
  const [first, line = ""] = argv;
  if (first !== COMPLETE) return runWords(argv, io, { written });
  const socket = /\s--?so\w*\s+(\S+)/.exec(line)?.[1] ?? (io.env["VTEPD_SOCKET"] || DEFAULT_SOCKET);
  io.out(await completions(line, new ControlClient(socket)));
  return EXIT_OK;
};

export const main = async (): Promise<void> => {
  process.exitCode = await run(process.argv.slice(2), processIo());
};
