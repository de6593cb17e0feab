/**
 * The words of contradictions that are found at load and over the control socket alike: a request is refused in the words
 * that the file would be refused in. Whoever reports one puts the path before it, and behind a colon where the other value
 * stands.
 */
import ipaddr from "ipaddr.js";
import { AF_INET, AF_INET6 } from "../binding/abi.ts";
import { isHostName } from "../dataplane/host-name.ts";
import type { Mode } from "../tunnel/mode.ts";
import type { TunnelConfig } from "./config.ts";

/** What remote VTEPs must agree with. */
export interface Underlay {
  readonly locals: readonly string[];
  /** Interface that the tunnel is pinned to. */
  readonly link?: string | undefined;
}

export interface Contradiction {
  readonly message: string;
  /** The local address that it is with. */
  readonly local?: string;
}

export const family = (address: string): "IPv4" | "IPv6" => (address.includes(":") ? "IPv6" : "IPv4");

const isLinkLocal = (address: string): boolean =>
  family(address) === "IPv6" && ipaddr.parse(address).range() === "linkLocal";

/** Of a remote VTEP with what its tunnel stands on. */
export const remoteContradiction = (address: string, { locals }: Underlay): Contradiction | undefined => {
  const [local] = locals;
  if (local === undefined || isHostName(address)) return undefined;
  if (locals.includes(address)) {
    return { message: `expected a remote VTEP, got ${address}, which is our own`, local: address };
  }
  if (locals.some((other) => family(other) === family(address))) return undefined;
  const wanted = `expected an ${family(local)} address as the local address ${local} is one, got ${address}`;
  return { message: `${wanted}; \`local\` may be a list with an address of each family`, local };
};

/** Of a local or a remote VTEP with no interface. */
export const linkContradiction = (address: string, { link }: Underlay): Contradiction | undefined =>
  link === undefined && isLinkLocal(address)
    ? { message: `expected \`link\` beside a link-local address, got ${address} and no interface to use it on` }
    : undefined;

/** Whether it has no source port but the one that it receives on. */
export const sendsFromOwnPort = ({ sourcePorts, port }: Pick<TunnelConfig, "sourcePorts" | "port">): boolean =>
  sourcePorts !== undefined && sourcePorts.first === port && sourcePorts.last === port;

/** Of an underlay interface that an FDB entry names with its tunnel. */
export const viaContradiction = (via: string, tunnel: TunnelConfig): string | undefined => {
  const { name, netns, underlayNetns, port } = tunnel;
  if (sendsFromOwnPort(tunnel)) {
    return `expected source ports other than ${port} beside \`via\`, because the sockets that receive are bound to no interface, got ${via}`;
  }
  const isOwn = via === name && netns === undefined && underlayNetns === undefined;
  return isOwn ? ownDevice(via) : undefined;
};

export const ownDevice = (name: string): string =>
  `expected an underlay interface, got ${name}, the device of the tunnel itself`;

const FAMILY_NAMES: Readonly<Record<number, "IPv4" | "IPv6">> = { [AF_INET]: "IPv4", [AF_INET6]: "IPv6" };

/** Of an underlay address with the tunnel's mode. */
export const modeContradiction = (address: string, { name, families }: Mode): string | undefined => {
  const names = families.map((number) => FAMILY_NAMES[number]);
  if (isHostName(address) || names.includes(family(address))) return undefined;
  return `expected an ${names.join(" or ")} address as mode ${name} is over ${names.join(" or ")}, got ${address}`;
};

/** Of two tunnels without a VNI. @param remote canonical address, or `anybody` */
export const peerTwice = (remote: string, place: string): string =>
  `expected one tunnel for such packets from ${remote} on ${place}, got another`;

/** Of two tunnels on one socket with headers of different formats. @param socket in words, as for vniTwice */
export const headerTwice = (socket: string): string =>
  `expected one format of tunnel header on ${socket}, got another than`;

/** Of an entry or a member with a tunnel of IP packets, or of mirrored frames; in the file they have no such key. */
export const noFdb = (mode: string): string => `expected a tunnel with an FDB, got one of mode ${mode}, which has none`;

export const memberTwice = (address: string): string =>
  `expected each member of the flood list once, got ${address} again`;

export const macTwice = (mac: string): string => `expected each MAC once, got ${mac} again`;

export const addressTwice = (address: string): string => `expected each address once, got ${address} again`;

export const NEIGHBOURS_FOR_NOTHING =
  "expected `arp-proxy: true` or `notifications: [l3-miss]` beside neighbours, which are for nothing else";

export const STICKY_MEMBER =
  "expected a sticky entry for a MAC that a station can have, got one for a member of the flood list";

export const ownMac = (mac: string): string =>
  `expected the MAC of another station, got ${mac}, which is the device's own`;

/** @param socket in words, e.g. `port 4789 and local address 192.0.2.1` */
export const vniTwice = (vni: number, socket: string): string =>
  `expected a VNI of its own on ${socket}, got ${vni} again`;
