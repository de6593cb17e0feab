/** A pino logger whose lines a test can read back. */
import { type Logger, pino } from "pino";

export type LogLine = Record<string, unknown> & { readonly level: number; readonly msg: string };

export interface LogCapture {
  readonly log: Logger;
  readonly lines: LogLine[];
}

export const captureLog = (): LogCapture => {
  const lines: LogLine[] = [];
  const log = pino({ level: "trace" }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  return { log, lines };
};
