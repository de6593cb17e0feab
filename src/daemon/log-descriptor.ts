/**
 * Where the log's lines go: a descriptor that may be full (a file on a full disk), stuck or gone (a pipe that nobody reads). What
 * cannot be written is lost and counted, and told as soon as something can be written again: that there is no room for words is
 * no reason to stop forwarding, nor for whoever logs to fail in the middle of what it does.
 */
import { writeSync } from "node:fs";

/** How often, and how long each time, a descriptor that does not block is waited for. */
const PATIENCE = 10;
const PAUSE_MS = 10;

const pause = new Int32Array(new SharedArrayBuffer(4));

export interface LogDescriptorOptions {
  /** Borrowed. */
  readonly fd: number;
  /** A line as it is to be written. */
  readonly format: (line: string) => string;
  /** The line that says how many were lost. */
  readonly lostLine: (count: number) => string;
}

export class LogDescriptor {
  private readonly options: LogDescriptorOptions;
  private lost = 0;
  /** Whether a line was cut by a failure. */
  private isCut = false;

  constructor(options: LogDescriptorOptions) {
    this.options = options;
  }

  /** Never throws. @param line with its newline */
  write(line: string): void {
    const { format, lostLine } = this.options;
    const { lost } = this;
    if (lost > 0 && this.put(format(lostLine(lost)))) this.lost = 0;
    if (this.lost > 0 || !this.put(format(line))) this.lost++;
  }

  private put(text: string): boolean {
    const { fd } = this.options;
    const bytes = Buffer.from(this.isCut ? `\n${text}` : text, "utf8");
    let at = 0;
    for (let tries = this.lost > 0 ? PATIENCE : 0; at < bytes.length; ) {
      try {
        at += writeSync(fd, bytes, at);
      } catch (error) {
        const isBusy = (error as NodeJS.ErrnoException).code === "EAGAIN";
        if (!isBusy || tries++ >= PATIENCE) {
          this.isCut ||= at > 0;
          return false;
        }
        Atomics.wait(pause, 0, 0, PAUSE_MS);
      }
    }
    this.isCut = false;
    return true;
  }
}
