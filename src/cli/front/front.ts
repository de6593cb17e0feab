/** What the programs of the front end get to work with. */
import type { Io } from "../io.ts";
import type { Daemons } from "./daemons.ts";
import type { Captured } from "./real-program.ts";

export interface Front {
  readonly io: Io;
  readonly daemons: Daemons;
  readonly own: (socket: string, argv: readonly string[]) => Promise<number>;
  /** For its output; what it complains of is seen. */
  readonly ownText: (socket: string, argv: readonly string[]) => Promise<Captured>;
}
