/**
 * Where the daemon keeps what shall outlive it: the journal of what was made by hand, and what was learned. Files are named after
 * the control socket, since there is one daemon for each. The directory is made when there is something to keep.
 */
import { accessSync, constants, copyFileSync, existsSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { VtepdError } from "../errors.ts";

export class StateDirectory {
  readonly path: string;
  private readonly stem: string;
  private readonly isWanted: boolean;

  /** @param isWanted whether somebody has asked for it: else it is used only if it is there, or for what was made by hand */
  constructor(path: string, controlSocket: string, isWanted: boolean) {
    this.path = path;
    this.isWanted = isWanted;
    this.stem = controlSocket.replaceAll(/[^A-Za-z0-9.-]+/g, "_").replace(/^_/, "");
  }

  get journal(): string {
    return join(this.path, `${this.stem}.journal`);
  }

  get learned(): string {
    return join(this.path, `${this.stem}.learned`);
  }

  /** The list of persistent devices. */
  get devices(): string {
    return join(this.path, `${this.stem}.devices`);
  }

  get isInUse(): boolean {
    return this.isWanted || existsSync(this.path);
  }

  /** Forgets everything, but leaves the files under another name. @throws ERR_JOURNAL, or it would all be back the next time */
  setAside(): void {
    try {
      for (const path of [this.journal, this.learned]) if (existsSync(path)) renameSync(path, `${path}.old`);
    } catch (cause) {
      throw new VtepdError("ERR_JOURNAL", `cannot forget what is in ${this.path}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }

  /** Copies a journal that is not to be lost, though not all of it is understood. Returns the name of the copy, if there is room for one. */
  copyJournal(): string | undefined {
    const copy = `${this.journal}.damaged`;
    try {
      copyFileSync(this.journal, copy);
      return copy;
    } catch {
      return undefined;
    }
  }
}

/** Asks whether a file can be written or made, since a directory that cannot be is told by mkdir(2) as one that is not there. @throws as access(2) */
export const expectWritable = (path: string): void => {
  if (existsSync(path) || dirname(path) === path) accessSync(path, constants.W_OK);
  else expectWritable(dirname(path));
};
