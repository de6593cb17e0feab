/** A route of the host that vtepd keeps, in the JSON of `ip -j route show`, recorded from iproute2 6.1. */
import type { RouteView } from "../dataplane/view.ts";

export interface RouteJson {
  /** A single address stands without its prefix length. */
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  /** A number as text, as it has no name. */
  readonly protocol: string;
  readonly flags: readonly [];
  readonly vtepd: {
    /** The name it stands under in the configuration. */
    readonly tunnel: string;
    /** Through the tunnel, or around it. */
    readonly way: "tunnel" | "direct";
    /** `missing`: somebody has removed it, or its interface is down; it is put back as soon as that is possible. */
    readonly state: "up" | "missing";
  };
}

export const routeJson = ({ tunnel, to, gateway, dev, protocol, isDirect, isPresent }: RouteView): RouteJson => ({
  dst: to.replace(/^([0-9.]+)\/32$|^([0-9a-f:]+)\/128$/, "$1$2"),
  ...(gateway === null ? {} : { gateway }),
  dev,
  protocol: String(protocol),
  flags: [],
  vtepd: { tunnel, way: isDirect ? "direct" : "tunnel", state: isPresent ? "up" : "missing" },
});
