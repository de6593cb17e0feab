/** Folders for configuration files and sockets of a run; they go when the program ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders: string[] = [];
process.on("exit", () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A new, empty folder. Its path is short enough for a unix socket in it. */
export const scratchFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "vtepd-bench-"));
  folders.push(folder);
  return folder;
};
