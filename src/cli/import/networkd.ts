/** Tunnels of systemd-networkd: .netdev files that make the devices, .network files that say what is on them. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { VtepdError } from "../../errors.ts";
import { addRoute, finish, flagOf, type Imported, numberOr, setLocal, setRemote, TunnelDraft } from "./draft.ts";
import { type Section, UnitFile } from "./unit-file.ts";

type Take = (draft: TunnelDraft, value: string) => void;

const KINDS: Readonly<Record<string, string>> = {
  vxlan: "vxlan",
  geneve: "geneve",
  gre: "gre",
  gretap: "gretap",
  ip6gre: "ip6gre",
  ip6gretap: "ip6gretap",
  erspan: "erspan",
  ipip: "ipip",
  sit: "sit",
  ip6tnl: "ip6tnl",
  vti: "vti",
  vti6: "vti6",
};
/** Kinds that are tunnels, and none of ours. */
const OTHER_TUNNELS = ["wireguard", "l2tp", "fou", "bareudp", "macsec"];

const number =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, numberOr(value));
const flag =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, flagOf(value));
const text =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, value);
const flagOrInherit =
  (key: string): Take =>
  (draft, value) =>
    draft.set(key, value === "inherit" ? value : flagOf(value));
const silent: Take = () => {};

const checksum =
  (name: string): Take =>
  (draft, value) => {
    const list = (draft.settings["checksums"] as string[] | undefined) ?? ["udp"];
    const others = list.filter((each) => each !== name);
    draft.set("checksums", flagOf(value) ? [...others, name] : others);
  };
const notification =
  (name: string): Take =>
  (draft, value) => {
    if (flagOf(value)) draft.add("notifications", name);
  };

const UNITS: Readonly<Record<string, number>> = { "": 1, s: 1, sec: 1, m: 60, min: 60, h: 3600, hr: 3600, d: 86_400 };

/** Seconds of systemd's `5min 30s`. */
const seconds = (value: string): number | undefined => {
  const parts = [...value.matchAll(/(\d+)\s*([a-z]*)/g)].map(
    ([, count, unit]) => Number(count) * (UNITS[unit!] ?? Number.NaN),
  );
  const sum = parts.reduce((total, part) => total + part, 0);
  return Number.isNaN(sum) || parts.length === 0 ? undefined : sum;
};

const bytes = (value: string): unknown => {
  const kilo = /^(\d+)K$/.exec(value);
  return kilo === null ? numberOr(value) : Number(kilo[1]) * 1024;
};

const local: Take = (draft, value) => setLocal(draft, value);
const remote: Take = (draft, value) => setRemote(draft, value);

const IN_UDP: Readonly<Record<string, Take>> = {
  Id: number("id"),
  VNI: number("id"),
  Local: local,
  Remote: remote,
  Group: remote,
  TOS: number("type-of-service"),
  TTL: number("ttl"),
  MacLearning: flag("mac-learning"),
  FDBAgeingSec: (draft, value) => draft.set("ageing", seconds(value)),
  MaximumFDBEntries: (draft, value) => {
    if (value !== "0") draft.set("limit", numberOr(value));
  },
  ReduceARPProxy: flag("arp-proxy"),
  ARPProxy: flag("arp-proxy"),
  L2MissNotification: notification("l2-miss"),
  L3MissNotification: notification("l3-miss"),
  UDPChecksum: checksum("udp"),
  UDPCheckSum: checksum("udp"),
  UDP6ZeroChecksumTx: checksum("zero-udp6-tx"),
  UDP6ZeroCheckSumTx: checksum("zero-udp6-tx"),
  UDP6ZeroChecksumRx: checksum("zero-udp6-rx"),
  UDP6ZeroCheckSumRx: checksum("zero-udp6-rx"),
  DestinationPort: number("port"),
  PortRange: (draft, value) => draft.set("port-range", value.split("-").map(numberOr)),
  FlowLabel: number("flow-label"),
  IPDoNotFragment: flagOrInherit("do-not-fragment"),
  Independent: silent,
};

