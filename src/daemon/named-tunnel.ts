/** The tunnel of a name: its own, or the one that somebody has given its device. Undefined when there is none. */
import { VtepdError } from "../errors.ts";
import type { Tunnel } from "./tunnel.ts";

export const namedTunnel = (tunnels: ReadonlyMap<string, Tunnel>, name: string): Tunnel | undefined =>
  tunnels.get(name) ?? [...tunnels.values()].find(({ device }) => device.name === name);

/** @throws ERR_LINK_NOT_FOUND */
export const existingTunnel = (tunnels: ReadonlyMap<string, Tunnel>, name: string): Tunnel => {
  const tunnel = namedTunnel(tunnels, name);
  if (tunnel !== undefined) return tunnel;
  throw new VtepdError("ERR_LINK_NOT_FOUND", `expected the name of a tunnel, got "${name}"`);
};
