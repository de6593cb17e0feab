/** Mode `host-gw`: no tunnel, but routes of the host to remote networks by next hops on one link, under the name of a tunnel. */
import { z } from "zod";
import type { HostGatewayConfig } from "./config.ts";
import { key, listOf, map } from "./map.ts";
import { type KeyPath, pathText } from "./problem.ts";
import { route } from "./route.ts";
import { interfaceName } from "./value.ts";

export const HOST_GATEWAY = "host-gw";

const routes = (): z.ZodType<HostGatewayConfig["routes"]> => {
  const given = listOf(route("Network behind the next hop.", "Next hop, on the link itself."));
  return given as unknown as z.ZodType<HostGatewayConfig["routes"]>;
};

export const hostGatewaySchema: z.ZodType<Omit<HostGatewayConfig, "name">> = map({
  mode: key(
    z.literal(HOST_GATEWAY).meta({ title: `\`${HOST_GATEWAY}\`` }),
    "No tunnel: routes of the host to remote networks. They are put back when they vanish, and removed at the end.",
    { examples: [HOST_GATEWAY] },
  ),
  link: key(interfaceName(), "Interface that the next hops are on.", { examples: ["eth0"] }),
  routes: key(routes(), "Remote networks, each with its next hop. What the host had for the same network is replaced."),
}).transform(({ link, routes: given }) => ({ link, routes: given }));

const isIpv6 = (text: string): boolean => text.includes(":");

/** Each network once, with a next hop of its own family. @param report told of each problem with its place */
export const checkHostGateways = (
  gateways: readonly HostGatewayConfig[],
  report: (path: KeyPath, message: string) => void,
): void => {
  const owners = new Map<string, KeyPath>();
  for (const { name, routes: given } of gateways) {
    for (const [index, { to, via }] of given.entries()) {
      const path = ["tunnels", name, "routes", index];
      const owner = owners.get(to);
      if (owner === undefined) owners.set(to, path);
      else report([...path, "to"], `expected each network once, got ${to} again: ${pathText(owner)}`);
      if (isIpv6(to) === isIpv6(via)) continue;
      report([...path, "via"], `expected a next hop of the family of ${to}, got ${via}`);
    }
  }
};
