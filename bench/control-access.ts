/** A VTEP's control interface, as far as a benchmark uses it. */

export interface FdbUpdates {
  /** Changes that were made. */
  readonly done: number;
  readonly seconds: number;
}

export interface ControlAccess {
  /** Entries in the FDB now, static and learned. */
  fdbEntries(): Promise<number>;
  /** The cheapest question there is, asked and answered; absent where it would be a new process each time. */
  ask?(): Promise<void>;
  /** Adds and moves static entries, at most `rate` a second, until `stop` is aborted. */
  updateFdb(rate: number, stop: AbortSignal): Promise<FdbUpdates>;
  /** Its own counters of what it dropped, by reason. */
  drops(): Promise<Readonly<Record<string, number>>>;
}

/** Different MACs that updates go through. */
export const UPDATED_MACS = 10_000;

/** Locally administered, apart from those that the generators make up. */
export const updatedMac = (n: number): string => {
  const index = n % UPDATED_MACS;
  const byte = (value: number): string => value.toString(16).padStart(2, "0");
  return `02:20:00:00:${byte(index >> 8)}:${byte(index & 0xff)}`;
};
