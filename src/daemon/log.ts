/**
 * The log: one JSON object a line on stdout, or readable text when a person looks on. Events have fixed field names, so
 * that a query written once goes on working: `link vni port remoteVtep mac reason code errno` and `err`, beside pino's
 * `time level pid msg`. Never a line per frame.
 *
 * It is written synchronously and without a worker thread: the last words before an exit are the ones that matter.
 */
import { isatty } from "node:tty";
import { type DestinationStream, type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";
import type { LogLevel } from "../config/config.ts";

export type Log = Logger;

const STDOUT_FD = 1;

export interface LogOutput {
  /** Borrowed. */
  readonly fd: number;
  /** Readable text instead of JSON. */
  readonly readable: boolean;
}

const destination = ({ fd, readable }: LogOutput): DestinationStream =>
  readable
    ? PinoPretty({ destination: fd, sync: true, singleLine: true, ignore: "pid", translateTime: "SYS:HH:MM:ss.l" })
    : pino.destination({ dest: fd, sync: true });

/** What the host says of itself is in the journal already, so a line names only the process. */
export const createLog = (level: LogLevel, output: LogOutput = { fd: STDOUT_FD, readable: isatty(STDOUT_FD) }): Log =>
  pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination(output),
  );
