/** Mode `ip6erspan`: frames that a switch or a kernel mirrors to us in ERSPAN, over IPv6. */
import { AF_INET6 } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "ip6erspan",
  meaning: "ERSPAN I, II and III (mirrored frames), over IPv6; received only",
  payloads: ["ethernet"],
  isMirror: true,
  families: [AF_INET6],
  keys: [...COMMON_KEYS, "session", "macaddress"],
  required: [],
};
