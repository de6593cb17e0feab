/**
 * The end of a daemon that the front end has started inside a namespace, for that one alone. By being there it keeps the
 * namespace, with all of its devices, although nothing names it any more and no other process is in it: then it has to go.
 * Its files go with it, because their names have the namespace's number, which the kernel gives to another one.
 */
import { rmSync } from "node:fs";
import { isAbandoned, isNamed, ownNetnsInode } from "../host/netns.ts";
import { FILES_OF_NAMESPACE } from "./programs.ts";

/** While something names the namespace a look is cheap; else all processes have to be looked at. */
const NAMED_PERIOD_MS = 500;
const NAMELESS_PERIOD_MS = 5000;
const SUFFIXES = [".yaml", ".lock", ".log", "-state"];

export class NamespaceEnd {
  /** Resolves when nobody has the namespace any more; never for a daemon that may outlive it. */
  readonly come: Promise<void>;
  readonly #stem: string | undefined = process.env[FILES_OF_NAMESPACE];
  #timer: NodeJS.Timeout | undefined;
  #hasCome = false;

  constructor() {
    this.come = new Promise((resolve) => {
      if (this.#stem !== undefined) this.#look(ownNetnsInode(), resolve);
    });
  }

  #look(inode: number, resolve: () => void): void {
    const named = isNamed(inode);
    this.#hasCome = !named && isAbandoned(inode);
    if (this.#hasCome) resolve();
    else this.#timer = setTimeout(() => this.#look(inode, resolve), named ? NAMED_PERIOD_MS : NAMELESS_PERIOD_MS);
  }

  /** The daemon has stopped. */
  close(): void {
    clearTimeout(this.#timer);
    if (!this.#hasCome) return;
    for (const suffix of SUFFIXES) rmSync(this.#stem + suffix, { recursive: true, force: true });
  }
}
