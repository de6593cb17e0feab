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

type Draft = { -readonly [Key in keyof FdbJson]: FdbJson[Key] };

const SELF: FdbJson["flags"] = ["self"];
const STICKY: FdbJson["flags"] = ["self", "sticky"];

/** Key after key, as a dump has 100,000 of them: spreads of objects take four times as long. */
export const fdbJson = (entry: FdbEntryView, withDevice: boolean): FdbJson => {
  const { owner, name } = entry;
  const json = { mac: entry.mac } as Draft;
  if (withDevice) json.ifname = entry.dev;
  json.dst = entry.dst;
  if (entry.port !== undefined) json.port = entry.port;
  if (entry.vni !== undefined) json.vni = entry.vni;
  // A kernel vxlan device learns no interface, so iproute2 never shows one on a learned entry.
  if (entry.via !== undefined && entry.origin !== "learned") json.viaIf = entry.via;
  json.used = entry.usedS;
  json.updated = entry.updatedS;
  json.flags = entry.sticky === true ? STICKY : SELF;
  json.state = entry.origin === "static" ? "permanent" : "";
  json.vtepd = name === undefined ? { owner } : { owner, name };
  return json;
};
