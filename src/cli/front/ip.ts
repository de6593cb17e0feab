/** `ip`: what is about a tunnel of ours, or asks for one, is ours. */
import { batch } from "./batch.ts";
import { inNamespace } from "./elsewhere.ts";
import type { Front } from "./front.ts";
import { showDevices, TYPES, typeOf } from "./ip-show.ts";
import { ipTunnel } from "./ip-tunnel.ts";
import { behind, isShort, Line } from "./line.ts";
import { newName } from "./new-name.ts";
import { passOn } from "./real-program.ts";

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
const STATES = ["up", "down"];
const HELP = "help";

const verbOf = (word: string | undefined): string =>
  word === undefined ? "show" : (VERBS.find((verb) => verb.startsWith(word)) ?? word);

/** The device that `ip link del` and `ip link set` name. */
const named = (words: readonly string[]): string | undefined =>
  behind(words, "dev") ?? words.find((word) => !STATES.includes(word));

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
      return showDevices(line, words, front);
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

/** Only what is shown of a tunnel's device is ours; the words that change addresses have other letters at the front. */
const ipAddress = (line: Line, front: Front): number | Promise<number> => {
  const [, word = "show", ...words] = line.words;
  const isShow = ["show", "lst", "list"].some((verb) => isShort(word, verb));
  return isShow ? showDevices(line, words, front) : passOn("ip", line.argv);
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
  const isOfAddresses = isShort(object, "address");
  if (!isOfLinks && !isOfTunnels && !isOfAddresses) return passOn("ip", argv);
  if (line.value("netns") !== undefined) return inNamespace(line);
  if (isOfAddresses) return ipAddress(line, front);
  return isOfLinks ? ipLink(line, front) : ipTunnel(line, front);
};
