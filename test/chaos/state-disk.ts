/** A small disk of its own for the state directory: it can be full, and it can refuse to be written to. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

const SIZE = "24m";
const BLOCK = Buffer.alloc(4096);

export class StateDisk {
  readonly path: string;

  /** Whoever makes it must be in a mount namespace of his own. */
  constructor(path: string) {
    this.path = path;
    mkdirSync(path);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", path]);
  }

  /** Leaves room for nothing. */
  fill(): void {
    const fd = openSync(this.filler, "a");
    try {
      for (;;) writeSync(fd, BLOCK);
    } catch {
      // It is full.
    } finally {
      closeSync(fd);
    }
  }

  empty(): void {
    rmSync(this.filler, { force: true });
  }

  /** Nobody may have a file open for writing. */
  setWritable(isWritable: boolean): void {
    execFileSync("mount", ["-o", `remount,${isWritable ? "rw" : "ro"}`, this.path]);
  }

  close(): void {
    execFileSync("umount", ["-l", this.path]);
  }

  private get filler(): string {
    return join(this.path, "filler");
  }
}
