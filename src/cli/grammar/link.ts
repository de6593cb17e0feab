/** `link`, in the words of `ip link`. */
import { dev, requiredDev, SHOW } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";

export const link: CommandObject = {
  name: "link",
  summary: "tunnels",
  verbs: [
    { names: SHOW, operand: dev, values: [] },
    { names: ["rekey"], operand: requiredDev, values: [] },
  ],
};
