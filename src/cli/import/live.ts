/** Tunnels that the kernel has, from what `ip` and `bridge` say of them. */
import { quadValue } from "../../config/gre-value.ts";
import { VtepdError } from "../../errors.ts";
import type { Io } from "../io.ts";
import { namespacePath } from "../namespace.ts";
import { addRoute, finish, type Imported, numberOr, setLocal, setRemote, TunnelDraft } from "./draft.ts";

type Data = Readonly<Record<string, unknown>>;

interface Device {
  readonly ifname: string;
  readonly mtu: number;
  readonly address?: string;
  readonly master?: string;
  /** Present when the underlay is in another namespace. */
  readonly link_netnsid?: number;
  readonly flags?: readonly string[];
  readonly linkinfo?: { readonly info_kind?: string; readonly info_data?: Data };
  readonly addr_info?: readonly Address[];
}

interface Address {
  readonly local: string;
  /** The other end's. */
  readonly address?: string;
  readonly prefixlen: number;
  readonly scope?: string;
  readonly dynamic?: boolean;
}

interface FdbEntry {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
  readonly port?: number;
  readonly vni?: number;
  readonly viaIf?: string;
  readonly state?: string;
  readonly flags?: readonly string[];
}

interface KernelRoute {
  readonly dst: string;
  readonly dev: string;
  readonly gateway?: string;
  readonly protocol?: string;
  readonly metric?: number;
}

/** iproute2's kinds, and our modes where they are called otherwise. */
const IP6_MODES: Readonly<Record<string, string>> = { ip6ip6: "ip6ip6", ipip6: "ipip6", "ipv4/ipv6": "ipip6" };
const MODE_OF: Readonly<Record<string, (data: Data) => string>> = {
  vxlan: () => "vxlan",
  geneve: () => "geneve",
  gre: () => "gre",
  gretap: () => "gretap",
  ip6gre: () => "ip6gre",
  ip6gretap: () => "ip6gretap",
  erspan: () => "erspan",
  ip6erspan: () => "ip6erspan",
  ipip: () => "ipip",
  sit: (data) => (data["isatap"] === undefined ? (is6rd(data) ? "6rd" : "sit") : "isatap"),
  ip6tnl: (data) => IP6_MODES[String(data["proto"])] ?? "ip6tnl",
  vti: () => "vti",
  vti6: () => "vti6",
};

/** What vtepd itself has the kernel make. */
const OURS = /^vtepgro\d+$/;
/** Made by the modules themselves, for what is for no other device. */
const FALLBACKS = ["gre0", "gretap0", "erspan0", "tunl0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0"];
const ZERO_MAC = "00:00:00:00:00:00";

const is6rd = ({ prefix, prefixlen }: Data): boolean =>
  prefix !== undefined && !(prefix === "2002::" && Number(prefixlen) === 16);

const text = (value: unknown): string | undefined => (value === undefined ? undefined : String(value));
const isOn = (value: unknown): boolean => value !== undefined && value !== false;

/** `0x1` is the inner packet's. */
const tos = (draft: TunnelDraft, value: unknown): void => {
  const number = Number(numberOr(value) ?? 0);
  if (number !== 0) draft.set("type-of-service", number === 1 ? "inherit" : number);
};

const ends = (draft: TunnelDraft, data: Data): void => {
  setLocal(draft, text(data["local"] ?? data["local6"]));
  setRemote(draft, text(data["remote"] ?? data["remote6"] ?? data["group"] ?? data["group6"]));
  if (draft.has("link")) draft.set("link", data["link"]);
};

const label = (draft: TunnelDraft, value: unknown, isInherited = false): void => {
  const number = Number(numberOr(value) ?? 0);
  if (isInherited) draft.set("flow-label", "inherit");
  else if (number !== 0) draft.set("flow-label", number);
};

const checksums = (data: Data): string[] | undefined => {
  const list = [
    ...(data["udp_csum"] === false ? [] : ["udp"]),
    ...(isOn(data["udp_zero_csum6_tx"]) ? ["zero-udp6-tx"] : []),
    ...(isOn(data["udp_zero_csum6_rx"]) ? ["zero-udp6-rx"] : []),
  ];
  return list.join() === "udp" ? undefined : list;
};

