/** All that can be imported from, and the text that it becomes. */
export { importLive } from "./live.ts";
export { importNetplan } from "./netplan.ts";
export { importNetworkd } from "./networkd.ts";
export { importText } from "./yaml-text.ts";
