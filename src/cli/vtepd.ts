/**
 * The command `vtepd`: reads the configuration, runs the daemon until a signal, and is the only place that turns an
 * outcome into an exit status. All that is heavy (schema, log, data plane) is loaded when it is needed, so that --help
 * and --version answer at once and --check loads no native code.
 */
import { parseArgs } from "node:util";
import type { Config } from "../config/config.ts";
import { compileLater } from "../daemon/compiler.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { VtepdError } from "../errors.ts";
import { type InterruptEars, type Interrupts, watchInterrupts } from "./interrupts.ts";
import { type Io, processIo } from "./io.ts";
import { NamespaceEnd } from "./namespace-end.ts";
import { packageVersion } from "./version.ts";

const DEFAULT_CONFIG = "/etc/vtepd/vtepd.yaml";
const EXIT_OK = 0;
const EXIT_INTERRUPTED = 1;
const EXIT_FAILED = 2;

const HELP = `Usage: vtepd [ --config FILE ] [ --fresh | --check ]
       vtepd { --print-schema | --version | --help }

  -c, --config FILE   configuration file; default ${DEFAULT_CONFIG};
                      FILE.d/*.yaml are merged into it
      --fresh         forget what was made over the control socket, and what was learned
      --check         check the configuration and touch nothing
      --print-schema  print the JSON schema of the configuration
  -V, --version       print the version
  -h, --help          print this

SIGHUP reads the configuration file again and brings it into effect; what has not changed is not disturbed.
SIGTERM and SIGINT stop vtepd and remove its devices; the second one ends it at once.
Exit status: 0 stopped as asked or checked, 1 wrong command line or configuration, 2 refused by the kernel or failed.
`;

const OPTIONS = {
  config: { type: "string", short: "c", default: DEFAULT_CONFIG },
  fresh: { type: "boolean", default: false },
  check: { type: "boolean", default: false },
  "print-schema": { type: "boolean", default: false },
  version: { type: "boolean", short: "V", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** The daemon's side of things; a test brings its own. */
export interface DaemonParts {
  start(config: Config, options: { configPath: string; version: string; isFresh: boolean }): Promise<Daemon>;
  interrupts(ears: InterruptEars): Interrupts;
  /** Ends the process at once. */
  exit(status: number): void;
}

const realParts: DaemonParts = {
  start: async (config, options) => {
    const { createLog } = await import("../daemon/log.ts");
    const { startDaemon } = await import("../daemon/daemon.ts");
    return startDaemon(config, { ...options, log: createLog(config.daemon.log.level) });
  },
  interrupts: watchInterrupts,
  exit: (status) => process.exit(status),
};

const loadConfig = async (path: string): Promise<Config> => (await import("../config/load.ts")).loadConfig(path);

const parse = (argv: readonly string[]) => {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new VtepdError("ERR_USAGE", `${(cause as Error).message.split(". ", 1)[0]}; try "vtepd --help"`, { cause });
  }
};

/** Tells an error and returns the exit status that goes with it. A stack is for whoever asked for level debug. */
const report = (error: unknown, io: Io, withStack: boolean): number => {
  if (error instanceof VtepdError) {
    io.err(`vtepd: ${error.code}: ${error.message}\n`);
    return error.exitStatus;
  }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  io.err(`vtepd: ${withStack ? (stack ?? message) : message}\n`);
  return EXIT_FAILED;
};

const isVerbose = ({ daemon }: Config): boolean => daemon.log.level === "debug" || daemon.log.level === "trace";

/** Reloads, which fail without an effect. One asked for while the daemon starts comes after that. */
class Hangups {
  private readonly io: Io;
  private daemon: Pick<Daemon, "reload"> | undefined;
  private isWaiting = false;

  constructor(io: Io) {
    this.io = io;
  }

  heard(): void {
    if (this.daemon === undefined) this.isWaiting = true;
    else this.daemon.reload().catch((error: unknown) => report(error, this.io, false));
  }

  serve(daemon: Pick<Daemon, "reload">): void {
    this.daemon = daemon;
    if (this.isWaiting) this.heard();
  }
}

const serve = async (
  config: Config,
  { configPath, isFresh }: { configPath: string; isFresh: boolean },
  io: Io,
  parts: DaemonParts,
): Promise<number> => {
  const hangups = new Hangups(io);
  const { signal, crash } = parts.interrupts({
    onSecond: () => parts.exit(EXIT_INTERRUPTED),
    onHangup: () => hangups.heard(),
  });
  const withStack = isVerbose(config);
  const end = new NamespaceEnd();
  try {
    const broken = crash.then((error) => Promise.reject(error));
    const daemon = await Promise.race([
      parts.start(config, { configPath, version: packageVersion(), isFresh }),
      broken,
    ]);
    hangups.serve(daemon);
    const failure = await Promise.race([
      Promise.race([signal, end.come]).then(() => undefined),
      Promise.race([crash, daemon.failed]).then((error) => ({ error })),
    ]);
    if (failure !== undefined) report(failure.error, io, withStack);
    await daemon.stop();
    return failure === undefined ? EXIT_OK : EXIT_FAILED;
  } catch (error) {
    return report(error, io, withStack);
  } finally {
    end.close();
  }
};

/** Returns the exit status. */
export const run = async (argv: readonly string[], io: Io, parts: DaemonParts = realParts): Promise<number> => {
  try {
    const options = parse(argv);
    if (options.help) io.out(HELP);
    else if (options.version) io.out(`vtepd ${packageVersion()}\n`);
    else if (options["print-schema"]) io.out((await import("../config/json-schema.ts")).printSchema());
    else {
      const config = await loadConfig(options.config);
      if (!options.check) return await serve(config, { configPath: options.config, isFresh: options.fresh }, io, parts);
      io.out(`${options.config}: ok\n`);
    }
    return EXIT_OK;
  } catch (error) {
    return report(error, io, false);
  }
};

/** The process itself: a worker that would not end must not keep it alive. */
export const main = async (): Promise<never> => {
  compileLater();
  process.exit(await run(process.argv.slice(2), processIo()));
};
