/**
 * Why a command failed: one class, one table of codes. The code is the contract (messages may change); each code has
 * the exit status a program ends with and the HTTP status the control socket answers with.
 *
 * Exit statuses follow `ip`: 1 = the user's words are wrong, 2 = the kernel or the daemon refused.
 */

interface ErrorKind {
  readonly exitStatus: 1 | 2;
  readonly httpStatus: 400 | 404 | 409 | 500 | 503;
  readonly meaning: string;
}

const usage = (meaning: string): ErrorKind => ({ exitStatus: 1, httpStatus: 400, meaning });
const refused = (meaning: string, httpStatus: ErrorKind["httpStatus"] = 409): ErrorKind => ({
  exitStatus: 2,
  httpStatus,
  meaning,
});

export type ErrorCode =
  | "ERR_USAGE"
  | "ERR_CONFIG_READ"
  | "ERR_CONFIG_SYNTAX"
  | "ERR_CONFIG_KEY"
  | "ERR_CONFIG_VALUE"
  | "ERR_CONFIG_CONFLICT"
  | "ERR_ADDON"
  | "ERR_NO_TUN"
  | "ERR_PERMISSION"
  | "ERR_DEVICE_EXISTS"
  | "ERR_DEVICE_GONE"
  | "ERR_INTERFACE_NOT_FOUND"
  | "ERR_INTERFACE_DOWN"
  | "ERR_NETNS_NOT_FOUND"
  | "ERR_ADDRESS_IN_USE"
  | "ERR_ADDRESS_NOT_LOCAL"
  | "ERR_NO_ROUTE"
  | "ERR_HOST_NAME"
  | "ERR_ROUTE_RECURSION"
  | "ERR_HOST_COMMAND"
  | "ERR_TUNNEL_OFFLOAD"
  | "ERR_SYSCALL"
  | "ERR_LINK_NOT_FOUND"
  | "ERR_LINK_OWNER"
  | "ERR_LINK_WAITING"
  | "ERR_FDB_ENTRY_NOT_FOUND"
  | "ERR_FDB_ENTRY_EXISTS"
  | "ERR_NEIGHBOUR_NOT_FOUND"
  | "ERR_NEIGHBOUR_EXISTS"
  | "ERR_KEY_FILE"
  | "ERR_LIMIT"
  | "ERR_OPEN_FILES"
  | "ERR_JOURNAL"
  | "ERR_CONTROL_SOCKET"
  | "ERR_WORKER"
  | "ERR_INTERNAL";

export const ERROR_CODES: Readonly<Record<ErrorCode, ErrorKind>> = {
  ERR_USAGE: usage("a command line or a request that cannot be understood"),
  ERR_CONFIG_READ: usage("the configuration file cannot be read"),
  ERR_CONFIG_SYNTAX: usage("the configuration file is not YAML"),
  ERR_CONFIG_KEY: usage("the configuration has a key that does not exist"),
  ERR_CONFIG_VALUE: usage("a configuration value has the wrong type, is out of range, or a required one is missing"),
  ERR_CONFIG_CONFLICT: usage("two configuration values contradict each other"),
  ERR_ADDON: refused("the native addon is missing or does not fit this Node.js", 500),
  ERR_NO_TUN: refused("/dev/net/tun is missing or cannot be opened", 500),
  ERR_PERMISSION: refused("a capability is missing (CAP_NET_ADMIN, CAP_NET_RAW or CAP_SYS_ADMIN)", 500),
  ERR_DEVICE_EXISTS: refused("a network device of that name exists already"),
  ERR_DEVICE_GONE: refused("the network device was deleted while in use"),
  ERR_INTERFACE_NOT_FOUND: refused("an underlay interface does not exist"),
  ERR_INTERFACE_DOWN: refused("an underlay interface is down or has no carrier"),
  ERR_NETNS_NOT_FOUND: refused("a network namespace does not exist"),
  ERR_ADDRESS_IN_USE: refused("another socket holds the UDP port"),
  ERR_ADDRESS_NOT_LOCAL: refused("the local VTEP address is not on this host"),
  ERR_NO_ROUTE: refused("the underlay has no route to a remote VTEP"),
  ERR_HOST_NAME: refused("a host name has no address"),
  ERR_ROUTE_RECURSION: refused("the underlay's route to a remote VTEP leads back into the tunnel"),
  ERR_HOST_COMMAND: refused("an iproute2 command failed", 500),
  ERR_TUNNEL_OFFLOAD: refused("the host does not meet a condition of offload tier `tunnel`", 500),
  ERR_SYSCALL: refused("a system call failed", 500),
  ERR_LINK_NOT_FOUND: refused("no tunnel of that name", 404),
  ERR_LINK_OWNER: refused("the tunnel is the configuration file's"),
  ERR_LINK_WAITING: refused("the tunnel was made by hand before the daemon's start, and waits for what it needs"),
  ERR_FDB_ENTRY_NOT_FOUND: refused("no such FDB entry", 404),
  ERR_FDB_ENTRY_EXISTS: refused("a static FDB entry for that MAC exists already"),
  ERR_NEIGHBOUR_NOT_FOUND: refused("no such neighbour", 404),
  ERR_NEIGHBOUR_EXISTS: refused("a neighbour of that address was named already"),
  ERR_KEY_FILE: refused("a key file cannot be read, may be read by others, or is not understood"),
  ERR_LIMIT: refused("a fixed table is full"),
  ERR_OPEN_FILES: refused("the limit of open files is reached", 500),
  ERR_JOURNAL: refused("the change cannot be kept on the disk", 503),
  ERR_CONTROL_SOCKET: refused("the control socket cannot be opened or reached", 503),
  ERR_WORKER: refused("a data-plane worker ended unexpectedly", 500),
  ERR_INTERNAL: refused("a bug in vtepd", 500),
};

/** What a VtepdError may carry besides its message. */
export interface ErrorContext {
  /** The error that led to this one. */
  cause?: unknown;
  /** Where in the configuration or request the wrong value is, e.g. `tunnels.vx42.id`. */
  path?: string;
}

export class VtepdError extends Error {
  override readonly name = "VtepdError";
  readonly code: ErrorCode;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.path = context.path;
  }

  /** The status a program ends with: 1 or 2. */
  get exitStatus(): number {
    return ERROR_CODES[this.code].exitStatus;
  }
}

/** Characters of a wrong value that a message repeats. */
const MAX_SHOWN = 60;

const shown = (value: unknown): string => {
  if (value === null || value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") {
    return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}...` : value);
  }
  return typeof value === "object" ? "a map" : String(value);
};

/** The words for a wrong value, the same wherever it stood: `expected an address, got "192.0.2" (hint)`. */
export const expectedGot = (expected: string, value: unknown, hint?: string): string =>
  `expected ${expected}, got ${shown(value)}${hint === undefined ? "" : ` (${hint})`}`;
