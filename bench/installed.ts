/** Programs of other packages that an arm needs. */
import { spawnSync } from "node:child_process";

/** Why it cannot be had, or undefined: "tincd is missing: apt-get install tinc". */
export const missingProgram = (program: string, debianPackage: string): string | undefined =>
  spawnSync("which", [program], { stdio: "ignore" }).status === 0
    ? undefined
    : `${program} is missing: apt-get install ${debianPackage}`;
