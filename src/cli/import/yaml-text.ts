/** What was imported, as a configuration file. What vtepd would refuse stands behind `#`, with the reason. */
import { stringify } from "yaml";
import { readSettings } from "../../config/load.ts";
import { VtepdError } from "../../errors.ts";
import type { Imported, Settings, TunnelDraft } from "./draft.ts";

const complaint = (tunnels: Readonly<Record<string, Settings>>): string | undefined => {
  try {
    readSettings(tunnels);
  } catch (error) {
    if (error instanceof VtepdError) return error.message;
    throw error;
  }
  return undefined;
};

/** Why tunnels cannot stand in the file, by name: what is wrong with one, or between it and one before it. */
const refusals = (tunnels: readonly TunnelDraft[]): Map<string, string> => {
  const refused = new Map<string, string>();
  const whole = Object.fromEntries(tunnels.map(({ name, settings }) => [name, settings]));
  if (complaint(whole) === undefined) return refused;
  const good: Record<string, Settings> = {};
  for (const { name, settings } of tunnels) {
    const found = complaint({ ...good, [name]: settings });
    if (found === undefined) good[name] = settings;
    else refused.set(name, found);
  }
  return refused;
};

const behind = (prefix: string, text: string): string =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => `${prefix}${line}\n`)
    .join("");

const tunnelText = ({ name, settings, notes }: TunnelDraft, refusal: string | undefined): string => {
  const body = stringify({ [name]: settings }, { lineWidth: 0, schema: "core" });
  const remarks = [...notes, ...(refusal === undefined ? [] : [`refused: ${refusal}`])].map((note) =>
    behind("  # ", note),
  );
  return remarks.join("") + behind(refusal === undefined ? "  " : "  #", body);
};

export interface ImportText {
  readonly text: string;
  /** What somebody should look at. */
  readonly warnings: readonly string[];
}

/** @param source where it is from, for the first line */
export const importText = (source: string, { tunnels, remarks }: Imported): ImportText => {
  const refused = refusals(tunnels);
  const head = `# Imported from ${source}.\n${remarks.map((remark) => behind("# ", remark)).join("")}`;
  const all = tunnels.map((tunnel) => tunnelText(tunnel, refused.get(tunnel.name)));
  const warnings = [
    ...remarks,
    ...tunnels.flatMap(({ name, notes }) => notes.map((note) => `${name}: ${note}`)),
    ...[...refused].map(([name, why]) => `${name} is left out: ${why}`),
  ];
  return { text: `${head}version: 1\n${["tunnels:\n", ...all].join("")}`, warnings };
};
