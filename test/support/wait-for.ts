/** Waiting for a condition that another process brings about. */

export interface WaitOptions {
  /** Default `PATIENCE_MS`. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 20. */
  readonly intervalMs?: number;
  /** What is waited for, for the error message: "the control socket". A function is asked when time has run out. */
  readonly what: string | (() => string);
}

/** How long what is sure to come may take on a busy machine of few cores, milliseconds. Nobody waits so long for a success. */
export const PATIENCE_MS = 20_000;

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Calls `predicate` until it returns something truthy, and returns that. An exception counts as "not yet"; the last one
 * is the cause of the error when time runs out.
 */
export const waitFor = async <T>(
  predicate: () => T | Promise<T>,
  { timeoutMs = PATIENCE_MS, intervalMs = 20, what }: WaitOptions,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await predicate();
      if (value) return value;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `waited ${timeoutMs} ms in vain for ${typeof what === "string" ? what : what()}`,
        cause === undefined ? undefined : { cause },
      );
    }
    await sleep(intervalMs);
  }
};
