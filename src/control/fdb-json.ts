/**
 * An FDB entry in the JSON of `bridge -s -j fdb show`, recorded from iproute2 6.1 (where the underlay interface of an
 * entry is called `viaIf`). Keys stand in iproute2's order. `used` and `updated` are always there.
 */
import type { FdbEntryView } from "../dataplane/view.ts";

export interface FdbJson {
  readonly mac: string;
  /** The tunnel; absent when the dump is of one tunnel, as in iproute2. */
  readonly ifname?: string;
  readonly dst: string;
  readonly port?: number;
  readonly vni?: number;
  readonly viaIf?: string;
  /** Seconds since the entry was last hit, and since it was made or moved. */
  readonly used: number;
  readonly updated: number;
  readonly flags: readonly ["self"] | readonly ["self", "sticky"];
  /** `permanent` = static; empty = learned. */
  readonly state: "permanent" | "";
  /** Who made it, and the host name it was made with. */
  readonly vtepd?: { readonly owner: "config" | "control" | "learned"; readonly name?: string };
}

export const fdbJson = (entry: FdbEntryView, withDevice: boolean): FdbJson => ({
  mac: entry.mac,
  ...(withDevice ? { ifname: entry.dev } : {}),
  dst: entry.dst,
  ...(entry.port === undefined ? {} : { port: entry.port }),
  ...(entry.vni === undefined ? {} : { vni: entry.vni }),
  // A kernel vxlan device learns no interface, so iproute2 never shows one on a learned entry.
  ...(entry.via === undefined || entry.origin === "learned" ? {} : { viaIf: entry.via }),
  used: entry.usedS,
  updated: entry.updatedS,
  flags: entry.sticky === true ? ["self", "sticky"] : ["self"],
  state: entry.origin === "static" ? "permanent" : "",
  vtepd: { owner: entry.owner, ...(entry.name === undefined ? {} : { name: entry.name }) },
});
