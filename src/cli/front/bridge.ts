/** `bridge`: the FDB of our tunnels, which is not the one that the kernel has of their devices. */
import { batch } from "./batch.ts";
import { joined } from "./detail.ts";
import { inNamespace } from "./elsewhere.ts";
import type { Front } from "./front.ts";
import { behind, isShort, Line } from "./line.ts";
import { capture, passOn } from "./real-program.ts";

/** In the order in which iproute2 compares. */
const VERBS = ["add", "append", "replace", "delete", "show", "get", "lst", "list", "flush", "help"];
const SHOWS = ["show", "lst", "list"];
const OF_BRIDGE = "master";
/** Of a bridge with VLANs; no entry of ours has one. */
const VLAN = "vlan";

/** Names of the ports of a bridge. */
const portsOf = (bridge: string): Set<string> => {
  const { stdout } = capture("ip", ["-j", "link", "show", "master", bridge]);
  return new Set((JSON.parse(stdout || "[]") as { ifname?: string }[]).map(({ ifname = "" }) => ifname));
};

/** The words that select entries of a device. */
const selectors = (words: readonly string[]): string[] => {
  const state = behind(words, "state");
  return [...(state === undefined ? [] : ["state", state]), ...words.filter((word) => word === "dynamic")];
};

const showFdb = async (line: Line, words: readonly string[], { daemons, io, ownText }: Front): Promise<number> => {
  const dev = behind(words, "dev") ?? behind(words, "brport");
  const bridge = behind(words, "br");
  const found = await daemons.list();
  const ports = bridge === undefined ? undefined : portsOf(bridge);
  const ours = [...found].filter(([name]) => (dev === undefined || name === dev) && (ports?.has(name) ?? true));
  const isOther = [OF_BRIDGE, VLAN].some((word) => words.includes(word));
  if (ours.length === 0 || isOther) return passOn("bridge", line.argv);
  let { status, stdout } = capture("bridge", line.argv);
  if (status !== 0) return status; // and it has said why
  for (const [name, { socket }] of ours) {
    const one = await ownText(socket, line, [...line.shared, "fdb", "show", "dev", name, ...selectors(words)]);
    stdout = joined(line, stdout, dev === undefined ? named(line, name, one.stdout) : one.stdout);
    if (one.status !== 0) status = one.status;
  }
  io.out(stdout);
  return status;
};

/** Entries that were asked for by device do not say which it is. */
const named = (line: Line, name: string, text: string): string => {
  if (!line.has("json")) return text.replace(/^(\S+) /gm, `$1 dev ${name} `);
  const all = JSON.parse(text) as { mac: string }[];
  return JSON.stringify(all.map(({ mac, ...rest }) => ({ mac, ifname: name, ...rest })));
};

const fdb = async (line: Line, front: Front): Promise<number> => {
  const [, word, ...words] = line.words;
  const verb = word === undefined ? "show" : (VERBS.find((name) => name.startsWith(word)) ?? word);
  if (SHOWS.includes(verb)) return showFdb(line, words, front);
  const dev = behind(words, "dev");
  const isOfBridge = words.includes(OF_BRIDGE) && !words.includes("self");
  const found = dev === undefined || isOfBridge ? undefined : await front.daemons.find(dev);
  if (found === undefined) return passOn("bridge", line.argv);
  return front.own(found.socket, line, [...line.shared, "fdb", verb === "delete" ? "del" : verb, ...words]);
};

/** Returns the exit status. */
export const bridge = (argv: readonly string[], front: Front): number | Promise<number> => {
  const line = new Line("bridge", argv);
  if (line.has("batch")) return batch("bridge", line, front, (words) => bridge(words, front));
  if (!isShort(line.words[0], "fdb")) return passOn("bridge", argv);
  return line.value("netns") === undefined ? fdb(line, front) : inNamespace(line, "bridge");
};
