/** Network namespaces by the names `ip netns` gives them. */

const NETNS_FOLDER = "/run/netns";

/** Path of a namespace given by name in /run/netns or as an absolute path. */
export const netnsPath = (nameOrPath: string): string =>
  nameOrPath.startsWith("/") ? nameOrPath : `${NETNS_FOLDER}/${nameOrPath}`;
