/** What shall be, as control sees it: which tunnels there are and what is written of them. How they run is in view.ts. */

import type { VtepdError } from "../errors.ts";

/** Keys and values of a tunnel, as in the configuration file. */
export type Settings = Readonly<Record<string, unknown>>;

/** Values as they are written; undefined = not written. */
export interface ValueChange {
  readonly from: unknown;
  readonly to: unknown;
}

export type ChangedKeys = Readonly<Record<string, ValueChange>>;

/** What a change of the configuration changes. Tunnels by name. */
export interface Difference {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: Readonly<Record<string, ChangedKeys>>;
  /** Those of the changed ones that are made anew, with the same device where it can stay. */
  readonly remade: readonly string[];
  readonly unchanged: number;
  /** Keys of the section `daemon` that only a restart brings into effect. */
  readonly daemon: ChangedKeys;
}

export interface WrittenLink {
  /** Who wrote it: the file, or somebody over the control socket. */
  readonly owner: "config" | "control";
  readonly settings: Settings;
  /** Made over the control socket before the daemon's start, and not changed since. */
  readonly isRestored?: boolean;
}

/**
 * Each change happens whole or not at all, and has happened when its promise resolves. Changes take turns in the order of
 * asking. Main thread only.
 */
export interface DesiredState {
  /** What is written of the daemon, and of all tunnels, by name. */
  written(): { readonly daemon: Settings; readonly tunnels: Readonly<Record<string, WrittenLink>> };
  /** Why a tunnel of that name, made by hand before the daemon's start, is not there yet (ERR_LINK_WAITING); undefined = there is no such. */
  waiting(name: string): VtepdError | undefined;
  /** JSON schema of one tunnel's settings. */
  settingsSchema(): object;
  /** Reads the file again. @param dryRun only says what would change @throws ERR_CONFIG_*, and what making a tunnel throws */
  reload(dryRun: boolean): Promise<Difference>;
  /** As reload, with the text of a file. */
  applyText(text: string, dryRun: boolean): Promise<Difference>;
}
