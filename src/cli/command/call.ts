/** What a command gets to run with, and how it prints. */
import type { ControlClient } from "../client.ts";
import type { Command } from "../command-line.ts";
import type { Io } from "../io.ts";
import { jsonText } from "../json-list.ts";
import type { Words } from "../words.ts";

export interface Call {
  readonly client: ControlClient;
  readonly options: Command["options"];
  readonly values: Command["values"];
  readonly list: Command["list"];
  readonly typed: Command["typed"];
  /** Of the line, for complaints. */
  readonly words: Words;
  readonly out: (text: string) => void;
  /** Says something that is no failure. */
  readonly note: (text: string) => void;
  readonly execute: Io["execute"];
  readonly io: Pick<Io, "outBytes" | "isTerminal" | "onInterrupt" | "err">;
}

export type Run = (call: Call) => Promise<void>;

/** By the names of object and verb, with a space between. */
export type Commands = Readonly<Record<string, Run>>;

export const wantsJson = ({ options }: Call): boolean => options.has("json");
export const wantsPretty = ({ options }: Call): boolean => options.has("pretty");
export const wantsStats = ({ options }: Call): boolean => options.has("stats");

export const linkPath = (dev: string): string => `/v1/links/${encodeURIComponent(dev)}`;

/** `?dev=...`, or nothing when no device was named. */
export const deviceQuery = ({ values }: Call): string => {
  const dev = values.get("dev");
  return dev === undefined ? "" : `?dev=${encodeURIComponent(dev)}`;
};

/** Prints a value as JSON or, made into text, as that. */
export const print = <Value>(call: Call, value: Value, text: (value: Value) => string): void =>
  call.out(wantsJson(call) ? jsonText(value, wantsPretty(call)) : text(value));
