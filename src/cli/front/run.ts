/** The front end for lines that are written for `ip`, `bridge` and `brctl`. Returns exit statuses as those do. */
import type { Io } from "../io.ts";
import type { Written } from "../words.ts";
import { brctl } from "./brctl.ts";
import { bridge } from "./bridge.ts";
import { Daemons } from "./daemons.ts";
import type { Front } from "./front.ts";
import { ip } from "./ip.ts";
import type { Captured } from "./real-program.ts";
import { shim } from "./shim-folder.ts";

/** Runs a line of vtepctl's own. */
type Run = (argv: readonly string[], io: Io, written: Written) => Promise<number>;

export type FrontProgram = "ip" | "bridge" | "brctl" | "shim";

const PROGRAMS: Readonly<Record<FrontProgram, (argv: readonly string[], front: Front) => number | Promise<number>>> = {
  ip,
  bridge,
  brctl,
  shim,
};

/** @param socket of the host's daemon @throws VtepdError */
export const runFront = async (
  program: FrontProgram,
  argv: readonly string[],
  socket: string,
  io: Io,
  run: Run,
): Promise<number> => {
  // For what is started on the way, perhaps in another namespace.
  process.env["VTEPD_SOCKET"] = socket;
  const own: Front["own"] = (at, line, words) => run(["-socket", at, ...words], io, line);
  const ownText: Front["ownText"] = async (at, line, words): Promise<Captured> => {
    let stdout = "";
    const out = (text: string): void => {
      stdout += text;
    };
    const status = await run(["-socket", at, ...words], { ...io, out }, line);
    return { status, stdout };
  };
  return await PROGRAMS[program](argv, { io, daemons: new Daemons(socket), own, ownText });
};
