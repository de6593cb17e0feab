/**
 * Reads the body of POST /v1/changes. The schema alone takes a second for the 100,000 changes that a call may have, during
 * which nobody else is answered. So what is written in the plainest way is taken by hand, and everything else, among it
 * everything that is wrong, is left to the schema: what is plain, the schema would return as it is (a test says so).
 */
import { setImmediate as turn } from "node:timers/promises";
import type { z } from "@hono/zod-openapi";
import type { Change } from "../dataplane/change.ts";
import { readRemoteOrGroup, readVtep } from "../dataplane/vtep-text.ts";

/** Changes between two turns of the event loop: about a millisecond. */
const PER_TURN = 4096;

const UNICAST_MAC = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/;
const ZERO_MAC = "00:00:00:00:00:00";

type Fields = Readonly<Record<string, unknown>>;

/** Remembers texts: changes are many, VTEPs are few. */
const remembered = (isCanonical: (text: string) => boolean): ((value: unknown) => boolean) => {
  const known = new Set<string>();
  return (value) => {
    if (typeof value !== "string") return false;
    if (known.has(value)) return true;
    if (!isCanonical(value)) return false;
    known.add(value);
    return true;
  };
};

/** Whether the schema would return a change as it is; false = it may all the same. */
export const plainChange = (): ((value: unknown) => boolean) => {
  const isRemote = remembered((text) => readRemoteOrGroup(text).address === text);
  const isAddress = (value: unknown): boolean => typeof value === "string" && readVtep(value).address === value;
  const isMac = (value: unknown): boolean => typeof value === "string" && UNICAST_MAC.test(value);
  const readers: Readonly<Record<string, (fields: Fields) => number>> = {
    fdb: ({ verb, mac, dst }) =>
      (verb === "add" || verb === "append" || verb === "replace") && isMac(mac) && isRemote(dst) ? 5 : 0,
    "fdb-del": ({ mac, dst }) => (!isMac(mac) ? 0 : dst === undefined ? 3 : isRemote(dst) ? 4 : 0),
    neighbour: ({ verb, address, mac }) =>
      (verb === "add" || verb === "replace") && isAddress(address) && isMac(mac) && mac !== ZERO_MAC ? 5 : 0,
    "neighbour-del": ({ address }) => (isAddress(address) ? 3 : 0),
  };
  return (value) => {
    if (typeof value !== "object" || value === null) return false;
    const fields = value as Fields;
    const { op, dev } = fields;
    if (typeof op !== "string" || typeof dev !== "string" || !Object.hasOwn(readers, op)) return false;
    let keys = 0;
    for (const _ in value) keys++;
    return keys === readers[op]!(fields);
  };
};

export type ChangeListOutcome =
  | { readonly success: true; readonly data: readonly Change[] }
  | { readonly success: false; readonly error: z.ZodError };

/** @param one schema of one change @param all schema of the body */
export const readChangeList = async (
  body: unknown,
  one: z.ZodType<Change>,
  all: z.ZodType<{ changes: Change[] }>,
): Promise<ChangeListOutcome> => {
  const { changes, ...rest } = typeof body === "object" && body !== null ? (body as Fields) : {};
  if (!Array.isArray(changes) || Object.keys(rest).length > 0) {
    const whole = all.safeParse(body);
    return whole.success ? { success: true, data: whole.data.changes } : whole;
  }
  const isPlain = plainChange();
  const data: Change[] = [];
  for (const [index, change] of changes.entries()) {
    if (index % PER_TURN === PER_TURN - 1) await turn();
    if (isPlain(change)) {
      data.push(change as Change);
      continue;
    }
    const read = one.safeParse(change);
    if (!read.success) {
      for (const issue of read.error.issues) issue.path.unshift("changes", index);
      return { success: false, error: read.error };
    }
    data.push(read.data);
  }
  return { success: true, data };
};
