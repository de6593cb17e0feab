/** Devices of tunnels as the host has them: real interfaces, which the real `ip` serves in the namespace where they are now. */
import type { LinkJson } from "../../control/link-json.ts";
import type { StatusJson } from "../../control/stats-json.ts";
import { VtepdError } from "../../errors.ts";
import { clientNamespace, givenInode, namespacePath, pathOfInode } from "../namespace.ts";
import { type Call, linkPath } from "./call.ts";
import { RealIp } from "./real-ip.ts";

type IsHere = (link: LinkJson) => boolean;

/** Whether a tunnel's device is where option -n says, as `ip -n` sees no other. @throws ERR_NETNS_NOT_FOUND */
const isHere = ({ options }: Call): IsHere => {
  const given = options.get("netns");
  if (typeof given !== "string") return () => true;
  const inode = givenInode(given);
  return ({ vtepd }) => vtepd.netns_inode === inode;
};

/** @throws ERR_LINK_NOT_FOUND, also when its device is not in the namespace of the line */
export const linkOf = async (call: Call, name: string): Promise<LinkJson> => {
  const link = await call.client.getJson<LinkJson>(linkPath(name));
  if (isHere(call)(link)) return link;
  throw new VtepdError("ERR_LINK_NOT_FOUND", `no device ${name} in that network namespace`);
};

/** Those whose devices are in the namespace of the line. */
export const allLinks = async (call: Call): Promise<LinkJson[]> =>
  (await call.client.getJson<LinkJson[]>("/v1/links")).filter(isHere(call));

/** @throws ERR_LINK_NOT_FOUND when a line for one namespace names a tunnel whose device is in another */
export const demandHere = async (call: Call, name: string): Promise<void> => {
  if (call.options.has("netns")) await linkOf(call, name);
};

/** Name or path of the client's namespace, undefined when it is the daemon's. @throws ERR_NETNS_NOT_FOUND */
export const namespaceOf = async ({ client, options }: Call): Promise<string | undefined> => {
  const { netns } = await client.getJson<StatusJson>("/v1/status");
  return clientNamespace(options.get("netns") as string | undefined, netns);
};

/** Path of the namespace where a device is now. @throws ERR_LINK_NOT_FOUND when it is gone */
export const placeOf = ({ ifname, vtepd }: LinkJson): string => {
  if (vtepd.netns_inode !== null) return pathOfInode(vtepd.netns_inode);
  throw new VtepdError("ERR_LINK_NOT_FOUND", `${ifname} is gone`);
};

/** `ip link set dev NAME ...` where the device is. @throws ERR_HOST_COMMAND with what `ip` says */
export const setDevice = (call: Call, link: LinkJson, argv: readonly string[]): void => {
  if (argv.length > 0) new RealIp(call, placeOf(link)).run("link", "set", "dev", link.ifname, ...argv);
};

/** Names of what the real `ip` finds with these words, in the namespace of the line. @throws ERR_HOST_COMMAND */
export const namesByIp = (call: Call, words: readonly string[]): Set<string> => {
  const given = call.options.get("netns");
  const real = new RealIp(call, typeof given === "string" ? namespacePath(given) : "/proc/self/ns/net");
  return new Set(real.json<{ ifname?: string }>("link", "show", ...words).map(({ ifname = "" }) => ifname));
};

/** The words of `ip link set` that these values are; `vrf` is a master, too. */
export const deviceWords = (values: Call["values"], keys: readonly string[]): string[] =>
  keys.flatMap((key) => {
    const text = values.get(key);
    if (text === undefined) return [];
    if (["up", "down", "nomaster"].includes(key)) return [key];
    return [key === "vrf" ? "master" : key, text];
  });
