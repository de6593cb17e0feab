/** What differs between two configurations: in the words of the file, for people; and what a change of it takes. */

import { isIPv6 } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { ChangedKeys, Difference, Settings } from "../dataplane/desired-view.ts";
import { isHostName } from "../dataplane/host-name.ts";
import type { Config, TunnelConfig } from "./config.ts";

/** Keys that a running tunnel takes over: neither sockets nor demultiplexing depend on them. */
const LIVE_KEYS: readonly (keyof TunnelConfig)[] = [
  "addresses",
  "ageingS",
  "arpProxy",
  "eviction",
  "fdb",
  "flood",
  "limit",
  "limitPerRemote",
  "macLearning",
  "moveDamping",
  "mssClamp",
  "mtu",
  "neighbours",
  "notifications",
  "oversize",
  "policers",
  "remote",
  "routes",
  "sourcePolicers",
  "tos",
  "ttl",
  "unknownUnicast",
  "vlan",
];

/** Families that sockets are needed for, where the remote VTEPs tell them. */
const familiesOf = ({ locals, remote, flood, fdb, routes }: TunnelConfig): string => {
  if (locals.length > 0) return "";
  const remotes = [remote, ...flood, ...fdb.map(({ dst }) => dst), ...routes.map(({ via }) => via)];
  const families = remotes.filter((dst) => dst !== undefined && !isHostName(dst)).map((dst) => isIPv6(dst!));
  return [...new Set(families)].sort().join();
};

/** Without what a running tunnel takes over. */
const fixed = (tunnel: TunnelConfig): Partial<TunnelConfig> =>
  Object.fromEntries(Object.entries(tunnel).filter(([key]) => !(LIVE_KEYS as readonly string[]).includes(key)));

/** Whether a tunnel must be made anew to become the other one. */
export const needsRemake = (before: TunnelConfig, after: TunnelConfig): boolean =>
  familiesOf(before) !== familiesOf(after) || !isDeepStrictEqual(fixed(before), fixed(after));

export const isSameTunnel = (a: TunnelConfig, b: TunnelConfig): boolean => a === b || isDeepStrictEqual(a, b);

/** Keys whose values are written otherwise. */
export const changedKeys = (before: Settings, after: Settings): ChangedKeys => {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return Object.fromEntries(
    keys
      .filter((key) => !isDeepStrictEqual(before[key], after[key]))
      .map((key) => [key, { from: before[key], to: after[key] }]),
  );
};

type Comparable = Pick<Config, "tunnels" | "hostGateways" | "settings">;

/** A tunnel that is written otherwise and means the same has not changed. */
export const differenceOf = (before: Comparable, after: Comparable): Difference => {
  const rowsOf = ({ tunnels, hostGateways }: Comparable) =>
    new Map([...tunnels, ...hostGateways].map((row) => [row.name, row]));
  const [old, next] = [rowsOf(before), rowsOf(after)];
  const kept = [...next.values()].filter(({ name }) => old.has(name));
  const changed = kept.filter((row) => !isDeepStrictEqual(row, old.get(row.name)));
  const isRemade = (row: (typeof changed)[number]): boolean => {
    const former = old.get(row.name)!;
    return "mode" in row && "mode" in former ? needsRemake(former, row) : true;
  };
  return {
    added: [...next.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !next.has(name)),
    changed: Object.fromEntries(
      changed.map(({ name }) => [
        name,
        changedKeys(before.settings.tunnels[name] ?? {}, after.settings.tunnels[name] ?? {}),
      ]),
    ),
    remade: changed.filter(isRemade).map(({ name }) => name),
    unchanged: kept.length - changed.length,
    daemon: changedKeys(before.settings.daemon, after.settings.daemon),
  };
};
