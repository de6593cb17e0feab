/** Gives the tunnels' devices their addresses, with one `ip` process for each network namespace. */
import type { TunnelConfig } from "../config/schema.ts";
import { batchIp } from "../host/iproute.ts";

/** @throws ERR_HOST_COMMAND */
export const assignAddresses = async (tunnels: readonly TunnelConfig[]): Promise<void> => {
  const byNamespace = new Map<string | undefined, string[]>();
  for (const { name, netns, addresses } of tunnels) {
    const lines = addresses.map((address) => `addr replace ${address} dev ${name}`);
    byNamespace.set(netns, [...(byNamespace.get(netns) ?? []), ...lines]);
  }
  for (const [netns, lines] of byNamespace) await batchIp(lines, netns);
};
