/**
 * An FDB dump as a stream of bytes, because a table may hold a million entries and the main thread has timers to keep:
 * one chunk of entries is made each time the client has taken the last one, with a turn of the event loop between two.
 * The dump is therefore no snapshot: an entry that comes or goes meanwhile may or may not be in it, as with the kernel's.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { FdbEntryView } from "../dataplane/view.ts";
import { fdbJson } from "./fdb-json.ts";

/** Entries per chunk: about 80 KB of text and half a millisecond of work. */
const CHUNK_ENTRIES = 512;

/** `json`: one array, one entry a line. `ndjson`: one entry a line and nothing else. */
type FdbFormat = "json" | "ndjson";

const FORMATS = {
  json: { open: "[", first: "\n", next: ",\n", close: "\n]\n", empty: "]\n" },
  ndjson: { open: "", first: "", next: "\n", close: "\n", empty: "" },
} as const;

export interface FdbStreamOptions {
  readonly format: FdbFormat;
  /** Say in each entry which tunnel it belongs to. */
  readonly withDevice: boolean;
}

/**
 * Takes the first entry at once, so that an unknown tunnel is an answer and not a broken stream.
 * @throws whatever `entries` throws at its first entry
 */
export const fdbStream = (
  entries: Iterable<FdbEntryView>,
  { format, withDevice }: FdbStreamOptions,
): ReadableStream<Uint8Array> => {
  const iterator = entries[Symbol.iterator]();
  const words = FORMATS[format];
  const encoder = new TextEncoder();
  let entry = iterator.next();
  let text: string = words.open;
  let separator: string = words.first;
  if (entry.done === true) text += words.empty;

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      await turn();
      for (let count = 0; count < CHUNK_ENTRIES && entry.done !== true; count++) {
        text += separator + JSON.stringify(fdbJson(entry.value, withDevice));
        separator = words.next;
        entry = iterator.next();
        if (entry.done === true) text += words.close;
      }
      if (text !== "") controller.enqueue(encoder.encode(text));
      text = "";
      if (entry.done === true) controller.close();
    },
    cancel() {
      iterator.return?.();
    },
  });
};
