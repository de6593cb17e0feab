/**
 * All modes, by name. A file of this folder that exports a `mode` is one: it is found here by being here, so that a new mode is
 * a file, and no list to keep.
 */
import { readdirSync } from "node:fs";
import { VtepdError } from "../errors.ts";
import { type Encap, inUdp } from "./in-udp.ts";
import type { Mode } from "./mode.ts";

const FOLDER = new URL("./", import.meta.url);
const isModule = (name: string): boolean => /^(?!modes\.)[a-z0-9-]+\.(ts|js)$/.test(name);

const load = async (name: string): Promise<Mode[]> => {
  const { mode } = (await import(new URL(name, FOLDER).href)) as { mode?: Mode };
  return mode === undefined ? [] : [mode];
};

const found = (await Promise.all(readdirSync(FOLDER).filter(isModule).sort().map(load))).flat();

/** `vxlan` first, as what most look for; then by name. */
export const MODES: ReadonlyMap<string, Mode> = new Map(
  found.sort((a, b) => Number(b.name === "vxlan") - Number(a.name === "vxlan")).map((mode) => [mode.name, mode]),
);

/** The mode of a configured tunnel. @throws ERR_INTERNAL */
export const modeOf = ({ mode, encap }: { mode: string; encap?: { type: Encap } | undefined }): Mode =>
  encap === undefined ? modeNamed(mode) : inUdp(modeNamed(mode), encap.type);

/** @throws ERR_INTERNAL for a name that no configuration can have */
const modeNamed = (name: string): Mode => {
  const mode = MODES.get(name);
  if (mode === undefined) throw new VtepdError("ERR_INTERNAL", `expected the name of a tunnel mode, got "${name}"`);
  return mode;
};
