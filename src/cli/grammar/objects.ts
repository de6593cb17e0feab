/** All objects. One that belongs to nobody else's words is a row here, larger ones have a file each. */
import { capture } from "./capture.ts";
import { config } from "./config.ts";
import { fdb } from "./fdb.ts";
import { flood } from "./flood.ts";
import { importing } from "./import.ts";
import { link } from "./link.ts";
import { monitor } from "./monitor.ts";
import { neighbour } from "./neighbour.ts";
import { dev, dst, SHOW } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";
import { trace } from "./trace.ts";
import { tunnel } from "./tunnel.ts";

export const OBJECTS: readonly CommandObject[] = [
  link,
  tunnel,
  fdb,
  flood,
  neighbour,
  { name: "route", summary: "routes of the host that vtepd keeps", verbs: [{ names: SHOW, values: [] }] },
  monitor,
  capture,
  trace,
  { name: "peer", summary: "remote VTEPs", verbs: [{ names: SHOW, values: [dev, dst] }] },
  { name: "drop", summary: "dropped frames by reason", verbs: [{ names: SHOW, values: [dev] }] },
  { name: "stats", summary: "counters", verbs: [{ names: SHOW, values: [dev] }] },
  { name: "status", summary: "the daemon itself", verbs: [{ names: SHOW, values: [] }] },
  config,
  {
    name: "completion",
    summary: "a script for a shell that completes words",
    verbs: ["bash", "zsh", "fish"].map((name) => ({ names: [name], values: [] })),
  },
  importing,
];
