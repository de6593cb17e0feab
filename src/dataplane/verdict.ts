/** What classification decided for a frame (FRAME_VERDICT); FRAME_TARGET and FRAME_BD say where. */

/** Counted by its reason already, or held (unknown-vteps.ts): nothing more happens in this batch. */
export const DISCARD = 0;
/** Overlay to underlay: one copy to the remote VTEP in FRAME_TARGET. */
export const UNICAST = 1;
/** Overlay to underlay: a copy to each member of the bridge domain's flood list. */
export const FLOOD = 2;
/** Underlay to overlay: to the access port in FRAME_TARGET. Never to a remote VTEP: split horizon. */
export const DELIVER = 3;
/** Underlay to underlay, and made here: a GRE keepalive, back to the remote VTEP in FRAME_TARGET as it is. */
export const ECHO = 4;
