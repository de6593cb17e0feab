/** Routes of a tunnel that carries IP packets: how they are written, and what they cannot be with. */
import ipaddr from "ipaddr.js";
import { z } from "zod";
import { canonicalIp, hasZone, parseIp } from "../dataplane/vtep-text.ts";
import { modeOf } from "../tunnel/modes.ts";
import { vtepAddress } from "./address.ts";
import type { RouteConfig, TunnelConfig } from "./config.ts";
import { key, listOf, map } from "./map.ts";
import type { ConflictReport, KeyPath } from "./problem.ts";

const NETWORK = "a network with its prefix length, such as 10.2.0.0/16 or fd00:2::/64";

type Ip = ipaddr.IPv4 | ipaddr.IPv6;

const networkAddress = (text: string): Ip =>
  text.includes(":") ? ipaddr.IPv6.networkAddressFromCIDR(text) : ipaddr.IPv4.networkAddressFromCIDR(text);

/** The network that an interface with this address is in, canonical. @param address canonical `address/prefix` */
export const networkOf = (address: string): string =>
  `${canonicalIp(networkAddress(address))}/${address.slice(address.indexOf("/") + 1)}`;

/** What stands for a network that is not one; `undefined` = no more to say. */
const readNetwork = (text: string): { network: string } | { hint: string | undefined } => {
  const [address = "", prefix, ...more] = text.split("/");
  const ip = parseIp(address);
  if (ip === undefined || more.length > 0 || hasZone(ip)) return { hint: undefined };
  const bits = ip.kind() === "ipv4" ? 32 : 128;
  if (prefix === undefined) return { hint: `the prefix length is missing; a single address has /${bits}` };
  if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) return { hint: `a prefix length is 0 to ${bits}` };
  if (prefix === "0") return { hint: "all other packets go to `remote`" };
  const given = `${canonicalIp(ip)}/${prefix}`;
  const network = networkOf(given);
  return network === given ? { network } : { hint: `the network is ${network}` };
};

/** Bits behind the prefix are 0. */
export const network = (): z.ZodType<string, string> =>
  z
    .string({ error: NETWORK })
    .transform((text, context) => {
      const read = readNetwork(text);
      if ("network" in read) return read.network;
      context.addIssue({ code: "custom", message: NETWORK, params: { hint: read.hint } });
      return z.NEVER;
    })
    .meta({ title: "network/prefix" });

/** @param to, via what they mean */
export const route = (to: string, via: string): z.ZodType<RouteConfig, unknown> =>
  map({
    to: key(network(), to, { examples: ["10.2.0.0/16"] }),
    via: key(vtepAddress(), via, { examples: ["192.0.2.3"] }),
  });

export const routes = (): z.ZodDefault<z.ZodArray<z.ZodType<RouteConfig, unknown>>> => {
  const given = listOf(route("Network of the overlay.", "Remote VTEP that it is behind."));
  return given.default([]) as unknown as z.ZodDefault<z.ZodArray<z.ZodType<RouteConfig, unknown>>>;
};

/** Each network once, of a family that the tunnel carries. */
export const checkRoutes = (tunnel: TunnelConfig, path: KeyPath, conflicts: ConflictReport): void => {
  const { name, payloads } = modeOf(tunnel);
  const owners = new Map<string, KeyPath>();
  for (const [index, { to }] of tunnel.routes.entries()) {
    const place = [...path, "routes", index, "to"];
    const owner = owners.get(to);
    if (owner === undefined) owners.set(to, place);
    else conflicts.report(place, `expected each network once, got ${to} again: ${conflicts.at(owner)}`);
    if (payloads.includes(to.includes(":") ? "ipv6" : "ipv4")) continue;
    const family = to.includes(":") ? "IPv4" : "IPv6";
    conflicts.report(place, `expected an ${family} network as mode ${name} carries ${family}, got ${to}`);
  }
};
