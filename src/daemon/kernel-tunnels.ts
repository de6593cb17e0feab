/**
 * Tunnels whose packets the host's kernel takes, too (host/kernel-tunnels.ts): vtepd receives them all the same, but remote
 * VTEPs get ICMP errors, and with a device of the kernel's that fits, each packet arrives twice. That is said once at the
 * start, with the cure, and shown with the tunnel. Dropping in the host's input chain is one: packet sockets come before it.
 */
import type { Logger } from "pino";
import { kernelTunnelModules } from "../host/kernel-tunnels.ts";
import type { Tunnel } from "./tunnel.ts";

interface Taken {
  readonly modules: readonly string[];
  readonly protocol: number;
  readonly local: string;
}

const taken = ({ endpoints }: Tunnel): Taken[] =>
  endpoints.all
    .flatMap(({ receivers }) => receivers.map(({ spec }) => spec))
    .map(({ address, protocol }) => {
      return { modules: kernelTunnelModules(address.family, protocol), protocol, local: address.text };
    })
    .filter(({ modules }) => modules.length > 0);

/** Modules that take what is for the tunnel, too. */
export const kernelModulesOf = (tunnel: Tunnel): string[] => [
  ...new Set(taken(tunnel).flatMap(({ modules }) => modules)),
];

const cureOf = ({ modules, protocol, local }: Taken): string => {
  const family = local.includes(":") ? "ip6" : "ip";
  const table = `add table ${family} vtepd; add chain ${family} vtepd input { type filter hook input priority 0; };`;
  const rule = `add rule ${family} vtepd input ${family} daddr ${local} meta l4proto ${protocol} drop`;
  return `\`modprobe -r ${modules.join(" ")}\`, or \`nft '${table} ${rule}'\``;
};

/** One line for each local address and protocol, with all tunnels on it. */
export const warnOfKernelTunnels = (tunnels: Iterable<Tunnel>, log: Logger): void => {
  const lines = new Map<string, { readonly links: string[]; readonly modules: readonly string[] }>();
  for (const tunnel of tunnels) {
    for (const found of taken(tunnel)) {
      const cure = cureOf(found);
      const line = lines.get(cure) ?? { links: [], modules: found.modules };
      line.links.push(tunnel.config.name);
      lines.set(cure, line);
    }
  }
  for (const [cure, { links, modules }] of lines) {
    log.warn({ links, modules, cure }, "the kernel's own tunnels take these packets, too, and answer with ICMP errors");
  }
};
