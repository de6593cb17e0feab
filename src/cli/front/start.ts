/**
 * Starts a daemon when a line needs one and none answers. Several lines at once start one: a daemon holds a lock on a file
 * beside its socket (flock(1), for as long as it runs), and who does not get it waits for the other's socket to answer.
 */
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { VtepdError } from "../../errors.ts";
import { namespaceInode } from "../namespace.ts";
import { FILES_OF_NAMESPACE, VTEPD } from "../programs.ts";

const CONFIG = "/etc/vtepd/vtepd.yaml";
/** The default of the configuration's `daemon.control.socket`. */
export const DEFAULT_SOCKET = "/run/vtepd/control.sock";
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 10;
/** Exit status that says that another one holds the lock. */
const LOCKED = 75;
const LAST_LINES = 5;

export const isAnswering = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.destroy();
      resolve(true);
    });
    connection.once("error", () => resolve(false));
  });

/** Whose namespaces the daemon of a host lives in, wherever the line runs. Number of a process. */
const FIRST_PROCESS = 1;

/** What has to stand before a program for the home of daemons, `ip netns exec` or not. */
const homeEntry = (): readonly string[] => {
  const target = Number(process.env["VTEPD_HOME"] || FIRST_PROCESS);
  const isHome = ["net", "mnt"].every((kind) => {
    const inode = namespaceInode(`/proc/${target}/ns/${kind}`);
    // Namespaces that may not be looked at cannot be entered.
    return inode === undefined || inode === namespaceInode(`/proc/self/ns/${kind}`);
  });
  return isHome ? [] : ["nsenter", `--target=${target}`, "--net", "--mount", "--"];
};

const failure = (socket: string, reason: string): VtepdError =>
  new VtepdError("ERR_CONTROL_SOCKET", `no vtepd answers at ${socket}, and ${reason}`);

/** The host's file, where there is one; else one without tunnels. Returns its path. */
const configFor = (socket: string, stem: string, scope: Scope): string => {
  if (socket === DEFAULT_SOCKET && existsSync(CONFIG)) return CONFIG;
  const file = `${stem}.yaml`;
  const state = socket === DEFAULT_SOCKET ? {} : { "state-directory": `${stem}-state` };
  const workers = scope === "host" ? {} : { workers: 1 };
  const config = { version: 1, daemon: { control: { socket }, ...state, ...workers }, tunnels: {} };
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(config, null, 2)}\n`); // JSON is YAML
  renameSync(draft, file); // somebody else's daemon may be reading it
  return file;
};

const lastLines = (file: string): string =>
  readFileSync(file, "utf8").trimEnd().split("\n").slice(-LAST_LINES).join("\n");

/** Returns how the daemon ended, as it does when it cannot start. */
const launch = (
  argv: readonly [string, ...string[]],
  log: string,
  env: NodeJS.ProcessEnv,
): { ended: () => number | undefined } => {
  const output = openSync(log, "a");
  const [program, ...words] = argv;
  const child = spawn(program, words, { cwd: "/", detached: true, stdio: ["ignore", output, output], env });
  closeSync(output);
  let status: number | undefined;
  child.once("error", () => {
    status = 127;
  });
  child.once("exit", (code) => {
    status = code ?? 1;
  });
  child.unref();
  return { ended: () => status };
};

export type Scope = "host" | "namespace";

/**
 * Returns when the daemon answers.
 * @param scope what it serves: the host, or our own namespace alone @throws ERR_CONTROL_SOCKET
 */
export const startDaemon = async (socket: string, scope: Scope): Promise<void> => {
  if (process.env["VTEPD_NO_START"] === "1") throw failure(socket, "VTEPD_NO_START forbids to start one");
  if (process.geteuid?.() !== 0) throw failure(socket, "only root may start one");
  const stem = socket.replace(/\.sock$/, "");
  mkdirSync(dirname(socket), { recursive: true, mode: 0o755 });
  const config = configFor(socket, stem, scope);
  const log = `${stem}.log`;
  const enter = scope === "host" ? homeEntry() : [];
  const daemon = [process.execPath, VTEPD, "--config", config];
  const held = ["flock", "--nonblock", "--no-fork", "--conflict-exit-code", String(LOCKED), `${stem}.lock`, ...daemon];
  // The number of a namespace that is gone will be another one's: nothing of its daemon may be left then.
  const env = scope === "host" ? process.env : { ...process.env, [FILES_OF_NAMESPACE]: stem };
  const { ended } = launch([...enter, ...held] as [string, ...string[]], log, env);
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await isAnswering(socket))) {
    const status = ended();
    if (status !== undefined && status !== LOCKED)
      throw failure(socket, `one did not start (${log}):\n${lastLines(log)}`);
    if (Date.now() > deadline) throw failure(socket, `one has not come within ${START_TIMEOUT_MS / 1000} s (${log})`);
    await sleep(POLL_MS);
  }
};
