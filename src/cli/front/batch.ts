/** `ip -batch FILE`: as one for the real program, unless one of its lines may be about a tunnel. */
import { readBatch } from "../batch.ts";
import type { Front } from "./front.ts";
import type { Line } from "./line.ts";
import { passOn } from "./real-program.ts";

const EXIT_FAILED = 1;
/** What a line about a tunnel has: an object that may be ours, by its first letters. */
const OBJECTS = { ip: /^(l|t|net|-)/, bridge: /^(f|-)/ } as const;

/** Returns the exit status. @param one what a line of the file is for */
export const batch = async (
  program: "ip" | "bridge",
  line: Line,
  { io }: Front,
  one: (words: readonly string[]) => number | Promise<number>,
): Promise<number> => {
  const file = line.value("batch") ?? "-";
  const lines = [...readBatch(file)];
  if (!lines.some(({ words }) => OBJECTS[program].test(words[0]!))) {
    // Standard input has been read.
    const input = file === "-" ? lines.map(({ words }) => `${words.join(" ")}\n`).join("") : undefined;
    return passOn(program, line.argv, input);
  }
  let status = 0;
  for (const { number, words } of lines) {
    if ((await one([...line.options("batch", "force"), ...words])) === 0) continue;
    io.err(`Command failed ${file}:${number}\n`);
    status = EXIT_FAILED;
    if (!line.has("force")) break;
  }
  return status;
};
