/**
 * Network namespaces as a client sees them. The daemon may live in another one than its client, as when `ip netns exec`
 * runs vtepctl: then the client's is named in what it asks for.
 */
import { readdirSync, statSync } from "node:fs";
import { VtepdError } from "../errors.ts";

const FOLDER = "/run/netns";
const OWN = "/proc/self/ns/net";

/** @param namespace a name or a path */
export const namespacePath = (namespace: string): string =>
  namespace.includes("/") ? namespace : `${FOLDER}/${namespace}`;

/** What tells namespaces apart; undefined when there is none there. */
export const namespaceInode = (path: string): string | undefined => {
  try {
    return String(statSync(path).ino);
  } catch {
    return undefined;
  }
};

export const ownInode = (): string | undefined => namespaceInode(OWN);

const namesThere = (): string[] => {
  try {
    return readdirSync(FOLDER).sort();
  } catch {
    return [];
  }
};

/** @throws ERR_NETNS_NOT_FOUND when it has no name */
const ownName = (): string => {
  const own = ownInode();
  const name = namesThere().find((candidate) => namespaceInode(namespacePath(candidate)) === own);
  if (name !== undefined) return name;
  throw new VtepdError(
    "ERR_NETNS_NOT_FOUND",
    `vtepd runs in another network namespace and this one has no name in ${FOLDER}: give it one (\`ip netns attach NAME ${process.pid}\`)`,
  );
};

/** @throws ERR_NETNS_NOT_FOUND */
export const givenInode = (namespace: string): string => {
  const inode = namespaceInode(namespacePath(namespace));
  if (inode !== undefined) return inode;
  const message = `Cannot open network namespace "${namespace}": No such file or directory`;
  throw new VtepdError("ERR_NETNS_NOT_FOUND", message);
};

/**
 * The namespace that a client's words are about, or undefined for the daemon's own.
 * @param given with option -n
 * @param daemon inode of the daemon's, undefined when it does not tell
 * @throws ERR_NETNS_NOT_FOUND
 */
export const clientNamespace = (given: string | undefined, daemon: string | undefined): string | undefined => {
  if (given === undefined) return daemon === undefined || daemon === ownInode() ? undefined : ownName();
  return givenInode(given) === daemon ? undefined : given;
};

/** What somebody calls a namespace by name, path or process, as name or path. */
export const namedNamespace = (text: string): string =>
  /^\d+$/.test(text) && !namesThere().includes(text) ? `/proc/${text}/ns/net` : text;

const processes = (): string[] => readdirSync("/proc").filter((name) => /^\d+$/.test(name));

/**
 * A path by which other programs, too, can enter a namespace: ours, one with a name, or one that a process lives in.
 * @throws ERR_NETNS_NOT_FOUND when none of them is it
 */
export const pathOfInode = (inode: string): string => {
  if (inode === ownInode()) return `/proc/${process.pid}/ns/net`;
  const isIt = (path: string): boolean => namespaceInode(path) === inode;
  const path =
    namesThere().map(namespacePath).find(isIt) ??
    processes()
      .map((pid) => `/proc/${pid}/ns/net`)
      .find(isIt);
  if (path !== undefined) return path;
  throw new VtepdError("ERR_NETNS_NOT_FOUND", `network namespace ${inode} has no name and no process that we can see`);
};
