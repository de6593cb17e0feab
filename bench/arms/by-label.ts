/**
 * Arms as named on the command line: `vtepd`, `floor`, `kernel`; `vtepd@DIR` is another checkout's build; `#2` at the end
 * makes a second, equal arm, whose distance from the first is the noise.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Arm } from "../arm.ts";
import { floorArm } from "./floor.ts";
import { kernelArm } from "./kernel.ts";
import { vtepdArm } from "./vtepd.ts";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));

export const armByLabel = (label: string): Arm => {
  const [kind = "", folder] = label.replace(/#\d+$/, "").split("@");
  if (kind === "floor") return floorArm(label);
  if (kind === "kernel") return kernelArm(label);
  if (kind === "vtepd") return vtepdArm(label, folder === undefined ? ROOT : resolve(folder));
  throw new Error(`--arms: expected vtepd, vtepd@DIR, floor or kernel, each with #N or without, got ${label}`);
};