const ENCAPS: Readonly<Record<string, string>> = { FooOverUDP: "fou", GenericUDPEncapsulation: "gue" };
/** Of [Tunnel], FooOverUDP=. */
const encap = (draft: TunnelDraft, file: UnitFile): void => {
  if (!flagOf(file.one("Tunnel", "FooOverUDP") ?? "no")) return;
  const type = ENCAPS[file.one("Tunnel", "Encapsulation") ?? "FooOverUDP"];
  draft.set("encap", { type, port: numberOr(file.one("Tunnel", "FOUDestinationPort")) });
};

const keyPart =
  (part: "input" | "output"): Take =>
  (draft, value) =>
    draft.set("key", { ...(draft.settings["key"] as object | undefined), [part]: numberOr(value) });

const MODES_OF_IP6TNL: Readonly<Record<string, string>> = { ip6ip6: "ip6ip6", ipip6: "ipip6", any: "ip6tnl" };

const IN_IP: Readonly<Record<string, Take>> = {
  Local: local,
  Remote: remote,
  TOS: number("type-of-service"),
  TTL: number("ttl"),
  DiscoverPathMTU: (draft, value) => draft.set("do-not-fragment", flagOf(value) ? true : "inherit"),
  IgnoreDontFragment: (draft, value) => {
    if (flagOf(value)) draft.set("do-not-fragment", false);
  },
  IPv6FlowLabel: number("flow-label"),
  Key: number("key"),
  InputKey: keyPart("input"),
  OutputKey: keyPart("output"),
  Mode: (draft, value) => draft.set("mode", MODES_OF_IP6TNL[value]),
  SerializeTunneledPackets: flag("sequence"),
  ISATAP: (draft, value) => {
    if (flagOf(value)) draft.set("mode", "isatap");
  },
  IPv6RapidDeploymentPrefix: (draft, value) => {
    draft.set("mode", "6rd");
    draft.set("prefix", value);
  },
  FooOverUDP: silent,
  Encapsulation: silent,
  FOUDestinationPort: silent,
  Independent: silent,
};

const NETDEV: Readonly<Record<string, Take>> = {
  Name: silent,
  Kind: silent,
  Description: silent,
  MTUBytes: (draft, value) => draft.set("mtu", bytes(value)),
  MACAddress: text("macaddress"),
};

const take = (draft: TunnelDraft, section: Section, keys: Readonly<Record<string, Take>>): void => {
  for (const [key, values] of section.settings) {
    const last = values.at(-1);
    if (last === undefined) continue;
    if (Object.hasOwn(keys, key)) keys[key]!(draft, last);
    else draft.note(`${key}=${last}`);
  }
};

