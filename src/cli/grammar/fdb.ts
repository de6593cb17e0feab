/** `fdb`, in the words of `bridge fdb`. */
import { isSeconds, oneOf } from "./check.ts";
import { DELETE, dev, dst, mac, port, requiredDev, requiredDst, SHOW, via, vni } from "./shared-values.ts";
import type { CommandObject, Verb } from "./table.ts";
import type { Value } from "./value.ts";

const STATES = ["learned", "static", "all"];

const state: Value = {
  key: "state",
  placeholder: "{ learned | static | all }",
  check: oneOf(STATES, "invalid state"),
  choices: STATES,
};
const idle: Value = { key: "idle", placeholder: "SECONDS", check: isSeconds };
const age: Value = { key: "age", placeholder: "SECONDS", check: isSeconds };

const IMPLIED = [["self"], ["permanent", "static"]] as const;
const MASTER = '"master" is the FDB of a Linux bridge, which is not vtepd\'s: use `bridge fdb ... master`';
const REFUSED = {
  master: MASTER,
  dynamic: '"dynamic" entries are learned from frames only: make a static one',
} as const;
const NOT_SELECTING = "does not select an entry to delete: give LLADDR, dev and dst";

const change = (name: string): Verb => ({
  names: [name],
  operand: mac,
  values: [requiredDev, requiredDst, port, vni, via],
  flags: ["sticky"],
  implied: IMPLIED,
  refused: REFUSED,
});

export const fdb: CommandObject = {
  name: "fdb",
  summary: "forwarding database",
  verbs: [
    { names: SHOW, values: [dev] },
    change("add"),
    change("append"),
    change("replace"),
    {
      names: DELETE,
      operand: mac,
      values: [requiredDev, dst],
      implied: IMPLIED,
      refused: {
        master: MASTER,
        port: `"port" ${NOT_SELECTING}`,
        vni: `"vni" ${NOT_SELECTING}`,
        via: `"via" ${NOT_SELECTING}`,
      },
    },
    {
      names: ["flush"],
      values: [requiredDev, { ...mac, required: false }, dst, port, vni, state, idle, age],
      implied: [["self"]],
      refused: { master: MASTER },
    },
  ],
};
