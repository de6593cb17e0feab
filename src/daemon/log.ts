/**
 * The log: one JSON object a line on stdout, or readable text when a person looks on. Events have fixed field names, so
 * that a query written once goes on working: `link vni port remoteVtep mac reason code errno` and `err`, beside pino's
 * `time level pid msg`. Never a line per frame.
 *
 * It is written synchronously and without a worker thread: the last words before an exit are the ones that matter. A line that cannot be
 * written is lost (log-descriptor.ts).
 */
import { isatty } from "node:tty";
import { type Logger, pino } from "pino";
import { prettyFactory } from "pino-pretty";
import type { LogLevel } from "../config/config.ts";
import { LogDescriptor } from "./log-descriptor.ts";

export type Log = Logger;

const STDOUT_FD = 1;

export interface LogOutput {
  /** Borrowed. */
  readonly fd: number;
  /** Readable text instead of JSON. */
  readonly readable: boolean;
}

const asText = prettyFactory({ singleLine: true, ignore: "pid", translateTime: "SYS:HH:MM:ss.l" });

const lostLine = (lost: number): string => {
  const fields = { level: "warn", time: new Date().toISOString(), pid: process.pid, lost };
  return `${JSON.stringify({ ...fields, msg: "lines of the log could not be written" })}\n`;
};

/** What the host says of itself is in the journal already, so a line names only the process. */
export const createLog = (level: LogLevel, output: LogOutput = { fd: STDOUT_FD, readable: isatty(STDOUT_FD) }): Log =>
  pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    new LogDescriptor({ fd: output.fd, format: output.readable ? asText : (line) => line, lostLine }),
  );
