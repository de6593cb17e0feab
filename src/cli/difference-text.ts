/** What differs between two configurations, as text: a line for each tunnel and each key. */
import type { ChangedKeys, Difference } from "../dataplane/desired-view.ts";

const valueText = (value: unknown): string => {
  if (value === undefined || value === null) return "default";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
};

const keyLines = (prefix: string, keys: ChangedKeys): string[] =>
  Object.entries(keys).map(([key, { from, to }]) => `${prefix}${key}: ${valueText(from)} -> ${valueText(to)}`);

/** `+` is new, `-` goes, `~` changes in place, `!` is made anew. Lines with their newlines. */
export const differenceText = ({ added, removed, changed, remade, unchanged, daemon }: Difference): string =>
  [
    ...removed.map((name) => `- ${name}`),
    ...added.map((name) => `+ ${name}`),
    ...Object.entries(changed).flatMap(([name, keys]) => [
      remade.includes(name) ? `! ${name} (made anew)` : `~ ${name}`,
      ...keyLines("    ", keys),
    ]),
    ...(Object.keys(daemon).length === 0 ? [] : ["~ daemon (at its next start)", ...keyLines("    ", daemon)]),
    `unchanged ${unchanged}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
