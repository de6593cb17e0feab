/**
 * The process of a test file, in namespaces of its own (test/confined): files run side by side and see nothing of each other, and
 * what a file leaves behind goes with it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { PoolOptions, PoolWorker, WorkerRequest } from "vitest/node";

const CONFINED = fileURLToPath(new URL("../confined", import.meta.url));

export class ConfinedWorker implements PoolWorker {
  readonly name = "confined";
  /** The worker reads translated modules from the disk, as vitest's own processes do. */
  readonly cacheFs = true;
  readonly #options: PoolOptions;
  #process: ChildProcess | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { distPath, env, execArgv, project } = this.#options;
    const child = fork(resolve(distPath, "workers/forks.js"), [], {
      env: env as NodeJS.ProcessEnv,
      // fork runs `execPath execArgv... file`: here `test/confined node ...`.
      execPath: CONFINED,
      execArgv: [process.execPath, ...execArgv],
      stdio: "pipe",
      serialization: "advanced",
    });
    this.#process = child;
    child.stdout?.on("data", (text) => project.vitest.logger.outputStream.write(text));
    child.stderr?.on("data", (text) => project.vitest.logger.errorStream.write(text));
  }

  /** Ends when the namespaces are gone. */
  async stop(): Promise<void> {
    const child = this.#running;
    const ended = new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once("exit", () => resolve());
    });
    child.kill();
    await ended;
    this.#process = undefined;
  }

  on(event: string, listener: (argument: unknown) => void): void {
    this.#running.on(event, listener);
  }

  off(event: string, listener: (argument: unknown) => void): void {
    this.#running.off(event, listener);
  }

  send(message: WorkerRequest): void {
    this.#running.send(message);
  }

  deserialize(message: unknown): unknown {
    return message;
  }

  get #running(): ChildProcess {
    if (this.#process === undefined) throw new Error("the process of the test file has not been started, or has ended");
    return this.#process;
  }
}
