/**
 * The command `vtepctl`: a client of the control socket in iproute2's grammar, with iproute2's text and JSON. Loads
 * nothing but node:http and files of its own, because scripts call it many times.
 */
import { VtepdError } from "../errors.ts";
import { ControlClient } from "./client.ts";
import { COMMANDS } from "./command/commands.ts";
import { type Command, parseCommandLine } from "./command-line.ts";
import { generalHelp, objectHelp } from "./help.ts";
import { type Io, processIo } from "./io.ts";
import { packageVersion } from "./version.ts";

/** The default of the configuration's `daemon.control.socket`. */
const DEFAULT_SOCKET = "/run/vtepd/control.sock";
const EXIT_OK = 0;
const EXIT_USAGE = 1;
const EXIT_FAILED = 2;

const socketPath = ({ options }: Command, io: Io): string => {
  const given = options.get("socket");
  return typeof given === "string" ? given : io.env["VTEPD_SOCKET"] || DEFAULT_SOCKET;
};

/** iproute2's words where scripts may look for them, else the daemon's. */
const messageOf = (error: VtepdError, command: Command | undefined): string => {
  const dev = command?.values.get("dev");
  return error.code === "ERR_LINK_NOT_FOUND" && dev !== undefined ? `Cannot find device "${dev}"` : error.message;
};

const execute = async (command: Command, io: Io): Promise<number> => {
  const { options, object, verb, values, list } = command;
  if (options.has("Version")) {
    io.out(`vtepctl utility, vtepd-${packageVersion()}\n`);
  } else if (object === "help" || options.has("help")) {
    io.out(generalHelp());
  } else if (object === undefined) {
    io.err(generalHelp());
    return EXIT_USAGE;
  } else if (verb === "help" || verb === undefined) {
    io.out(objectHelp(object));
  } else {
    const run = COMMANDS[`${object.name} ${verb.names[0]}`]!;
    await run({ client: new ControlClient(socketPath(command, io)), options, values, list, out: io.out });
  }
  return EXIT_OK;
};

/** Returns the exit status. */
export const run = async (argv: readonly string[], io: Io): Promise<number> => {
  let command: Command | undefined;
  try {
    command = parseCommandLine(argv);
    return await execute(command, io);
  } catch (error) {
    if (error instanceof VtepdError) {
      io.err(`vtepctl: ${messageOf(error, command)}\n`);
      return error.exitStatus;
    }
    io.err(`vtepctl: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT_FAILED;
  }
};

export const main = async (): Promise<void> => {
  process.exitCode = await run(process.argv.slice(2), processIo());
};
