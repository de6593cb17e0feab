/** `monitor`. */
import type { EventJson } from "../../control/event-routes.ts";
import { eventText } from "../neighbour-text.ts";
import { type Commands, deviceQuery, type Run, wantsJson } from "./call.ts";

/** Until it is interrupted or the daemon ends. Empty lines say that the daemon is alive. */
const monitor: Run = async (call) => {
  const text = (line: string): string => `${wantsJson(call) ? line : eventText(JSON.parse(line) as EventJson)}\n`;
  await call.client.getLines(`/v1/events${deviceQuery(call)}`, (lines) => {
    const events = lines.filter((line) => line !== "");
    if (events.length > 0) call.out(events.map(text).join(""));
  });
};

export const monitorCommands: Commands = { "monitor show": monitor };
