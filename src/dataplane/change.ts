/**
 * What an operator may change over the control socket, one vocabulary for single calls, calls of many changes, and the journal
 * that keeps them (daemon/journal.ts): a name here is also what stands on disk.
 */
import { VtepdError } from "../errors.ts";
import type { Settings } from "./desired-view.ts";
import type { FdbFilter, FdbRequest, FloodMember, NeighbourRequest } from "./view.ts";

/** Of a tunnel as such. */
export type LinkChange =
  /** `isDown`: somebody sets its device up later. Of this once: made again after a restart it is up. */
  | { readonly op: "link-add"; readonly name: string; readonly settings: Settings; readonly isDown?: true }
  /** `settings`: only the keys that change; null = as if it was never written. */
  | { readonly op: "link-set"; readonly name: string; readonly settings: Settings }
  | { readonly op: "link-del"; readonly name: string };

/** Of the tunnel `dev`. A request is checked: canonical addresses, MACs in lower case. */
export type EntryChange =
  | ({ readonly op: "fdb"; readonly dev: string; readonly verb: "add" | "append" | "replace" } & FdbRequest)
  /** Without `dst` all entries of the MAC. */
  | { readonly op: "fdb-del"; readonly dev: string; readonly mac: string; readonly dst?: string | undefined }
  | ({ readonly op: "flood"; readonly dev: string } & FloodMember)
  | ({ readonly op: "flood-del"; readonly dev: string } & FloodMember)
  | { readonly op: "flood-set"; readonly dev: string; readonly members: readonly FloodMember[] }
  | ({ readonly op: "neighbour"; readonly dev: string; readonly verb: "add" | "replace" } & NeighbourRequest)
  | { readonly op: "neighbour-del"; readonly dev: string; readonly address: string };

export type Change = LinkChange | EntryChange;

export const isLinkChange = (change: Change): change is LinkChange => change.op.startsWith("link-");

/** An error of one change of several, told with its place in the list. */
export const ofChange = (index: number, error: unknown): unknown => {
  if (!(error instanceof VtepdError)) return error;
  const place = `changes.${index}`;
  const message = error.path === undefined ? `${place}: ${error.message}` : `${place}.${error.message}`;
  const path = error.path === undefined ? place : `${place}.${error.path}`;
  return new VtepdError(error.code, message, { path, cause: error });
};

export interface ChangeService {
  /**
   * Makes the changes in this order, all or none. Those of links come first. When the promise resolves they have happened and
   * will be there after a restart. The path of an error begins with the number of the change, unless there is only one.
   * @throws ERR_USAGE, ERR_JOURNAL; for links ERR_DEVICE_EXISTS, ERR_LINK_NOT_FOUND, ERR_LINK_OWNER, ERR_LINK_WAITING, ERR_CONFIG_* and what making
   * a tunnel throws; for the rest as VtepService
   */
  run(changes: readonly Change[]): Promise<void>;
  /** As VtepService's, and lasts. */
  flushFdb(dev: string, filter: FdbFilter): Promise<number>;
  flushNeighbours(dev: string, state: "learned" | "all"): Promise<number>;
}
