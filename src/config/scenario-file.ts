/**
 * The scenario files, config/*.yaml but the example: each says in the first sentence of its first comment what it shows, and
 * that is what the reference has of it.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface ScenarioFile {
  readonly name: string;
  readonly shows: string;
}

const EXAMPLE = "vtepd.example.yaml";

/** The first sentence of prose; the line for editors is none. */
const firstSentence = (text: string): string => {
  const prose = text
    .split("\n")
    .filter((line) => line.startsWith("# ") && !line.startsWith("# yaml-language-server:"))
    .map((line) => line.slice(2))
    .join(" ");
  return /^.*?(?=\.(?: |$)|$)/.exec(prose)![0];
};

export const scenarioFiles = (folder: URL): ScenarioFile[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".yaml") && name !== EXAMPLE)
    .sort()
    .map((name) => ({ name, shows: firstSentence(readFileSync(new URL(name, folder), "utf8")) }));
