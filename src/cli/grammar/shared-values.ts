/** Values that several objects have. */
import { integer, isMac, isName, isRemote } from "./check.ts";
import type { Value } from "./value.ts";

export const dev: Value = { key: "dev", placeholder: "DEV", check: isName, choices: "link" };
export const requiredDev: Value = { ...dev, required: true };
export const mac: Value = { key: "lladdr", placeholder: "LLADDR", check: isMac, required: true };
export const dst: Value = { key: "dst", placeholder: "{ IP | NAME }", check: isRemote };
export const requiredDst: Value = { ...dst, required: true };
export const port: Value = { key: "port", placeholder: "PORT", check: integer(1, 65535, "invalid port") };
export const vni: Value = { key: "vni", placeholder: "VNI", check: integer(0, 0xffffff, "invalid VNI") };
export const via: Value = { key: "via", placeholder: "DEV", check: isName, choices: "interface" };

export const SHOW: readonly string[] = ["show", "list", "lst"];
export const DELETE: readonly string[] = ["del", "delete"];
