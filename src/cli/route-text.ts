/** A route as a line of `ip route show`, and what is ours behind it. */
import type { RouteJson } from "../control/route-json.ts";

/** No newline. */
export const routeText = ({ dst, gateway, dev, protocol, vtepd }: RouteJson): string => {
  const words = [dst, ...(gateway === undefined ? [] : ["via", gateway]), "dev", dev, "proto", protocol];
  return [...words, "vtepd", "tunnel", vtepd.tunnel, "way", vtepd.way, "state", vtepd.state].join(" ");
};
