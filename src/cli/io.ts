/** What a command may touch of its process, so that a test can run it in its own. */

export interface Io {
  /** Standard output, as it is. */
  out(text: string): void;
  /** Standard error, as it is. */
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A reader that has seen enough (`vtepctl fdb | head`) is no error. */
const endOnClosedPipe = (error: NodeJS.ErrnoException): void => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
};

export const processIo = (): Io => {
  process.stdout.on("error", endOnClosedPipe);
  process.stderr.on("error", endOnClosedPipe);
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
  };
};
