/** `tunnel`, the words of `ip tunnel`. */
import { VtepdError } from "../../errors.ts";
import type { GivenWord, LinkType, Settings } from "../grammar/link-type.ts";
import { LINK_TYPES, typeOfMode } from "../grammar/link-types.ts";
import { TUNNEL_MODES } from "../grammar/tunnel.ts";
import { oneLine } from "../link-text.ts";
import { isOverIpv6, type TunnelJson, tunnelJson, tunnelText } from "../tunnel-text.ts";
import { changed, notesOf, wordsOf } from "../type-words.ts";
import { type Call, type Commands, print, type Run, wantsStats } from "./call.ts";
import { allLinks, linkOf } from "./device.ts";
import { addTunnel, changeTunnel, deleteTunnel, settingsOf } from "./link.ts";

/** As `ip tunnel` guesses from the name. */
const GUESSES = ["gre", "ipip", "sit", "isatap", "vti"];

const typeNamed = (name: string): LinkType => {
  const type = LINK_TYPES.find((known) => known.name === name);
  if (type === undefined) throw new VtepdError("ERR_INTERNAL", `no type ${name}`);
  return type;
};

/** The type, and what of it a mode says. */
const typeOfName = (mode: string): { type: LinkType; said: GivenWord[] } => {
  const { type: name, word } = TUNNEL_MODES[mode]!;
  const type = typeNamed(name);
  if (word === undefined) return { type, said: [] };
  const [first, ...texts] = word;
  const found = type.words.find(({ names }) => names.includes(first))!;
  return { type, said: [{ word: found, texts, isOn: true, at: 0 }] };
};

const addIpTunnel: Run = async (call) => {
  const { values, typed, words } = call;
  const name = values.get("name")!;
  const mode = values.get("mode") ?? GUESSES.find((guess) => name.startsWith(guess));
  if (mode === undefined) throw words.incomplete(["mode MODE"], 'cannot determine tunnel mode: "mode" is required');
  const { type, said } = typeOfName(mode);
  const given = wordsOf(words, type, typed?.given ?? []);
  for (const note of notesOf(given)) call.note(note);
  await addTunnel(call, name, type, changed(type, [...said, ...given], type.initial));
};

const typeOf = (name: string, settings: Settings): LinkType => {
  const type = typeOfMode(String(settings["mode"]));
  if (type === undefined)
    throw new VtepdError("ERR_USAGE", `${name} is of mode ${settings["mode"]}, which is no type of ip`);
  return type;
};

const changeIpTunnel: Run = async (call) => {
  const { values, typed, words } = call;
  const name = values.get("name")!;
  const before = await settingsOf(call, name);
  const type = typeOf(name, before);
  const mode = values.get("mode");
  if (mode !== undefined && typeOfName(mode).type !== type) {
    throw new VtepdError("ERR_USAGE", `${name} is of mode ${before["mode"]}: delete it and add another`);
  }
  const given = wordsOf(words, type, typed?.given ?? []);
  await changeTunnel(call, name, before, changed(type, given, before));
};

const deleteIpTunnel: Run = (call) => deleteTunnel(call, call.values.get("name")!);

const showIpTunnels: Run = async (call) => {
  const { options, values } = call;
  const name = values.get("name");
  const links = name === undefined ? await allLinks(call) : [await linkOf(call, name)];
  const mode = values.get("mode");
  const kind = mode === undefined ? undefined : typeNamed(TUNNEL_MODES[mode]!.type).name;
  const wanted = (tunnel: TunnelJson): boolean => (isOverIpv6(tunnel) ? !options.has("4") : !options.has("6"));
  const tunnels = links
    .filter(({ linkinfo }) => kind === undefined || linkinfo.info_kind === kind)
    .flatMap((link) => {
      const tunnel = tunnelJson(link);
      return tunnel === undefined || !wanted(tunnel) ? [] : [{ tunnel, stats: link.stats64 }];
    });
  const text = ({ tunnel, stats }: (typeof tunnels)[number]): string => {
    const lines = tunnelText(tunnel, wantsStats(call) ? stats : undefined);
    return options.has("oneline") ? oneLine(lines) : lines;
  };
  print(
    call,
    tunnels.map(({ tunnel }) => tunnel),
    () => tunnels.map(text).join(""),
  );
};

const ROUTERS = "potential-routers";

/** ISATAP's routers: the first one is the default. */
const changeRouters: Run = async (call) => {
  const { values } = call;
  const name = values.get("dev")!;
  const before = await settingsOf(call, name);
  const named = ["prl-default", "prl-nodefault", "prl-delete"].map((key) => values.get(key));
  const others = ((before[ROUTERS] as string[] | undefined) ?? []).filter((router) => !named.includes(router));
  const [first, last] = named;
  const routers = [...(first === undefined ? [] : [first]), ...others, ...(last === undefined ? [] : [last])];
  await changeTunnel(call, name, before, { ...before, [ROUTERS]: routers });
};

const change6rd: Run = async (call: Call) => {
  const { values } = call;
  const name = values.get("dev")!;
  const before = await settingsOf(call, name);
  const type = typeOf(name, before);
  const given = ["6rd-reset", "6rd-prefix", "6rd-relay_prefix"].flatMap((key): GivenWord[] => {
    const word = type.words.find(({ names }) => names.includes(key));
    const text = values.get(key);
    if (text === undefined) return [];
    if (word === undefined) throw new VtepdError("ERR_USAGE", `${name} is of mode ${before["mode"]}, not sit`);
    return [{ word, texts: [text], isOn: true, at: 0 }];
  });
  await changeTunnel(call, name, before, changed(type, given, before));
};

export const tunnelCommands: Commands = {
  "tunnel show": showIpTunnels,
  "tunnel add": addIpTunnel,
  "tunnel change": changeIpTunnel,
  "tunnel del": deleteIpTunnel,
  "tunnel prl": changeRouters,
  "tunnel 6rd": change6rd,
};
