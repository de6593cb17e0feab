/** All types of tunnels. */
import type { LinkType } from "./link-type.ts";
import { IP_TYPES } from "./type-ip.ts";
import { geneve, vxlan } from "./type-udp.ts";

export const LINK_TYPES: readonly LinkType[] = [vxlan, geneve, ...IP_TYPES];

/** The type that a mode of the configuration is of. */
export const typeOfMode = (mode: string): LinkType | undefined => LINK_TYPES.find(({ modes }) => modes.includes(mode));