/** Shell patterns of [Match], of which `!` takes all the others. */
const matches = (patterns: readonly string[], name: string): boolean => {
  const words = patterns.flatMap((each) => each.split(/\s+/));
  const isNegated = words[0]?.startsWith("!") === true;
  const fits = words.some((word) => {
    const escaped = word.replace(/^!/, "").replaceAll(/[.+^${}()|\\]/g, "\\$&");
    return new RegExp(`^${escaped.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(name);
  });
  return words.length > 0 && fits !== isNegated;
};

/** The device below, which names the tunnel. */
const underlay = (draft: TunnelDraft, networks: readonly UnitFile[], section: string, file: UnitFile): void => {
  if (flagOf(file.one(section, "Independent") ?? "no")) return;
  const key = section === "VXLAN" ? "VXLAN" : "Tunnel";
  const lower = networks.find((network) => network.all("Network", key).includes(draft.name));
  const names = lower?.all("Match", "Name").flatMap((each) => each.split(/\s+/)) ?? [];
  if (names.length === 1 && /^[^*?[!]+$/.test(names[0]!)) draft.set("link", names[0]);
  else if (lower !== undefined)
    draft.note(`${key}= of the network of ${names.join(" ") || "several devices"}: give link`);
};

const FDB_KEYS = ["MACAddress", "Destination", "VNI", "AssociatedWith", "OutgoingInterface"];
const fdb = (draft: TunnelDraft, { settings }: Section): void => {
  const one = (key: string): string | undefined => settings.get(key)?.at(-1);
  const [mac, dst] = [one("MACAddress"), one("Destination")];
  const others = [...settings.keys()].filter((key) => !FDB_KEYS.includes(key));
  if (mac === undefined || dst === undefined || others.length > 0 || !draft.has("fdb")) {
    draft.note(`[BridgeFDB] ${[...settings].map(([key, values]) => `${key}=${values.at(-1)}`).join(" ")}`);
    return;
  }
  const [vni, via] = [numberOr(one("VNI")), one("OutgoingInterface")];
  draft.add("fdb", { mac, dst, ...(vni === undefined ? {} : { vni }), ...(via === undefined ? {} : { via }) });
};

const ROUTE_KEYS = ["Destination", "Gateway"];
const route = (draft: TunnelDraft, { settings }: Section): void => {
  const [to, via] = ROUTE_KEYS.map((key) => settings.get(key)?.at(-1));
  const more = [...settings]
    .filter(([key]) => !ROUTE_KEYS.includes(key))
    .map(([key, values]) => `${key}=${values.at(-1)}`);
  addRoute(draft, { to: to ?? "default", via, more });
};

const onDevice = (draft: TunnelDraft, network: UnitFile): void => {
  for (const address of network.all("Network", "Address")) draft.add("addresses", address);
  for (const { settings } of network.named("Address")) {
    const address = settings.get("Address")?.at(-1);
    if (address !== undefined) draft.add("addresses", address);
    for (const [key, values] of settings)
      if (key !== "Address") draft.note(`[Address] ${address} ${key}=${values.at(-1)}`);
  }
  for (const gateway of network.all("Network", "Gateway")) addRoute(draft, { to: "default", via: gateway, more: [] });
  for (const section of network.named("Route")) route(draft, section);
  for (const section of network.named("BridgeFDB")) fdb(draft, section);
  for (const key of ["Bridge", "VRF", "Bond"]) {
    const master = network.one("Network", key);
    if (master !== undefined) draft.note(`${key}=${master}: ip link set ${draft.name} master ${master}`);
  }
  const mtu = network.one("Link", "MTUBytes");
  if (mtu !== undefined) draft.set("mtu", bytes(mtu));
};

const draftOf = (name: string, mode: string, file: UnitFile, networks: readonly UnitFile[]): TunnelDraft => {
  const draft = new TunnelDraft(name);
  draft.set("mode", mode);
  const section = { vxlan: "VXLAN", geneve: "GENEVE" }[mode] ?? "Tunnel";
  for (const each of file.named("NetDev")) take(draft, each, NETDEV);
  for (const each of file.named(section)) take(draft, each, section === "Tunnel" ? IN_IP : IN_UDP);
  encap(draft, file);
  underlay(draft, networks, section, file);
  const own = networks.find((network) => matches(network.all("Match", "Name"), name));
  if (own !== undefined) onDevice(draft, own);
  finish(draft);
  return draft;
};

/** @throws ERR_CONFIG_READ */
export const importNetworkd = (folder: string): Imported => {
  let names: string[];
  try {
    names = readdirSync(folder).sort();
  } catch (cause) {
    throw new VtepdError(
      "ERR_CONFIG_READ",
      `${folder}: expected a readable directory, got: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  const filesOf = (ending: string): UnitFile[] =>
    names.filter((name) => name.endsWith(ending)).map((name) => new UnitFile(join(folder, name)));
  const networks = filesOf(".network");
  const tunnels: TunnelDraft[] = [];
  const remarks: string[] = [];
  for (const file of filesOf(".netdev")) {
    const [name = "?", kind = "?"] = [file.one("NetDev", "Name"), file.one("NetDev", "Kind")];
    const mode = KINDS[kind];
    if (mode !== undefined) tunnels.push(draftOf(name, mode, file, networks));
    else if (OTHER_TUNNELS.includes(kind)) remarks.push(`${name}: kind ${kind} is none of vtepd's`);
  }
  return { tunnels, remarks };
};
