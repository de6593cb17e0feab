/**
 * What can end a running daemon from outside its own code: the first signal asks for a stop, the next one
 * means it, and an exception that nobody caught is a bug after which forwarding state cannot be trusted.
 */

export interface Interrupts {
  /** Resolves with the first signal's name. */
  readonly signal: Promise<NodeJS.Signals>;
  /** Resolves with the first uncaught exception or rejection. */
  readonly crash: Promise<unknown>;
}

/** SIGHUP too: without reload it would end the process and leave the control socket behind. */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** `onSecond` is called for each signal after the first. The handlers stay for the life of the process. */
export const watchInterrupts = (onSecond: () => void): Interrupts => ({
  signal: new Promise((resolve) => {
    let seen = false;
    for (const name of SIGNALS) {
      process.on(name, () => {
        if (seen) onSecond();
        seen = true;
        resolve(name);
      });
    }
  }),
  crash: new Promise((resolve) => {
    process.on("uncaughtException", resolve);
  }),
});
