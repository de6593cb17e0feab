/**
 * The process at the other end of a connection, for the log: the kernel's word for who it was when it connected (SO_PEERCRED),
 * and what it is called when it first asks for a change.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { addon, type PeerCredentials } from "../binding/addon.ts";

export interface Peer extends PeerCredentials {
  /** Absent where /proc does not tell, as for other users' processes under `ProtectProc=invisible`. */
  readonly process?: string;
}

const nameOf = (pid: number): { process?: string } => {
  try {
    return { process: readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd() };
  } catch {
    return {};
  }
};

const known = new WeakMap<Socket, Peer>();

/** Undefined when the connection is gone. */
export const peerOf = (connection: Socket): Peer | undefined => {
  const before = known.get(connection);
  if (before !== undefined) return before;
  // Node.js has no other way to the descriptor of a socket.
  const { fd = -1 } = (connection as { _handle?: { fd?: number } })._handle ?? {};
  if (fd < 0) return undefined;
  const credentials = addon.peerCredentials(fd);
  const peer = { ...credentials, ...nameOf(credentials.pid) };
  known.set(connection, peer);
  return peer;
};
