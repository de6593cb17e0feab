/**
 * The programs of this folder (`*-child.ts`) as files that Node runs as they are: translated once for each process of the suite,
 * which takes less time than a loader takes at each of their starts.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const built = new Map<string, string>();
let folder: string | undefined;

/** @param name of the file here, without ending. Returns the file to run. */
export const program = (name: string): string => {
  const known = built.get(name);
  if (known !== undefined) return known;
  folder ??= mkdtempSync(join(tmpdir(), "vtepd-programs-")); // goes with the suite's TMPDIR (test/run)
  const outfile = join(folder, `${name}.mjs`);
  const entry = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  buildSync({ entryPoints: [entry], bundle: true, platform: "node", format: "esm", target: "node20", outfile });
  built.set(name, outfile);
  return outfile;
};
