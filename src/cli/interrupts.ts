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

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** What is to be done at once. */
export interface InterruptEars {
  /** Each signal after the first that asks for a stop. */
  onSecond(): void;
  /** SIGHUP asks for a reload. */
  onHangup(): void;
}

/** The handlers stay for the life of the process. */
export const watchInterrupts = ({ onSecond, onHangup }: InterruptEars): Interrupts => ({
  signal: new Promise((resolve) => {
    let seen = false;
    process.on("SIGHUP", onHangup);
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
