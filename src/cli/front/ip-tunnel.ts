/** `ip tunnel`: all of its modes are ours. */
import { TUNNEL_MODES } from "../grammar/tunnel.ts";
import { joined } from "./detail.ts";
import type { Front } from "./front.ts";
import { behind, type Line } from "./line.ts";
import { capture, passOn } from "./real-program.ts";

/** In the order in which iproute2 compares. */
const VERBS = ["add", "change", "delete", "show", "lst", "list", "prl", "6rd", "help"];

export const ipTunnel = async (line: Line, { daemons, io, own, ownText }: Front): Promise<number> => {
  const [, word, ...words] = line.words;
  const verb = word === undefined ? "show" : (VERBS.find((name) => name.startsWith(word)) ?? word);
  const mode = behind(words, "mode");
  const name = behind(words, "name") ?? behind(words, "dev") ?? words[0];
  const pass = (): number => passOn("ip", line.argv);
  const ours = (socket: string, ...argv: string[]): Promise<number> =>
    own(socket, line, [...line.shared, "tunnel", ...argv]);
  // Those of IPv6 are shown to who asks for them.
  const isOverIpv6 = line.has("6") || line.value("family") === "inet6";
  if (verb === "add") {
    if (mode !== undefined && !Object.hasOwn(TUNNEL_MODES, mode)) return pass();
    return ours(await daemons.forNew(name ?? ""), "add", ...words);
  }
  if (["change", "delete", "prl", "6rd"].includes(verb)) {
    const found = await daemons.find(name ?? "");
    return found === undefined ? pass() : ours(found.socket, verb === "delete" ? "del" : verb, ...words);
  }
  if (!["show", "lst", "list"].includes(verb)) return pass();
  if (name !== undefined && mode === undefined) {
    const found = await daemons.find(name);
    return found === undefined ? pass() : ours(found.socket, "show", ...words);
  }
  const found = await daemons.list();
  if (found.size === 0) return pass();
  let { status, stdout } = capture("ip", line.argv);
  for (const [dev, { socket }] of found) {
    const family = isOverIpv6 ? "-6" : "-4";
    const one = await ownText(socket, line, [...line.shared, family, "tunnel", "show", dev, ...words]);
    if (one.status === 0) stdout = joined(line, stdout, one.stdout);
    else status = one.status;
  }
  io.out(stdout);
  return status;
};
