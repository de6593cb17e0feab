/** Network namespaces by the names `ip netns` gives them. */
import { statSync } from "node:fs";

const NETNS_FOLDER = "/run/netns";

/** Path of a namespace given by name in /run/netns or as an absolute path. */
export const netnsPath = (nameOrPath: string): string =>
  nameOrPath.startsWith("/") ? nameOrPath : `${NETNS_FOLDER}/${nameOrPath}`;

/** Number that tells a namespace from another one of the same name; undefined when there is none of that name. */
export const netnsInode = (nameOrPath: string): number | undefined =>
  statSync(netnsPath(nameOrPath), { throwIfNoEntry: false })?.ino;
