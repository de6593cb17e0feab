/** Mode `erspan`: frames that a switch or a kernel mirrors to us in ERSPAN, over IPv4. */
import { AF_INET } from "../binding/abi.ts";
import { GRE } from "./gre-header.ts";
import { COMMON_KEYS } from "./keys.ts";
import type { Mode } from "./mode.ts";

export const mode: Mode = {
  ...GRE,
  name: "erspan",
  meaning: "ERSPAN I, II and III (mirrored frames), over IPv4; received only",
  payloads: ["ethernet"],
  isMirror: true,
  families: [AF_INET],
  keys: [...COMMON_KEYS, "session", "macaddress"],
  required: [],
};
