/** Tunnels as texts of a configuration file and of the files beside it (`FILE.d`): all in one, or by chance in several. */
import type { Settings } from "../../src/dataplane/desired-view.ts";
import type { Random } from "./random.ts";

export interface Written {
  /** Of the map below `tunnels:` in the file itself. */
  readonly main: string;
  readonly dropIns: Readonly<Record<string, string>>;
}

type Part = Record<string, Settings>;

const NAMES = ["10-one.yaml", "20-two.yaml"];

/** @param always what the file itself has in any case */
export const writtenOf = (random: Random, always: Part, tunnels: ReadonlyMap<string, Settings>): Written => {
  if (random.chance(0.5)) return { main: JSON.stringify({ ...always, ...Object.fromEntries(tunnels) }), dropIns: {} };
  const main: Part = { ...always };
  const beside: Part[] = NAMES.map(() => ({}));
  for (const [name, settings] of tunnels) {
    const part = random.pick([main, ...beside]);
    const later = beside[beside.indexOf(part) + 1];
    // A drop-in that is read later may have some keys of a tunnel; a list in two files would be one of both.
    const moved =
      later === undefined ? [] : Object.keys(settings).filter((key) => key !== "mode" && random.chance(0.2));
    const isMoved = (key: string): boolean => moved.includes(key);
    const keys = (wanted: boolean): Settings =>
      Object.fromEntries(Object.entries(settings).filter(([key]) => isMoved(key) === wanted));
    part[name] = keys(false);
    if (moved.length > 0) later![name] = keys(true);
  }
  const texts = beside.map((part, index) => [NAMES[index]!, `version: 1\ntunnels: ${JSON.stringify(part)}\n`] as const);
  return { main: JSON.stringify(main), dropIns: Object.fromEntries(texts) };
};
