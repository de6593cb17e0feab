/** What an import has of a tunnel: its settings as in the configuration file, and what of it has no equal there. */
import { isIP, isIPv6 } from "node:net";
import { MODES } from "../../tunnel/modes.ts";

export type Settings = Record<string, unknown>;

export class TunnelDraft {
  readonly name: string;
  readonly settings: Settings = {};
  /** What the settings do not say, for a comment. */
  readonly notes: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** Undefined leaves the key out. */
  set(key: string, value: unknown): void {
    if (value !== undefined) this.settings[key] = value;
  }

  note(text: string): void {
    this.notes.push(text);
  }

  get mode(): string {
    return String(this.settings["mode"]);
  }

  /** Whether the mode has a key. */
  has(key: string): boolean {
    return MODES.get(this.mode)?.keys.includes(key) === true;
  }

  add(key: string, item: unknown): void {
    const list = (this.settings[key] as unknown[] | undefined) ?? [];
    list.push(item);
    this.settings[key] = list;
  }

  get remote(): string | undefined {
    return this.settings["remote"] as string | undefined;
  }
}

export interface Imported {
  readonly tunnels: readonly TunnelDraft[];
  /** Tunnels, and what belongs to them, that could not be taken over at all. */
  readonly remarks: readonly string[];
}

/** Over IPv4 the kernel's GRE, IPIP and SIT take the inner TTL and set DF, over IPv6 they have a hop limit of their own. */
const IN_IPV4: readonly string[] = ["gre", "gretap", "ipip", "sit", "6to4", "6rd", "isatap"];
const IN_IPV6: readonly string[] = ["ip6gre", "ip6gretap", "ip6ip6", "ipip6", "ip6tnl"];
const HOP_LIMIT = 64;

/** The kernel's defaults where they are not ours. A `ttl` of 0 means its default. */
export const kernelDefaults = (draft: TunnelDraft): void => {
  const { settings } = draft;
  if (settings["ttl"] === 0) delete settings["ttl"];
  if (IN_IPV4.includes(draft.mode)) {
    settings["ttl"] ??= "inherit";
    settings["do-not-fragment"] ??= true;
  }
  if (IN_IPV6.includes(draft.mode)) settings["ttl"] ??= HOP_LIMIT;
};

const isMulticast = (address: string): boolean =>
  isIPv6(address) ? /^ff/i.test(address) : /^2(2[4-9]|3\d)\./.test(address);

/** A remote VTEP or a group; `any` and the unspecified address are none. */
export const setRemote = (draft: TunnelDraft, text: string | undefined): void => {
  if (text === undefined || ["any", "0.0.0.0", "::"].includes(text)) return;
  draft.set(isMulticast(text) ? "group" : "remote", text);
};

export const setLocal = (draft: TunnelDraft, text: string | undefined): void => {
  if (text === undefined || ["any", "0.0.0.0", "::"].includes(text)) return;
  if (isIP(text) !== 0) draft.set("local", text);
  else draft.note(`local ${text}: give the address itself, or leave it to the route`);
};

export interface Route {
  /** `network/prefix`, an address, or `default`. */
  readonly to: string;
  readonly via: string | undefined;
  /** What else it says. */
  readonly more: readonly string[];
}

const networkOf = ({ to }: Route): string => (to.includes("/") ? to : `${to}/${isIPv6(to) ? 128 : 32}`);
/** What is in no network goes to the remote VTEP anyway; that the host sends it there is the host's business. */
const isDefault = ({ to }: Route): boolean => to === "default" || to.endsWith("/0");

const carries = (draft: TunnelDraft, network: string): boolean => {
  const payloads = MODES.get(draft.mode)?.payloads ?? [];
  return payloads.includes("ethernet") || payloads.includes(network.includes(":") ? "ipv6" : "ipv4");
};

/** A route through the device: ours say which remote VTEP it leads to, which has to be the only one. */
export const addRoute = (draft: TunnelDraft, route: Route): void => {
  const network = networkOf(route);
  const text = ["route", route.to, ...(route.via === undefined ? [] : ["via", route.via]), ...route.more].join(" ");
  const isRouted = draft.has("routes") && draft.remote !== undefined && isIP(draft.remote) !== 0;
  if (isDefault(route) || !isRouted || !carries(draft, network) || route.more.length > 0) {
    draft.note(
      `${text}: ip route add ${route.to}${route.via === undefined ? "" : ` via ${route.via}`} dev ${draft.name}`,
    );
    return;
  }
  const isEthernet = MODES.get(draft.mode)?.payloads.includes("ethernet") === true;
  const gateway = isEthernet && route.via !== undefined ? { gateway: route.via } : {};
  draft.add("routes", { to: network, via: draft.remote, ...gateway });
};

/** What depends on the whole: 6to4 is a sit without a remote VTEP, and the kernel's VXLAN hears anybody. */
export const finish = (draft: TunnelDraft): void => {
  const { settings } = draft;
  if (draft.mode === "sit" && settings["remote"] === undefined && settings["group"] === undefined) {
    settings["mode"] = "6to4";
  }
  kernelDefaults(draft);
  for (const key of Object.keys(settings)) {
    if (key === "mode" || draft.has(key)) continue;
    draft.note(`${key} ${JSON.stringify(settings[key])}: mode ${draft.mode} has no such key`);
    delete settings[key];
  }
  if (!["vxlan", "geneve"].includes(draft.mode)) return;
  const hasRemotes = ["remote", "group", "flood", "fdb"].some((key) => settings[key] !== undefined);
  if (!hasRemotes) draft.set("accept", "any");
  else if (draft.mode === "vxlan" && settings["group"] === undefined) {
    draft.note("the kernel takes frames of any VTEP, vtepd those of the ones named here unless `accept: any`");
  }
};

/** What netplan, networkd and people write for a flag. */
export const flagOf = (value: unknown): boolean =>
  ["true", "yes", "on", "y", "1"].includes(String(value).toLowerCase());

/** A number if it is one. */
export const numberOr = (value: unknown): unknown =>
  typeof value === "string" && /^(\d+|0x[0-9a-f]+)$/i.test(value) ? Number(value) : value;
