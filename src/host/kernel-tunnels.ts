/**
 * The host kernel's own tunnels, where it has them. A module that is loaded takes its IP protocol in every network namespace,
 * beside whoever receives through packet sockets: without a device of its own for a packet it answers "port unreachable".
 *
 * /sys/module tells: a loaded module always has a folder there, and a built-in one has when it has parameters, as all of
 * these but tunnel4 and tunnel6 do. Those two have no devices, and answer for ipip, sit and ip6_tunnel when these are not loaded.
 */
import { existsSync } from "node:fs";
import { AF_INET } from "../binding/abi.ts";
import { PROTOCOL_GRE, PROTOCOL_IPIP, PROTOCOL_IPV6 } from "../wire/underlay-headers.ts";

const OVER_IPV4: ReadonlyMap<number, readonly string[]> = new Map([
  [PROTOCOL_GRE, ["ip_gre"]],
  [PROTOCOL_IPIP, ["ipip", "tunnel4"]],
  [PROTOCOL_IPV6, ["sit", "tunnel4"]],
]);
const OVER_IPV6: ReadonlyMap<number, readonly string[]> = new Map([
  [PROTOCOL_GRE, ["ip6_gre"]],
  [PROTOCOL_IPIP, ["ip6_tunnel", "tunnel6"]],
  [PROTOCOL_IPV6, ["ip6_tunnel", "tunnel6"]],
]);

const MODULES = "/sys/module";

/** Names of loaded modules that take an IP protocol. @param family AF_* of the underlay */
export const kernelTunnelModules = (family: number, protocol: number): string[] =>
  ((family === AF_INET ? OVER_IPV4 : OVER_IPV6).get(protocol) ?? []).filter((name) => existsSync(`${MODULES}/${name}`));
