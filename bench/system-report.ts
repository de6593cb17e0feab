/** The result of a system run, and its form as JSON. */
import type { Row } from "./abba.ts";
import type { Machine } from "./machine.ts";
import type { MicroResult } from "./micro-suite.ts";

export interface SystemReport {
  readonly machine: Machine;
  /** Why the figures are to be doubted, or null. */
  readonly unrest: string | null;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly pinned: boolean;
  /** Arms that could not run here, with the reason. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
}

/** What --json writes. */
export interface Result {
  readonly system?: SystemReport | undefined;
  readonly micro?: readonly MicroResult[] | undefined;
}

/** No measurement has more. */
const DIGITS = 6;

const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(DIGITS)) : value;

/** One trial a line, so that a file of them is small and two can be compared. */
export const resultText = (result: Result): string => {
  const isTrial = (value: unknown): boolean => typeof value === "object" && value !== null && "sample" in value;
  const trials: string[] = [];
  const marked = JSON.stringify(
    result,
    (key, value) => {
      if (!isTrial(value)) return rounded(key, value);
      trials.push(JSON.stringify(value, rounded));
      return `trial ${trials.length - 1}`;
    },
    1,
  );
  return `${marked.replace(/"trial (\d+)"/g, (_, index) => trials[Number(index)] ?? "null")}\n`;
};
