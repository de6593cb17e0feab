/**
 * The control socket as a file: made so that nobody outside its group can connect at any moment, taken over from a dead
 * daemon, never from a living one.
 *
 * The mode comes from the umask while bind(2) runs, not from a chmod afterwards: between the two anybody could connect.
 * Node.js binds a unix socket before `listen` returns, so the changed umask is seen by no other code of this thread.
 * A group is given after the bind; until then the file belongs to the process's own group, which only narrows access.
 */
import { chownSync, fstatSync, lstatSync, mkdirSync, readFileSync, type Stats, unlinkSync } from "node:fs";
import { createConnection, type Server } from "node:net";
import { dirname } from "node:path";
import { VtepdError } from "../errors.ts";

/** sizeof(sun_path) less the closing zero, unix(7). Bytes. */
const MAX_PATH_BYTES = 107;
const DIRECTORY_MODE = 0o755;
/** Of the file, when nobody says another. */
const DEFAULT_MODE = 0o660;
/** What bind(2) asks for; the umask takes from it. */
const BIND_MODE = 0o777;
/** A daemon that accepts no connection for this long is still taken for a living one. */
const PROBE_TIMEOUT_MS = 2000;
/** Connections that wait until we accept them, listen(2); the next one is refused with EAGAIN. The kernel's own limit is as high. */
const BACKLOG = 4096;

export interface SocketFile {
  readonly path: string;
  /** Number of the group that may connect; default the process's own. */
  readonly groupId?: number | undefined;
  /** Who may connect: owner, group, others; default 0660. */
  readonly mode?: number | undefined;
}

const failure = (message: string, cause: unknown): VtepdError =>
  new VtepdError("ERR_CONTROL_SOCKET", `${message}: ${(cause as Error).message}`, { cause });

/** The errno's name of a connect to `path`; undefined when somebody accepted, or is there and slow. */
const probe = (path: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = createConnection(path);
    const settle = (code: string | undefined): void => {
      socket.destroy();
      resolve(code);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => settle(undefined));
    socket.once("connect", () => settle(undefined));
    // EAGAIN is a full backlog: somebody holds the socket.
    socket.once("error", (error: NodeJS.ErrnoException) => settle(error.code === "EAGAIN" ? undefined : error.code));
  });

const statOrUndefined = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

/** Removes the file of a daemon that is gone. */
const clear = async (path: string): Promise<void> => {
  const stats = statOrUndefined(path);
  if (stats === undefined) return;
  if (!stats.isSocket()) {
    throw new VtepdError("ERR_CONTROL_SOCKET", `expected a socket or nothing at ${path}, found another kind of file`);
  }
  const code = await probe(path);
  if (code === undefined) throw new VtepdError("ERR_CONTROL_SOCKET", `another vtepd answers on ${path}`);
  if (code === "ENOENT") return;
  if (code !== "ECONNREFUSED") throw new VtepdError("ERR_CONTROL_SOCKET", `cannot tell who holds ${path}: ${code}`);
  unlinkSync(path);
};

/** @throws ERR_CONTROL_SOCKET when somebody answers there */
export const expectNobody = async (path: string): Promise<void> => {
  if (statOrUndefined(path)?.isSocket() !== true || (await probe(path)) !== undefined) return;
  throw new VtepdError("ERR_CONTROL_SOCKET", `another vtepd answers on ${path}`);
};

const bind = (server: Server, path: string, mode: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    const before = process.umask(BIND_MODE & ~mode);
    try {
      server.listen({ path, backlog: BACKLOG });
    } finally {
      process.umask(before);
    }
  });

/**
 * Makes `server` listen on the file; its directory is made when missing. The file goes when the server closes.
 * Main thread only (umask).
 * @throws ERR_CONFIG_VALUE for a path that is too long, ERR_CONTROL_SOCKET for all else
 */
export const listenOnFile = async (server: Server, { path, groupId, mode }: SocketFile): Promise<void> => {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new VtepdError("ERR_CONFIG_VALUE", `expected a socket path of at most ${MAX_PATH_BYTES} bytes, got ${path}`);
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
    await clear(path);
    await bind(server, path, mode ?? DEFAULT_MODE);
  } catch (cause) {
    if (cause instanceof VtepdError) throw cause;
    throw failure(`cannot listen on the control socket ${path}`, cause);
  }
  if (groupId === undefined) return;
  try {
    chownSync(path, -1, groupId);
  } catch (cause) {
    server.close();
    throw failure(`cannot give the control socket ${path} to group ${groupId}`, cause);
  }
};

/** Path of the unix socket behind a descriptor; undefined when it has none, or the descriptor is of something else. */
const pathOf = (descriptor: number): string | undefined => {
  const { ino } = fstatSync(descriptor);
  // proc_pid_net(5): Num RefCount Protocol Flags Type St Inode Path
  const sockets = readFileSync("/proc/net/unix", "utf8").split("\n");
  return sockets.map((line) => line.trim().split(/\s+/)).find((words) => words[6] === String(ino))?.[7];
};

/**
 * Makes `server` take over a socket that somebody else has bound and listens on. The file stays when the server closes.
 * @throws ERR_CONTROL_SOCKET when it is another one than the configuration names, since what is kept is named after that
 */
export const listenOnDescriptor = async (
  server: Server,
  { path, descriptor }: { readonly path: string; readonly descriptor: number },
): Promise<void> => {
  const found = pathOf(descriptor);
  if (found !== path) {
    const message = `expected the service manager to listen on the control socket ${path}, it does on ${found ?? "none"}`;
    throw new VtepdError("ERR_CONTROL_SOCKET", message);
  }
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ fd: descriptor, backlog: BACKLOG }, () => {
        server.off("error", reject);
        resolve();
      });
    });
  } catch (cause) {
    throw failure(`cannot take over the control socket ${path}`, cause);
  }
};
