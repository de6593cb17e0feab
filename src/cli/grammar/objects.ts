/** All objects. One that belongs to nobody else's words is a row here, larger ones have a file each. */
import { attach, detach } from "./attach.ts";
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

const front = (name: string, summary: string, foreign: string): CommandObject => ({
  name,
  summary,
  verbs: [],
  foreign,
});

export const OBJECTS: readonly CommandObject[] = [
  link,
  tunnel,
  attach,
  detach,
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
  front("ip", "a whole line of `ip`: what concerns a tunnel is done here, the rest by the real `ip`", "..."),
  front("bridge", "the same for `bridge`", "..."),
  front("brctl", "the real `brctl`, or where there is none its words by `ip`", "..."),
  front("shim", "makes wrappers `ip`, `bridge` and `brctl` in a folder, to be put first in PATH", "[ --remove ] DIR"),
  { name: "status", summary: "the daemon itself", verbs: [{ names: SHOW, values: [] }] },
  config,
  {
    name: "completion",
    summary: "a script for a shell that completes words",
    verbs: ["bash", "zsh", "fish"].map((name) => ({ names: [name], values: [] })),
  },
  importing,
];
