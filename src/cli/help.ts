/** The help of vtepctl, made from the grammar. */
import { OBJECTS } from "./grammar/objects.ts";
import { OPTIONS, type Option } from "./grammar/options.ts";
import type { CommandObject, Verb } from "./grammar/table.ts";
import type { Value } from "./grammar/value.ts";

const PREFIX = "Usage: ";

const optional = (text: string, required = false): string => (required ? text : `[ ${text} ]`);

const valueText = ({ key, placeholder, required }: Value): string => optional(`${key} ${placeholder}`, required);

const words = ({ operand, values, list, flags = [], implied = [] }: Verb): string[] => [
  ...(operand === undefined ? [] : [optional(operand.placeholder, operand.required)]),
  ...values.map(valueText),
  ...(list === undefined ? [] : [`{ none | ${list.map(valueText).join(" ")} ... }`]),
  ...flags.map((flag) => optional(flag)),
  ...implied.map((alternatives) => optional(alternatives.join(" | "))),
];

/** Verbs that take the same words share a line. */
const lines = ({ name, verbs }: CommandObject): string[] => {
  const byWords = new Map<string, string[]>();
  for (const verb of verbs) {
    const key = words(verb).join(" ");
    byWords.set(key, [...(byWords.get(key) ?? []), verb.names[0]!]);
  }
  return Array.from(byWords, ([rest, names]) => {
    const verb = names.length === 1 ? names[0]! : `{ ${names.join(" | ")} }`;
    const isImplied = names.includes(verbs[0]!.names[0]!);
    const tail = rest === "" ? "" : ` ${rest}`;
    return isImplied ? `vtepctl ${name} [ ${verb}${tail} ]` : `vtepctl ${name} ${verb}${tail}`;
  });
};

const usage = (all: readonly string[]): string =>
  `${all.map((line, index) => (index === 0 ? PREFIX : " ".repeat(PREFIX.length)) + line).join("\n")}\n`;

export const objectHelp = (object: CommandObject): string => usage(lines(object));

const optionText = ({ name, shortest, value }: Option): string => {
  const rest = name.slice(shortest);
  return `-${name.slice(0, shortest)}${rest === "" ? "" : `[${rest}]`}${value === undefined ? "" : ` ${value}`}`;
};

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
};

export const generalHelp = (): string =>
  [
    usage(["vtepctl [ OPTIONS ] OBJECT { COMMAND | help }", ...OBJECTS.flatMap(lines)]),
    "\nObjects and commands may be shortened as long as they are unique.\n",
    table(OBJECTS.map(({ name, summary }) => [name, summary])),
    "\nOptions stand before the object.\n",
    table(OPTIONS.map((option) => [optionText(option), option.summary])),
    "\nExit status: 0 done, 1 wrong command line, 2 refused by the daemon or no daemon.\n",
  ].join("");
