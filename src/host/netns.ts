/** Network namespaces by the names `ip netns` gives them. */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";

const NETNS_FOLDER = "/run/netns";

/** Path of a namespace given by name in /run/netns or as an absolute path. */
export const netnsPath = (nameOrPath: string): string =>
  nameOrPath.startsWith("/") ? nameOrPath : `${NETNS_FOLDER}/${nameOrPath}`;

/** Number that tells a namespace from another one of the same name; undefined when there is none of that name. */
export const netnsInode = (nameOrPath: string): number | undefined =>
  statSync(netnsPath(nameOrPath), { throwIfNoEntry: false })?.ino;

/** What a process's link `ns/net` says; undefined when the process is gone. @throws Error when that may not be looked at */
const namespaceOf = (pid: string): string | undefined => {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
};

const isOurs = (pid: string): boolean =>
  pid === `${process.pid}` || readFileSync(`/proc/${pid}/status`, "utf8").includes(`\nPPid:\t${process.pid}\n`);

const linkText = (inode: number): string => `net:[${inode}]`;

/** Whether a file stands for a namespace, as those of /run/netns do. @throws Error when that cannot be found out */
export const isNamed = (inode: number): boolean =>
  readFileSync("/proc/self/mountinfo", "utf8").includes(linkText(inode));

/**
 * Whether a namespace is there for us alone, whose sockets keep it: nothing names it, and no process is in it but ours.
 * Where that cannot be found out it is not.
 */
export const isAbandoned = (inode: number): boolean => {
  const text = linkText(inode);
  try {
    if (isNamed(inode)) return false;
    const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return processes.every((pid) => namespaceOf(pid) !== text || isOurs(pid));
  } catch {
    return false;
  }
};

/** Of the process itself. */
export const ownNetnsInode = (): number => statSync("/proc/self/ns/net").ino;
