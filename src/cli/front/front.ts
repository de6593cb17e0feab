/** What the programs of the front end get to work with. */
import type { Io } from "../io.ts";
import type { Written } from "../words.ts";
import type { Daemons } from "./daemons.ts";
import type { Captured } from "./real-program.ts";

export interface Front {
  readonly io: Io;
  readonly daemons: Daemons;
  /** Runs words of vtepctl. @param line what they were made of */
  readonly own: (socket: string, line: Written, argv: readonly string[]) => Promise<number>;
  /** For its output; what it complains of is seen. */
  readonly ownText: (socket: string, line: Written, argv: readonly string[]) => Promise<Captured>;
}
