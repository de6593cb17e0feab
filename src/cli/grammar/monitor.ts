/** `monitor`: a verb for each group of events. */
import { EVENT_GROUPS } from "../../dataplane/event-view.ts";
import { dev, SHOW } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";

export const monitor: CommandObject = {
  name: "monitor",
  summary: "what happens, as it happens",
  verbs: [
    { names: ["all", ...SHOW], values: [dev] },
    ...EVENT_GROUPS.map((name) => ({ names: [name], values: [dev] })),
  ],
};
