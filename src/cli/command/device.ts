/** Devices of tunnels as the host has them: real interfaces, which the real `ip` serves in the namespace where they are. */
import type { LinkJson } from "../../control/link-json.ts";
import type { StatusJson } from "../../control/stats-json.ts";
import { VtepdError } from "../../errors.ts";
import { clientNamespace, namespaceInode, namespacePath, ownInode } from "../namespace.ts";
import { type Call, linkPath } from "./call.ts";

export const linkOf = (call: Call, name: string): Promise<LinkJson> => call.client.getJson<LinkJson>(linkPath(name));

/** Name or path of the client's namespace, undefined when it is the daemon's. @throws ERR_NETNS_NOT_FOUND */
export const namespaceOf = async ({ client, options }: Call): Promise<string | undefined> => {
  const { netns } = await client.getJson<StatusJson>("/v1/status");
  return clientNamespace(options.get("netns") as string | undefined, netns);
};

/** What has to stand before `ip` for the namespace that a device is in. */
const entry = async ({ client }: Call, netns: string | null): Promise<readonly string[]> => {
  const { pid, netns: daemon } = await client.getJson<StatusJson>("/v1/status");
  const inode = netns === null ? daemon : namespaceInode(namespacePath(netns));
  if (inode === undefined || inode === ownInode()) return [];
  const path = netns === null ? `/proc/${pid}/ns/net` : namespacePath(netns);
  return ["nsenter", `--net=${path}`];
};

/** `ip link set dev NAME ...` where the device is. @throws ERR_HOST_COMMAND with what `ip` says */
export const setDevice = async (call: Call, link: LinkJson, argv: readonly string[]): Promise<void> => {
  if (argv.length === 0) return;
  const [program, ...all] = [
    ...(await entry(call, link.vtepd.netns)),
    "ip",
    "link",
    "set",
    "dev",
    link.ifname,
    ...argv,
  ] as [string, ...string[]];
  const { status, stderr } = call.execute(program, all);
  if (status !== 0) throw new VtepdError("ERR_HOST_COMMAND", stderr.trim() || `${program} ended with status ${status}`);
};

/** Names of what the real `ip` finds with these words. @throws ERR_HOST_COMMAND */
export const namesByIp = ({ execute }: Call, words: readonly string[]): Set<string> => {
  const { status, stdout, stderr } = execute("ip", ["-j", "link", "show", ...words]);
  if (status !== 0) throw new VtepdError("ERR_HOST_COMMAND", stderr.trim() || `ip ended with status ${status}`);
  return new Set((JSON.parse(stdout || "[]") as { ifname?: string }[]).map(({ ifname = "" }) => ifname));
};

/** The words of `ip link set` that these values are; `vrf` is a master, too. */
export const deviceWords = (values: Call["values"], keys: readonly string[]): string[] =>
  keys.flatMap((key) => {
    const text = values.get(key);
    if (text === undefined) return [];
    if (["up", "down", "nomaster"].includes(key)) return [key];
    return [key === "vrf" ? "master" : key, text];
  });
