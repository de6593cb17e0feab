/** One thing that is wrong in a configuration file, and the error that reports all of them. */
import { type ErrorCode, VtepdError } from "../errors.ts";

export interface Place {
  /** Undefined = what was said over the control socket, which has no lines. */
  readonly file: string | undefined;
  /** Both count from 1; a column is a UTF-16 code unit, as in editors. */
  readonly line: number;
  readonly column: number;
}

/** Keys and list indices from the top of the file to a value. */
export type KeyPath = readonly (string | number)[];

export interface Problem {
  readonly code: ErrorCode;
  readonly place: Place;
  /** Empty for what concerns the file as a whole. */
  readonly path: KeyPath;
  /** What was expected and what came. */
  readonly message: string;
}

const PLAIN_KEY = /^[\w-]+$/;

/** What checks of a whole tunnel tell what they find to. */
export interface ConflictReport {
  report(path: KeyPath, message: string): void;
  /** A place in words. */
  at(path: KeyPath): string;
}

/** `tunnels.vx42.fdb[0].mac`; a key with other characters than letters, digits, `_` and `-` is quoted. */
export const pathText = (path: KeyPath): string =>
  path
    .map((step, depth) => {
      if (typeof step === "number") {
        return `[${step}]`;
      }
      const key = PLAIN_KEY.test(step) ? step : JSON.stringify(step);
      return depth === 0 ? key : `.${key}`;
    })
    .join("");

/** `vtepd.yaml:5:9`, or nothing. */
export const placeText = ({ file, line, column }: Place): string =>
  file === undefined ? "" : `${file}:${line}:${column}`;

/** Files of one configuration come in the order of their names. */
const compare = (a: Place, b: Place): number => {
  const [first = "", second = ""] = [a.file, b.file];
  if (first !== second) return first < second ? -1 : 1;
  return a.line - b.line || a.column - b.column;
};

export const isSamePlace = (a: Place, b: Place): boolean => compare(a, b) === 0;

/** All problems in the order of the files, one per line; the code and the path are those of the first. */
export const problemsError = (problems: readonly Problem[]): VtepdError => {
  const ordered = problems.toSorted((a, b) => compare(a.place, b.place));
  const lines = ordered.map(({ place, path, message }) =>
    [placeText(place), path.length > 0 ? pathText(path) : "", message].filter((part) => part !== "").join(": "),
  );
  const first = ordered[0];
  return new VtepdError(first?.code ?? "ERR_INTERNAL", lines.join("\n"), {
    ...(first !== undefined && first.path.length > 0 ? { path: pathText(first.path) } : {}),
  });
};
