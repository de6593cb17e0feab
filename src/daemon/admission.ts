/**
 * Whether a running tunnel can have an FDB entry, a flood-list member or a neighbour that somebody asks for, before anything
 * changes: the checks that the configuration has at load, in the same words.
 */
import type { TunnelConfig } from "../config/config.ts";
import {
  linkContradiction,
  NEIGHBOURS_FOR_NOTHING,
  noFdb,
  ownMac,
  remoteContradiction,
  STICKY_MEMBER,
  viaContradiction,
} from "../config/contradictions.ts";
import type { FdbRequest, NeighbourRequest } from "../dataplane/view.ts";
import { REMOTE_VTEP, readRemote } from "../dataplane/vtep-text.ts";
import { type ErrorCode, expectedGot, VtepdError } from "../errors.ts";
import { modeOf } from "../tunnel/modes.ts";
import type { Endpoints } from "./endpoint.ts";
import { FLOOD_MAC } from "./flood-list.ts";

/** The tunnel that is asked. */
export interface Asked {
  readonly config: TunnelConfig;
  readonly endpoints: Endpoints;
  /** Of its device, lower case. */
  readonly mac: string;
}

const refuse = (code: ErrorCode, path: string, words: string): never => {
  throw new VtepdError(code, `${path}: ${words}`, { path });
};

/** Whether the tunnel's mode has an FDB and a flood list to change. @throws ERR_CONFIG_CONFLICT */
export const admitFdb = ({ config }: Pick<Asked, "config">): void => {
  if (!modeOf(config).keys.includes("fdb")) refuse("ERR_CONFIG_CONFLICT", config.name, noFdb(config.mode));
};

/** Remote VTEPs that were admitted before: most of many changes name the same few. */
interface Admitted {
  readonly config: TunnelConfig;
  readonly remotes: Set<string>;
}
const MAX_ADMITTED = 1024;
const admitted = new WeakMap<Endpoints, Admitted>();

/** Empty when configuration or local addresses are others than the last time. */
const admittedBy = ({ config, endpoints }: Asked): Set<string> => {
  const known = admitted.get(endpoints);
  if (known?.config === config && known.remotes.size < MAX_ADMITTED) return known.remotes;
  const remotes = new Set<string>();
  admitted.set(endpoints, { config, remotes });
  return remotes;
};

/** @param path of `dst` in the request @throws ERR_CONFIG_VALUE, ERR_CONFIG_CONFLICT */
export const admitRemote = (tunnel: Asked, dst: string, path: string): void => {
  const { config, endpoints } = tunnel;
  const known = admittedBy(tunnel);
  if (dst === config.group || known.has(dst)) return;
  const { address, hint } = readRemote(dst);
  if (address === undefined) refuse("ERR_CONFIG_VALUE", path, expectedGot(REMOTE_VTEP, dst, hint));
  const underlay = { locals: endpoints.all.map(({ local }) => local.text), link: config.link };
  const found = remoteContradiction(dst, underlay) ?? linkContradiction(dst, underlay);
  if (found !== undefined) refuse("ERR_CONFIG_CONFLICT", path, found.message);
  known.add(dst);
};

/** @param path of `via` in the request @throws ERR_CONFIG_CONFLICT */
export const admitVia = ({ config }: Asked, via: string | undefined, path: string): void => {
  const message = via === undefined ? undefined : viaContradiction(via, config);
  if (message !== undefined) refuse("ERR_CONFIG_CONFLICT", path, message);
};

/** Whether a tunnel can send to an address that a host name has. Our own is among those of a whole fabric's name. */
export const canReach = ({ config, endpoints }: Asked, address: string): boolean => {
  const underlay = { locals: endpoints.all.map(({ local }) => local.text), link: config.link };
  return (remoteContradiction(address, underlay) ?? linkContradiction(address, underlay)) === undefined;
};

/** @throws ERR_CONFIG_CONFLICT */
const admitMac = (tunnel: Asked, mac: string): void => {
  if (mac === tunnel.mac) refuse("ERR_CONFIG_CONFLICT", "mac", ownMac(mac));
};

/** @throws ERR_CONFIG_CONFLICT */
export const admitNeighbour = (tunnel: Asked, { mac }: NeighbourRequest): void => {
  const { arpProxy, notifications } = tunnel.config;
  if (!arpProxy && !notifications.includes("l3-miss")) {
    refuse("ERR_CONFIG_CONFLICT", "address", NEIGHBOURS_FOR_NOTHING);
  }
  admitMac(tunnel, mac);
};

/** Only the flood list leads to the tunnel's group. @throws ERR_CONFIG_VALUE, ERR_CONFIG_CONFLICT */
export const admitEntry = (tunnel: Asked, { mac, dst, sticky }: FdbRequest): void => {
  const { config } = tunnel;
  admitMac(tunnel, mac);
  if (mac === FLOOD_MAC && sticky === true) refuse("ERR_CONFIG_CONFLICT", "sticky", STICKY_MEMBER);
  if (mac !== FLOOD_MAC && dst === config.group) {
    refuse("ERR_CONFIG_VALUE", "dst", expectedGot(REMOTE_VTEP, dst, readRemote(dst).hint));
  }
  admitRemote(tunnel, dst, "dst");
};
