/**
 * A strict reader of the Prometheus text format 0.0.4, for tests. It refuses what a lenient scraper might let pass:
 * samples without HELP and TYPE, families in two places, the same labels twice, bad escapes, a missing last newline.
 */

interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: ParsedSample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;
const VALUE = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]Inf|NaN)$/i;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"],
};

const parseLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  while (end < text.length) {
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`bad labels at "${text.slice(end)}"`);
    const [, name, value] = match;
    if (name! in labels) throw new Error(`label ${name} twice`);
    labels[name!] = value!.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
    end = LABEL.lastIndex;
  }
  return labels;
};

const parseValue = (text: string): number => {
  if (!VALUE.test(text)) throw new Error(`bad value ${text}`);
  return Number(text.replace("Inf", "Infinity"));
};

export const parseExposition = (text: string): Map<string, ParsedFamily> => {
  if (!text.endsWith("\n")) throw new Error("the last line does not end in a newline");
  const families = new Map<string, ParsedFamily>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let current: ParsedFamily | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) ([^ ]+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (!NAME.test(name!)) throw new Error(`bad name ${name}`);
      if (kind === "HELP") {
        help = { name: name!, text: rest! };
        continue;
      }
      if (help?.name !== name) throw new Error(`TYPE of ${name} without HELP before it`);
      if (families.has(name!)) throw new Error(`family ${name} twice`);
      if (!(rest! in SUFFIXES)) throw new Error(`unknown type ${rest}`);
      current = { name: name!, help: help!.text, type: rest!, samples: [] };
      families.set(name!, current);
      continue;
    }
    const match = SAMPLE.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const [, name, labelText = "", value] = match;
    if (current === undefined || !SUFFIXES[current.type]!.some((suffix) => current!.name + suffix === name)) {
      throw new Error(`sample ${name} outside its family`);
    }
    const labels = parseLabels(labelText);
    const identity = name + JSON.stringify(Object.entries(labels).sort());
    if (seen.has(identity)) throw new Error(`series twice: ${line}`);
    seen.add(identity);
    current.samples.push({ name: name!, labels, value: parseValue(value!) });
  }
  return families;
};
