/** `neighbour`, in the words of `ip neigh`. */
import { isAddress, oneOf } from "./check.ts";
import { DELETE, dev, mac, requiredDev, SHOW } from "./shared-values.ts";
import type { CommandObject, Verb } from "./table.ts";
import type { Value } from "./value.ts";

const STATES = ["learned", "all"];

const to: Value = { key: "to", placeholder: "ADDRESS", check: isAddress, required: true };
const state: Value = {
  key: "state",
  placeholder: "{ learned | all }",
  check: oneOf(STATES, "invalid state"),
  choices: STATES,
};

const change = (name: string): Verb => ({
  names: [name],
  operand: to,
  values: [mac, requiredDev],
  flags: ["router"],
  implied: [["nud"], ["permanent"]],
});

export const neighbour: CommandObject = {
  name: "neighbour",
  aliases: ["neighbor"],
  summary: "neighbours, which vtepd answers for",
  verbs: [
    { names: SHOW, values: [dev] },
    change("add"),
    change("replace"),
    { names: DELETE, operand: to, values: [requiredDev] },
    { names: ["flush"], values: [requiredDev, state] },
  ],
};
