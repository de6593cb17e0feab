/** What each command asks of the daemon and prints: every object and verb of the grammar. */
import { attachCommands } from "./attach.ts";
import type { Commands } from "./call.ts";
import { captureCommands } from "./capture.ts";
import { completionCommands } from "./completion.ts";
import { configCommands } from "./config.ts";
import { fdbCommands } from "./fdb.ts";
import { floodCommands } from "./flood.ts";
import { importCommands } from "./import.ts";
import { linkCommands } from "./link.ts";
import { monitorCommands } from "./monitor.ts";
import { neighbourCommands } from "./neighbour.ts";
import { peerCommands } from "./peer.ts";
import { routeCommands } from "./route.ts";
import { statsCommands } from "./stats.ts";
import { traceCommands } from "./trace.ts";
import { tunnelCommands } from "./tunnel.ts";

export const COMMANDS: Commands = {
  ...linkCommands,
  ...tunnelCommands,
  ...attachCommands,
  ...fdbCommands,
  ...floodCommands,
  ...neighbourCommands,
  ...routeCommands,
  ...monitorCommands,
  ...captureCommands,
  ...traceCommands,
  ...peerCommands,
  ...statsCommands,
  ...configCommands,
  ...completionCommands,
  ...importCommands,
};
