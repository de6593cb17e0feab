/** `link`. */
import type { LinkJson } from "../../control/link-json.ts";
import { VtepdError } from "../../errors.ts";
import type { LinkType, Settings } from "../grammar/link-type.ts";
import { jsonText } from "../json-list.ts";
import { briefText, linkText, oneLine } from "../link-text.ts";
import { namedNamespace } from "../namespace.ts";
import { changed, checkNew, notesOf, type Typed } from "../type-words.ts";
import { type Call, type Commands, linkPath, type Run, wantsJson, wantsPretty, wantsStats } from "./call.ts";
import { allLinks, demandHere, deviceWords, linkOf, namesByIp, namespaceOf, setDevice } from "./device.ts";
import { localAddress } from "./local-address.ts";

const selected = async (call: Call): Promise<LinkJson[]> => {
  const { values } = call;
  const dev = values.get("dev");
  const links = dev === undefined ? await allLinks(call) : [await linkOf(call, dev)];
  const type = values.get("type");
  const master = values.get("master");
  const slaves = master === undefined ? undefined : namesByIp(call, ["master", master]);
  return links.filter(
    ({ ifname, flags, linkinfo }) =>
      (type === undefined || linkinfo.info_kind === type) &&
      (!values.has("up") || flags.includes("UP")) &&
      (slaves === undefined || slaves.has(ifname)),
  );
};

/** As `ip -br link show`. */
const briefJson = ({
  ifname,
  flags,
  operstate,
  address,
}: LinkJson): Pick<LinkJson, "ifname" | "flags" | "operstate" | "address"> => ({
  ifname,
  operstate,
  ...(address === undefined ? {} : { address }),
  flags,
});

const showLinks: Run = async (call) => {
  const { options } = call;
  const links = await selected(call);
  if (wantsJson(call)) {
    const withoutStats = ({ stats64: _, ...link }: LinkJson): Omit<LinkJson, "stats64"> => link;
    const shown = options.has("brief") ? links.map(briefJson) : wantsStats(call) ? links : links.map(withoutStats);
    call.out(jsonText(shown, wantsPretty(call)));
  } else if (options.has("brief")) {
    call.out(links.map(briefText).join(""));
  } else {
    const texts = links.map((link) => linkText(link, wantsStats(call)));
    call.out((options.has("oneline") ? texts.map(oneLine) : texts).join(""));
  }
};

const rekey: Run = ({ client, values }) => client.send("PUT", `${linkPath(values.get("dev")!)}/associations`);

/** Of a new device, what only the real `ip` can give it. */
const AFTER_ADD = ["master", "vrf", "txqueuelen", "alias", "group"] as const;
const AT_SET = [
  "down",
  "mtu",
  "address",
  "txqueuelen",
  "alias",
  "group",
  "master",
  "vrf",
  "nomaster",
  "up",
  "netns",
] as const;

/**
 * After a start of the host no device is there that was made by hand, and scripts make them again: those that the daemon has
 * restored give way. @throws ERR_DEVICE_EXISTS for all others
 */
const make = async (call: Call, name: string, settings: Settings): Promise<LinkJson> => {
  const { client } = call;
  try {
    // As `ip` leaves it: down, and never up before.
    const state = call.values.has("up") ? "up" : "down";
    return await client.sendForJson<LinkJson>("POST", `/v1/links?state=${state}`, { name, ...settings });
  } catch (error) {
    if (!(error instanceof VtepdError) || error.code !== "ERR_DEVICE_EXISTS") throw error;
    const { restored = [] } = await client.getJson<{ restored?: string[] }>("/v1/config");
    if (!restored.includes(name)) throw error;
    const changes = [
      { op: "link-del", name },
      { op: "link-add", name, settings },
    ];
    await client.send("POST", "/v1/changes", { changes });
    return linkOf(call, name);
  }
};

/**
 * Makes a tunnel and what belongs to its device: all of it, or nothing.
 * @param settings without what every type has
 */
