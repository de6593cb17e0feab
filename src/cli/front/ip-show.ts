/** `ip link show` and `ip address show`: the real ones, with our devices told as the tunnels that they are. */
import { LINK_TYPES } from "../grammar/link-types.ts";
import { joined, retold } from "./detail.ts";
import type { Front } from "./front.ts";
import { behind, type Line } from "./line.ts";
import { capture, passOn } from "./real-program.ts";

export const TYPES: ReadonlySet<string> = new Set(LINK_TYPES.map(({ name }) => name));
/** Words of both, each with a value. */
const FILTERS = ["group", "master", "vrf", "type", "scope", "to", "label", "proto"];
/** Words that stand alone, some also with a `-` at the front. */
const STATES = [
  ...["up", "down", "permanent", "dynamic", "secondary", "primary", "temporary", "tentative", "deprecated"],
  ...["dadfailed", "home", "mngtmpaddr", "nodad", "noprefixroute", "autojoin", "novf", "nomaster"],
];

const typeAt = (words: readonly string[]): number =>
  words.findIndex((word) => word.length > 1 && "type".startsWith(word));

/** What stands behind `type`, which may be shortened. */
export const typeOf = (words: readonly string[]): string | undefined => {
  const at = typeAt(words);
  return at === -1 ? undefined : words[at + 1];
};

const withoutType = (words: readonly string[]): string[] => words.toSpliced(typeAt(words), 2);

/** The device that is named. */
const shown = (words: readonly string[]): string | undefined => {
  const dev = behind(words, "dev");
  if (dev !== undefined) return dev;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (FILTERS.includes(word)) at++;
    else if (!STATES.includes(word.replace(/^-/, ""))) return word;
  }
  return undefined;
};

/** @param words behind the verb. Returns the exit status */
export const showDevices = async (line: Line, words: readonly string[], { daemons, io }: Front): Promise<number> => {
  const type = typeOf(words);
  const isOfOurs = type !== undefined && TYPES.has(type);
  if (!line.has("details") && !isOfOurs) return passOn("ip", line.argv);
  const name = shown(words);
  const one = name === undefined ? undefined : await daemons.find(name);
  const found = name === undefined ? await daemons.list() : new Map(one === undefined ? [] : [[name, one]]);
  if (found.size === 0) return passOn("ip", line.argv);
  const ours = new Map([...found].map(([dev, { link }]) => [dev, link]));
  const real = capture("ip", line.argv);
  if (!isOfOurs) {
    io.out(retold(line, real.stdout, ours));
    return real.status;
  }
  // To the real program they are of type tun.
  const all = capture("ip", [...line.options(), line.words[0]!, "show", ...withoutType(words)]);
  const isWanted = (dev: string): boolean => ours.get(dev)?.linkinfo.info_kind === type;
  io.out(joined(line, real.stdout, retold(line, all.stdout, ours, isWanted)));
  return real.status;
};
