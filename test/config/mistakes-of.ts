/** What the tests of bad input share. */
import { parseConfig } from "../../src/config/load.ts";
import type { ErrorCode } from "../../src/errors.ts";

/** What a person reads: the error's code, the path it names, and its lines. */
export const mistakesOf = (text: string): { code: ErrorCode; path: string | undefined; lines: string[] } => {
  try {
    parseConfig(text, "vtepd.yaml");
  } catch (error) {
    const { code, path, message } = error as { code: ErrorCode; path: string | undefined; message: string };
    return { code, path, lines: message.split("\n") };
  }
  throw new Error("expected a mistake, got a configuration");
};

/** One line under `vx42`, at line 6, column 5. */
export const tunnelWith = (line: string): string => `version: 1
tunnels:
  vx42:
    mode: vxlan
    id: 42
    ${line}
`;

/** One line under `daemon`, at line 3, column 3. */
export const daemonWith = (line: string): string => `version: 1
daemon:
  ${line}
`;

export const NAME = "expected an interface name of 1 to 15 bytes without `/`, `:`, `%` or white space";
export const QUOTE = 'an address that ends in `::` must be quoted: "2001:db8::"';
