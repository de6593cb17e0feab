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

/**
 * The namespace that a client's words are about, or undefined for the daemon's own.
 * @param given with option -n
 * @param daemon inode of the daemon's, undefined when it does not tell
 * @throws ERR_NETNS_NOT_FOUND
 */
export const clientNamespace = (given: string | undefined, daemon: string | undefined): string | undefined => {
  if (given === undefined) return daemon === undefined || daemon === ownInode() ? undefined : ownName();
  const inode = namespaceInode(namespacePath(given));
  if (inode === undefined) {
    throw new VtepdError("ERR_NETNS_NOT_FOUND", `Cannot open network namespace "${given}": No such file or directory`);
  }
  return inode === daemon ? undefined : given;
};

/** What somebody calls a namespace by name, path or process, as name or path. */
export const namedNamespace = (text: string): string =>
  /^\d+$/.test(text) && !namesThere().includes(text) ? `/proc/${text}/ns/net` : text;
