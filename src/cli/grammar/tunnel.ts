/** `tunnel`, in the words of `ip tunnel`, both families'. */
import { isAddress, isName, oneOf } from "./check.ts";
import type { TypeWord } from "./link-type.ts";
import { LINK_TYPES } from "./link-types.ts";
import { DELETE, requiredDev, SHOW } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import type { Value } from "./value.ts";

/** What `ip tunnel` calls a type, and what else it says with that. */
interface TunnelMode {
  readonly type: string;
  /** A word of the type that goes with it. */
  readonly word?: readonly [name: string, ...texts: string[]];
}

export const TUNNEL_MODES: Readonly<Record<string, TunnelMode>> = {
  gre: { type: "gre" },
  "gre/ip": { type: "gre" },
  ipip: { type: "ipip" },
  "ip/ip": { type: "ipip" },
  sit: { type: "sit" },
  "ipv6/ip": { type: "sit" },
  isatap: { type: "sit", word: ["isatap"] },
  vti: { type: "vti" },
  ip6gre: { type: "ip6gre" },
  "gre/ipv6": { type: "ip6gre" },
  ip6gretap: { type: "ip6gretap" },
  ipip6: { type: "ip6tnl", word: ["mode", "ipip6"] },
  ip4ip6: { type: "ip6tnl", word: ["mode", "ipip6"] },
  "ip/ipv6": { type: "ip6tnl", word: ["mode", "ipip6"] },
  ip6ip6: { type: "ip6tnl", word: ["mode", "ip6ip6"] },
  "ipv6/ipv6": { type: "ip6tnl", word: ["mode", "ip6ip6"] },
  any: { type: "ip6tnl", word: ["mode", "any"] },
  "any/ipv6": { type: "ip6tnl", word: ["mode", "any"] },
  vti6: { type: "vti6" },
};

/** What belongs to `link` alone. */
const NOT_HERE = ["mode", "isatap"];

/** The words of all those types; which of them a mode has, and what may stand behind them, is looked at when the mode is known. */
const words = (): TypeWord[] => {
  const types = new Set(Object.values(TUNNEL_MODES).map(({ type }) => type));
  const byName = new Map<string, TypeWord>();
  for (const { name, words: all } of LINK_TYPES) {
    if (!types.has(name)) continue;
    for (const { refused: _, ...word } of all) {
      const values = word.values.map((value) => ({ ...value, check: () => undefined }));
      if (!NOT_HERE.includes(word.names[0]!) && !byName.has(word.names[0]!))
        byName.set(word.names[0]!, { ...word, values });
    }
  }
  return [...byName.values()];
};

const WORDS = words();
const MODES = Object.keys(TUNNEL_MODES).filter((name) => !name.includes("/"));

const name: Value = { key: "name", placeholder: "NAME", check: isName, choices: "link" };
const requiredName: Value = { ...name, required: true };
const mode: Value = {
  key: "mode",
  placeholder: `{ ${MODES.join(" | ")} }`,
  check: oneOf(Object.keys(TUNNEL_MODES), "Unknown tunnel mode"),
  choices: MODES,
};
const router = (key: string): Value => ({ key, placeholder: "ADDR", check: isAddress });
const network = (key: string): Value => ({
  key,
  placeholder: "ADDR/LENGTH",
  check: (text) => (/^[0-9a-f.:]+\/\d+$/i.test(text) ? undefined : `argument "${text}" is wrong: ADDR/LENGTH`),
});

export const tunnel: CommandObject = {
  name: "tunnel",
  aliases: ["tunl"],
  summary: "tunnels of IP packets, in the words of `ip tunnel`",
  verbs: [
    { names: SHOW, operand: name, values: [mode], mixed: WORDS },
    { names: ["add"], operand: requiredName, values: [mode], mixed: WORDS },
    { names: ["change", "set"], operand: requiredName, values: [mode], mixed: WORDS },
    { names: DELETE, operand: requiredName, values: [mode], mixed: WORDS },
    { names: ["prl"], values: [requiredDev, router("prl-default"), router("prl-nodefault"), router("prl-delete")] },
    {
      names: ["6rd"],
      values: [requiredDev, network("6rd-prefix"), network("6rd-relay_prefix")],
      flags: ["6rd-reset"],
    },
  ],
};
