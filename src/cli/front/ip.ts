/** `ip`: what is about a tunnel of ours, or asks for one, is ours. */
import { LINK_TYPES } from "../grammar/link-types.ts";
import { batch } from "./batch.ts";
import { joined, retold } from "./detail.ts";
import { inNamespace } from "./elsewhere.ts";
import type { Front } from "./front.ts";
import { ipTunnel } from "./ip-tunnel.ts";
import { behind, isShort, Line } from "./line.ts";
import { newName } from "./new-name.ts";
import { capture, passOn } from "./real-program.ts";

/** Of `ip link`, in the order in which iproute2 compares. */
const VERBS = [
  "add",
  "set",
  "change",
  "replace",
  "delete",
  "show",
  "lst",
  "list",
  "xstats",
  "afstats",
  "property",
  "help",
];
const TYPES = new Set(LINK_TYPES.map(({ name }) => name));
/** Words of `ip link show`, each with a value. */
const FILTERS = ["group", "master", "vrf", "type"];
const STATES = ["up", "down"];
const HELP = "help";

const verbOf = (word: string | undefined): string =>
  word === undefined ? "show" : (VERBS.find((verb) => verb.startsWith(word)) ?? word);

/** What stands behind `type`, which may be shortened. */
const typeOf = (words: readonly string[]): string | undefined => {
  const at = words.findIndex((word) => word.length > 1 && "type".startsWith(word));
  return at === -1 ? undefined : words[at + 1];
};

/** The device that `ip link del` and `ip link set` name. */
const named = (words: readonly string[]): string | undefined =>
  behind(words, "dev") ?? words.find((word) => !STATES.includes(word));

/** The device that `ip link show` names. */
const shown = (words: readonly string[]): string | undefined => {
  const dev = behind(words, "dev");
  if (dev !== undefined) return dev;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (FILTERS.includes(word)) at++;
    else if (!STATES.includes(word)) return word;
  }
  return undefined;
};

const withoutType = (words: readonly string[]): string[] => {
  const at = words.findIndex((word) => word.length > 1 && "type".startsWith(word));
  return at === -1 ? [...words] : [...words.slice(0, at), ...words.slice(at + 2)];
};

const showLinks = async (line: Line, words: readonly string[], { daemons, io }: Front): Promise<number> => {
  const type = typeOf(words);
  const isOfOurs = type !== undefined && TYPES.has(type);
  if (!line.has("details") && !isOfOurs) return passOn("ip", line.argv);
  const name = shown(words);
  const one = name === undefined ? undefined : await daemons.find(name);
  const found = name === undefined ? await daemons.list() : new Map(one === undefined ? [] : [[name, one]]);
  if (found.size === 0) return passOn("ip", line.argv);
  const ours = new Map([...found].map(([dev, { link }]) => [dev, link]));
  const real = capture("ip", line.argv);
  if (!isOfOurs || name !== undefined) {
    io.out(retold(line, real.stdout, ours));
    return real.status;
  }
  const all = capture("ip", [...line.options(), "link", "show", ...withoutType(words)]);
  const isWanted = (dev: string): boolean => ours.get(dev)?.linkinfo.info_kind === type;
  io.out(joined(line, real.stdout, retold(line, all.stdout, ours, isWanted)));
  return real.status;
};

const ipLink = async (line: Line, front: Front): Promise<number> => {
  const [, word, ...words] = line.words;
  const verb = verbOf(word);
  const { daemons, own } = front;
  const pass = (): number => passOn("ip", line.argv);
  const type = typeOf(words);
  switch (verb) {
    case "show":
    case "lst":
    case "list":
      return showLinks(line, words, front);
    case "add":
    case "replace": {
      if (type === undefined || !TYPES.has(type)) return pass();
      // A question needs no daemon.
      if (words.at(-1) === HELP) return own(daemons.host, line, ["link", HELP, type]);
      const given = newName(words.slice(0, words.indexOf(type) - 1));
      const name = given ?? (await daemons.freeName(type));
      const known = verb === "replace" ? await daemons.find(name) : undefined;
      if (known !== undefined) return own(known.socket, line, [...line.shared, "link", "set", ...words]);
      const all = given === undefined ? ["name", name, ...words] : words;
      return own(await daemons.forNew(name), line, [...line.shared, "link", "add", ...all]);
    }
    case "set":
    case "change": {
      if (type === undefined) return pass();
      const found = await daemons.find(named(words) ?? "");
      return found === undefined ? pass() : own(found.socket, line, [...line.shared, "link", "set", ...words]);
    }
    case "delete": {
      const found = await daemons.find(named(words) ?? "");
      return found === undefined ? pass() : own(found.socket, line, [...line.shared, "link", "del", ...words]);
    }
    default:
      return pass();
  }
};

/** Returns the exit status. */
export const ip = (argv: readonly string[], front: Front): number | Promise<number> => {
  const line = new Line("ip", argv);
  const [object] = line.words;
  if (line.has("batch")) return batch("ip", line, front, (words) => ip(words, front));
  // Inside, words that are ours must come to us again.
  if (isShort(object, "netns", ["neighbor", "neighbour"]) && isShort(line.words[1], "exec")) return inNamespace(line);
  const isOfLinks = isShort(object, "link");
  const isOfTunnels = object !== "tun" ? isShort(object, "tunnel") || object === "tunl" : true;
  if (!isOfLinks && !isOfTunnels) return passOn("ip", argv);
  if (line.value("netns") !== undefined) return inNamespace(line);
  return isOfLinks ? ipLink(line, front) : ipTunnel(line, front);
};
