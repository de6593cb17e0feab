/** `monitor`. */
import type { EventJson } from "../../control/event-routes.ts";
import { EVENT_GROUPS } from "../../dataplane/event-view.ts";
import { type Times, timedEventText } from "../event-text.ts";
import { type Call, type Commands, deviceQuery, type Run, wantsJson } from "./call.ts";

const timesOf = ({ options }: Call): Times => {
  if (options.has("tshort")) return "short";
  return options.has("timestamp") ? "long" : "none";
};

/** Until it is interrupted or the daemon ends. Empty lines say that the daemon is alive. @param kind undefined = all */
const monitor =
  (kind: string | undefined): Run =>
  async (call) => {
    const times = timesOf(call);
    const text = (line: string): string =>
      `${wantsJson(call) ? line : timedEventText(JSON.parse(line) as EventJson, times)}\n`;
    const query = deviceQuery(call);
    const narrowed = kind === undefined ? query : `${query === "" ? "?" : `${query}&`}kind=${kind}`;
    await call.client.getLines(`/v1/events${narrowed}`, (lines) => {
      const events = lines.filter((line) => line !== "");
      if (events.length > 0) call.out(events.map(text).join(""));
    });
  };

export const monitorCommands: Commands = {
  "monitor all": monitor(undefined),
  ...Object.fromEntries(EVENT_GROUPS.map((kind) => [`monitor ${kind}`, monitor(kind)])),
};
