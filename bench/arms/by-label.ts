/**
 * Arms as named on the command line: `vtepd`, `floor`, `kernel`, `ovs`, `tinc`; `vtepd:mmsg` forces a tier; `vtepd@DIR` is
 * another checkout's build; `vtepd+gretap` is another mode, `vtepd+ipip-fou` one in UDP; `#2` at the end makes a second, equal arm, whose distance from the first is the noise.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Arm } from "../arm.ts";
import { floorArm } from "./floor.ts";
import { kernelArm } from "./kernel.ts";
import { type ArmLabel, parseArmLabel } from "./label.ts";
import { ovsArm } from "./ovs.ts";
import { tincArm } from "./tinc.ts";
import { vtepdArm } from "./vtepd.ts";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

const KINDS: Readonly<Record<string, (label: ArmLabel) => Arm>> = {
  vtepd: (label) => vtepdArm(label, label.folder === undefined ? ROOT : resolve(label.folder)),
  floor: floorArm,
  kernel: kernelArm,
  ovs: ovsArm,
  tinc: tincArm,
};

/** Arms that have tiers to force, and modes beside vxlan. */
const TIERED = ["vtepd", "floor"];

export const armByLabel = (text: string): Arm => {
  const label = parseArmLabel(text);
  const make = KINDS[label.kind];
  if (make === undefined) throw new Error(`--arms: expected one of ${Object.keys(KINDS).join(", ")}, got ${text}`);
  if (label.tier !== undefined && !TIERED.includes(label.kind)) throw new Error(`--arms: ${label.kind} has no tiers`);
  if (label.mode !== undefined && !TIERED.includes(label.kind)) throw new Error(`--arms: ${label.kind} has no modes`);
  if (label.folder !== undefined && label.kind !== "vtepd")
    throw new Error(`--arms: only vtepd can be another checkout's`);
  return make(label);
};