const inUdp = (draft: TunnelDraft, data: Data): void => {
  draft.set("id", data["id"]);
  draft.set("port", data["port"]);
  // iproute2 leaves an inherited TTL out.
  draft.set("ttl", data["ttl"] === undefined ? "inherit" : data["ttl"]);
  tos(draft, data["tos"]);
  const df = data["df"];
  if (df === "set" || df === "inherit") draft.set("do-not-fragment", df === "set" ? true : df);
  label(draft, data["label"]);
  draft.set("checksums", checksums(data));
  if (draft.mode !== "vxlan") return;
  const { low = 0, high = 0 } = (data["port_range"] ?? {}) as { low?: number; high?: number };
  if (low !== 0) draft.set("port-range", [low, high]);
  if (data["learning"] === false) draft.set("mac-learning", false);
  if (isOn(data["proxy"])) draft.set("arp-proxy", true);
  const misses = [...(isOn(data["l2miss"]) ? ["l2-miss"] : []), ...(isOn(data["l3miss"]) ? ["l3-miss"] : [])];
  if (misses.length > 0) draft.set("notifications", misses);
  draft.set("ageing", data["ageing"]);
  draft.set("limit", data["limit"]);
  for (const word of ["rsc", "gbp", "gpe", "remcsum_tx", "remcsum_rx"]) {
    if (isOn(data[word])) draft.note(`${word}: not offered`);
  }
};

/** Both directions as one value where they are the same. */
const both = <Value>(input: Value, output: Value): Value | { input: Value; output: Value } =>
  input === output ? input : { input, output };

const greKeys = (draft: TunnelDraft, data: Data): void => {
  const { ikey, okey } = data as { ikey?: string; okey?: string };
  if (ikey !== undefined && okey !== undefined) draft.set("key", both(ikey, okey));
  else if (ikey !== undefined || okey !== undefined)
    draft.set("key", ikey === undefined ? { output: okey } : { input: ikey });
  for (const [key, word] of [
    ["sequence", "seq"],
    ["checksum", "csum"],
  ] as const) {
    const value = both(isOn(data[`i${word}`]), isOn(data[`o${word}`]));
    if (value !== false) draft.set(key, value);
  }
};

const df = (draft: TunnelDraft, data: Data): void => {
  if (data["pmtudisc"] === undefined) return;
  draft.set("do-not-fragment", data["pmtudisc"] === true ? true : isOn(data["ignore_df"]) ? false : "inherit");
};

const encap = (draft: TunnelDraft, data: Data): void => {
  const given = data["encap"] as { type: string; dport: number } | undefined;
  if (given === undefined || given.type === "none") return;
  if (draft.has("encap")) draft.set("encap", { type: given.type, port: given.dport });
  else draft.note(`encap ${given.type}`);
};

const inIp = (draft: TunnelDraft, data: Data): void => {
  // iproute2 has 0 for the inner packet's here.
  if (!draft.mode.startsWith("vti"))
    draft.set("ttl", data["ttl"] === undefined || data["ttl"] === 0 ? "inherit" : data["ttl"]);
  tos(draft, isOn(data["ip6_tnl_f_use_orig_tclass"]) ? 1 : (data["tos"] ?? data["tclass"]));
  label(draft, data["flowlabel"], isOn(data["ip6_tnl_f_use_orig_flowlabel"]));
  df(draft, data);
  if (draft.has("key")) greKeys(draft, data);
  if (draft.has("session") && data["erspan_ver"] !== 0)
    draft.set("session", quadValue(String(data["ikey"] ?? "0.0.0.0")));
  draft.set("fwmark", data["fwmark"] === undefined ? undefined : Number(data["fwmark"]) || undefined);
  encap(draft, data);
  if (data["encap_limit"] !== undefined) draft.note(`encaplimit ${data["encap_limit"]}: vtepd sends none`);
  if (draft.mode !== "6rd") return;
  draft.set("prefix", `${data["prefix"]}/${data["prefixlen"]}`);
  if (data["relay_prefix"] !== undefined)
    draft.set("relay-prefix", `${data["relay_prefix"]}/${data["relay_prefixlen"]}`);
};

const addresses = (draft: TunnelDraft, list: readonly Address[]): void => {
  for (const { local, address, prefixlen, scope, dynamic } of list) {
    if (scope === "link" || dynamic === true) continue;
    draft.add("addresses", `${local}/${prefixlen}`);
    if (address !== undefined) draft.note(`address ${local} has the peer ${address}: an ordinary address here`);
  }
};

