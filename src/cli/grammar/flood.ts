/** `flood`: the flood list, which `bridge` has as entries of the zero MAC. */
import { DELETE, port, requiredDev, requiredDst, SHOW, via, vni } from "./shared-values.ts";
import type { CommandObject } from "./table.ts";

export const flood: CommandObject = {
  name: "flood",
  summary: "flood list",
  verbs: [
    { names: SHOW, operand: requiredDev, values: [] },
    { names: ["add"], operand: requiredDev, values: [requiredDst, port, vni, via] },
    { names: DELETE, operand: requiredDev, values: [requiredDst, port, vni, via] },
    { names: ["set"], operand: requiredDev, values: [], list: [requiredDst, port, vni, via] },
  ],
};