export const addTunnel = async (call: Call, name: string, type: LinkType, settings: Settings): Promise<void> => {
  const { client, values } = call;
  const notes = type.complete?.(settings) ?? [];
  const netns = await namespaceOf(call);
  const local = type.name === "vxlan" ? localAddress(call, settings, netns) : undefined;
  const device = values.has("netns") ? namedNamespace(values.get("netns")!) : netns;
  const made = await make(call, name, {
    ...settings,
    ...(local === undefined ? {} : { local }),
    ...(values.has("mtu") ? { mtu: Number(values.get("mtu")) } : {}),
    ...(values.has("address") ? { macaddress: values.get("address") } : {}),
    ...(device === undefined ? {} : { netns: device }),
    ...(netns === undefined ? {} : { "underlay-netns": netns }),
  });
  // The device of one that gave way may have stayed.
  const state = values.has("up") === made.flags.includes("UP") ? [] : [values.has("up") ? "up" : "down"];
  try {
    setDevice(call, made, [...deviceWords(values, AFTER_ADD), ...state]);
  } catch (error) {
    await client.send("DELETE", linkPath(name));
    throw error;
  }
  for (const note of notes) call.note(note);
};

const LINK = "link: it has no effect, as with Linux: `dev PHYS_DEV` behind the type names the underlay";

const addLink: Run = async (call) => {
  const { type, given } = call.typed as Typed & { type: LinkType };
  checkNew(call.words, type, given);
  if (call.values.has("link")) call.note(LINK);
  for (const note of notesOf(given)) call.note(note);
  await addTunnel(call, call.values.get("dev")!, type, changed(type, given, type.initial));
};

/** What makes one map of settings of another; null takes a key back to its default. */
const difference = (before: Settings, after: Settings): Settings => {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  const isOther = (key: string): boolean => JSON.stringify(before[key]) !== JSON.stringify(after[key]);
  return Object.fromEntries([...keys].filter(isOther).map((key) => [key, after[key] ?? null]));
};

/** What is written of a tunnel. @throws ERR_LINK_NOT_FOUND, ERR_LINK_WAITING */
export const settingsOf = async (call: Call, name: string): Promise<Settings> => {
  const { client } = call;
  const { tunnels } = await client.getJson<{ tunnels: Record<string, Settings> }>("/v1/config");
  const settings = tunnels[name] ?? tunnels[(await linkOf(call, name)).vtepd.tunnel ?? ""];
  if (settings === undefined) throw new VtepdError("ERR_LINK_NOT_FOUND", `no tunnel ${name}`);
  return settings;
};

/** Gives a tunnel other settings, if they are others. */
export const changeTunnel = async (call: Call, name: string, before: Settings, after: Settings): Promise<void> => {
  await demandHere(call, name);
  const patch = difference(before, after);
  if (Object.keys(patch).length > 0) await call.client.send("PATCH", linkPath(name), patch);
};

const setLink: Run = async (call) => {
  const { values, typed, words } = call;
  const name = values.get("dev")!;
  const argv = deviceWords(values, AT_SET);
  if (typed?.type === undefined && argv.length === 0) {
    const expected = [
      "up",
      "down",
      "mtu MTU",
      "address LLADDR",
      "master DEV",
      "nomaster",
      "netns NS",
      "type TYPE ARGS",
    ];
    throw words.incomplete(expected, "Not enough information: nothing to set");
  }
  if (typed?.type !== undefined) {
    const { type, given } = typed;
    const before = await settingsOf(call, name);
    if (!type!.modes.includes(String(before["mode"]))) {
      throw new VtepdError("ERR_USAGE", `${name} is of mode ${before["mode"]}, not of type ${type!.name}`);
    }
    for (const note of notesOf(given)) call.note(note);
    await changeTunnel(call, name, before, changed(type!, given, before));
  }
  if (argv.length === 0) return;
  setDevice(call, await linkOf(call, name), argv);
};

export const deleteTunnel = async (call: Call, name: string): Promise<void> => {
  await demandHere(call, name);
  await call.client.send("DELETE", linkPath(name));
};

const deleteLink: Run = async (call) => {
  const name = call.values.get("dev")!;
  const type = call.values.get("type");
  if (type !== undefined) {
    const { linkinfo } = await linkOf(call, name);
    if (linkinfo.info_kind !== type) throw new VtepdError("ERR_USAGE", `${name} is of type ${linkinfo.info_kind}`);
  }
  await deleteTunnel(call, name);
};

export const linkCommands: Commands = {
  "link show": showLinks,
  "link add": addLink,
  "link set": setLink,
  "link del": deleteLink,
  "link rekey": rekey,
};
