/** The help of vtepctl, made from the grammar. */

import type { LinkType } from "./grammar/link-type.ts";
import { OBJECTS } from "./grammar/objects.ts";
import { OPTIONS, type Option } from "./grammar/options.ts";
import type { CommandObject, Verb } from "./grammar/table.ts";
import type { Value } from "./grammar/value.ts";
import { wordText } from "./type-words.ts";

const PREFIX = "Usage: ";

const optional = (text: string, required = false): string => (required ? text : `[ ${text} ]`);

const valueText = ({ key, placeholder, required, isList }: Value): string =>
  optional(`${key} ${placeholder}`, required) + (isList === true ? "..." : "");

const words = ({
  operand,
  repeats,
  values,
  list,
  flags = [],
  implied = [],
  types,
  needsType,
  mixed,
}: Verb): string[] => [
  ...(operand === undefined
    ? []
    : [optional(operand.placeholder, operand.required), ...(repeats === true ? ["..."] : [])]),
  ...values.map(valueText),
  ...(list === undefined ? [] : [`{ none | ${list.map(valueText).join(" ")} ... }`]),
  ...flags.map((flag) => optional(flag)),
  ...implied.map((alternatives) => optional(alternatives.join(" | "))),
  ...(types === undefined ? [] : [optional("type TYPE ARGS", needsType)]),
  ...(mixed === undefined ? [] : [optional("ARGS")]),
];

/** Verbs that take the same words share a line. */
export const objectLines = ({ name, verbs, isVerb, foreign }: CommandObject): string[] => {
  if (foreign !== undefined) return [`vtepctl ${name} ${foreign}`];
  if (isVerb === true) return verbs.map((verb) => ["vtepctl", name, ...words(verb)].join(" "));
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

const typeList = (types: readonly LinkType[]): string =>
  `\nTYPE is one of ${types.map(({ name }) => name).join(", ")}; "vtepctl link help TYPE" has its ARGS.\n`;

const MIXED = '\nARGS are those of the type in `link add`, e.g. "vtepctl link help gre".\n';

export const objectHelp = (object: CommandObject): string => {
  const types = object.verbs.find((verb) => verb.types !== undefined)?.types;
  const isMixed = object.verbs.some(({ mixed }) => mixed !== undefined);
  return usage(objectLines(object)) + (types === undefined ? "" : typeList(types)) + (isMixed ? MIXED : "");
};

/** The words of one type, one a line as `ip link help TYPE` has them. */
export const typeHelp = ({ name, words: all }: LinkType): string => {
  const known = all.filter(({ refused }) => refused === undefined).map((word) => `\t\t[ ${wordText(word)} ]\n`);
  const reasons = all
    .filter(({ refused }) => refused !== undefined)
    .map((word) => [word.names[0]!, word.refused!] as const);
  const without = reasons.length === 0 ? "" : `\nNot supported:\n${table(reasons)}`;
  return `${PREFIX}... type ${name}\n${known.join("")}${without}`;
};

export const optionText = ({ name, shortest, value }: Option): string => {
  const rest = name.slice(shortest);
  return `-${name.slice(0, shortest)}${rest === "" ? "" : `[${rest}]`}${value === undefined ? "" : ` ${value}`}`;
};

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
};

export const generalHelp = (): string =>
  [
    usage(["vtepctl [ OPTIONS ] OBJECT { COMMAND | help }", ...OBJECTS.flatMap(objectLines)]),
    "\nObjects and commands may be shortened as long as they are unique.\n",
    table(OBJECTS.map(({ name, summary }) => [name, summary])),
    "\nOptions stand before the object.\n",
    table(OPTIONS.map((option) => [optionText(option), option.summary])),
    "\nExit status: 0 done, 1 wrong command line, 2 refused by the daemon or no daemon.\n",
  ].join("");
