/** The built programs, as files to be run: both stand above the folder of this one, in one file with it or not. */
import { fileURLToPath } from "node:url";

export const VTEPCTL: string = fileURLToPath(new URL("../vtepctl.js", import.meta.url));
export const VTEPD: string = fileURLToPath(new URL("../vtepd.js", import.meta.url));

/** In the environment of a daemon that serves one namespace alone: how its files begin. */
export const FILES_OF_NAMESPACE = "VTEPD_NAMESPACE_FILES";