const fdb = (draft: TunnelDraft, entries: readonly FdbEntry[]): void => {
  for (const { mac, dst, port, vni, viaIf, state, flags = [] } of entries) {
    if (dst === undefined || !["permanent", "static"].includes(state ?? "") || flags.includes("extern_learn")) continue;
    const isFlood = mac === ZERO_MAC;
    const isPlain = port === undefined && vni === undefined && viaIf === undefined;
    if (isFlood && (dst === draft.remote || dst === draft.settings["group"])) continue;
    if (isFlood && isPlain) draft.add("flood", dst);
    else {
      draft.add("fdb", {
        mac,
        dst,
        ...(port === undefined ? {} : { port }),
        ...(vni === undefined ? {} : { vni }),
        ...(viaIf === undefined ? {} : { via: viaIf }),
        ...(flags.includes("sticky") ? { sticky: true } : {}),
      });
    }
  }
};

const isL2 = (draft: TunnelDraft): boolean => draft.has("macaddress");

interface Kernel {
  readonly devices: readonly Device[];
  readonly fdb: readonly FdbEntry[];
  readonly routes: readonly KernelRoute[];
}

const draftOf = (device: Device, mode: string, data: Data, kernel: Kernel, netns: string | undefined): TunnelDraft => {
  const draft = new TunnelDraft(device.ifname);
  draft.set("mode", mode);
  ends(draft, data);
  if (["vxlan", "geneve"].includes(mode)) inUdp(draft, data);
  else inIp(draft, data);
  draft.set("mtu", device.mtu);
  if (isL2(draft)) draft.set("macaddress", device.address);
  if (netns !== undefined) {
    draft.set("netns", netns);
    draft.set("underlay-netns", netns);
  }
  addresses(draft, device.addr_info ?? []);
  const { ifname } = device;
  if (draft.has("fdb")) {
    fdb(
      draft,
      kernel.fdb.filter((entry) => entry.ifname === ifname),
    );
  }
  for (const { dst, gateway, metric } of kernel.routes.filter(({ dev }) => dev === ifname)) {
    addRoute(draft, { to: dst, via: gateway, more: metric === undefined ? [] : [`metric ${metric}`] });
  }
  if (device.link_netnsid !== undefined)
    draft.note("its underlay is in another network namespace: give underlay-netns");
  if (device.master !== undefined) draft.note(`ip link set ${ifname} master ${device.master}`);
  if (device.flags?.includes("UP") === false) draft.note("it was down: ip link set DEV down");
  finish(draft);
  return draft;
};

/** Not those that the kernel makes by itself, and not what vtepd keeps for its own tunnels. */
const OTHERS_PROTOCOLS = ["kernel", "ra", "redirect"];

/** @throws ERR_HOST_COMMAND */
const ask = ({ execute }: Pick<Io, "execute">, netns: string | undefined, ...argv: readonly string[]): unknown => {
  const enter = netns === undefined ? [] : ["nsenter", `--net=${namespacePath(netns)}`];
  const [program, ...rest] = [...enter, ...argv] as [string, ...string[]];
  const { status, stdout, stderr } = execute(program, rest);
  if (status !== 0) throw new VtepdError("ERR_HOST_COMMAND", stderr.trim() || `${program} ended with status ${status}`);
  return JSON.parse(stdout.trim() === "" ? "[]" : stdout);
};

const readKernel = (io: Pick<Io, "execute">, netns: string | undefined): Kernel => {
  const routes = ["-4", "-6"].flatMap(
    (family) => ask(io, netns, "ip", family, "-j", "route", "show") as (KernelRoute & { dev?: string })[],
  );
  return {
    devices: ask(io, netns, "ip", "-d", "-j", "address", "show") as Device[],
    fdb: ask(io, netns, "bridge", "-j", "fdb", "show") as FdbEntry[],
    routes: routes
      .filter(({ protocol = "boot" }) => !OTHERS_PROTOCOLS.includes(protocol))
      // IPv6 has a metric always.
      .map(({ metric, ...route }) => (metric === undefined || metric === 1024 ? route : { ...route, metric })),
  };
};

/** @param netns a name or a path; undefined = where we are. @throws ERR_HOST_COMMAND */
export const importLive = (io: Pick<Io, "execute">, netns: string | undefined): Imported => {
  const kernel = readKernel(io, netns);
  const tunnels: TunnelDraft[] = [];
  const remarks: string[] = [];
  for (const device of kernel.devices) {
    const { info_kind: kind = "", info_data: data = {} } = device.linkinfo ?? {};
    const mode = MODE_OF[kind]?.(data);
    if (mode === undefined || FALLBACKS.includes(device.ifname) || OURS.test(device.ifname)) continue;
    if (isOn(data["external"])) remarks.push(`${device.ifname}: tunnels by metadata (external) are the kernel's own`);
    else tunnels.push(draftOf(device, mode, data, kernel, netns));
  }
  return { tunnels, remarks };
};
