/**
 * The control socket: the API of api.ts on a unix stream socket, for whoever the file's mode lets connect. There is no
 * other authentication; a write on this socket is a write to the forwarding state.
 */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type ApiParts, makeApi } from "./api.ts";
import { type ConnectionLimits, Connections } from "./connections.ts";
import { listenOnDescriptor, listenOnFile } from "./socket-file.ts";
import { groupId } from "./unix-group.ts";

export interface ControlLimits extends ConnectionLimits {
  /** Time a client gets to send its request, and the part of it for the head. */
  readonly requestMs: number;
  readonly headMs: number;
  /** How often clients are looked at that may have taken too long. */
  readonly lookMs: number;
}

const LIMITS: ControlLimits = {
  requestMs: 30_000,
  headMs: 10_000,
  lookMs: 5000,
  // A hundred monitors and as many scripts again; a descriptor and some 20 KB each.
  connections: 256,
  // Four times what vtepctl waits for a byte.
  stalledMs: 120_000,
};
/** Time running answers get when the server closes. */
const CLOSE_TIMEOUT_MS = 1000;

export interface ControlOptions extends ApiParts {
  /** Path of the socket file. */
  readonly socket: string;
  /** Name or number of the group that may connect; default the process's own. */
  readonly group?: string | undefined;
  /** Of the socket file; default 0660. */
  readonly mode?: number | undefined;
  /** Somebody listens for us already, who also made the file; group and mode are his. */
  readonly descriptor?: number | undefined;
  /** A test has less patience. */
  readonly limits?: Partial<ControlLimits>;
}

export interface ControlServer {
  /** Stops to listen, removes the file, gives running answers a second, then cuts them. */
  close(): Promise<void>;
}

/** Main thread only. @throws ERR_CONFIG_VALUE for group or path, ERR_CONTROL_SOCKET for all else */
export const startControl = async ({
  socket,
  group,
  mode,
  descriptor,
  limits: given,
  ...parts
}: ControlOptions): Promise<ControlServer> => {
  const owner = group === undefined ? undefined : groupId(group);
  const api = makeApi(parts);
  // The adapter replaces the global Request and Response by its own, lazy ones; hono's body limit needs that, because it
  // makes a new Request from the adapter's.
  const listener = getRequestListener(api.fetch);
  const limits = { ...LIMITS, ...given };
  const connections = new Connections(limits, () =>
    parts.log.warn({ limit: limits.connections }, "the control socket has as many connections as it may have"),
  );
  const timeouts = {
    requestTimeout: limits.requestMs,
    headersTimeout: limits.headMs,
    connectionsCheckingInterval: limits.lookMs,
  };
  const server = createServer(timeouts, connections.guard(listener));
  connections.watch(server);
  if (descriptor === undefined) await listenOnFile(server, { path: socket, groupId: owner, mode });
  else await listenOnDescriptor(server, { path: socket, descriptor });
  server.on("error", (error) => parts.log.error({ err: error }, "control socket failed"));
  parts.log.info({ socket, group }, "control socket ready");

  return {
    close: () =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
      }),
  };
};
