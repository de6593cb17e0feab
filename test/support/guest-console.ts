/**
 * How a test speaks with a machine that is a process with a console and nothing else: a line is a request, answered by a line
 * with the status and, in base64 so that nothing can disturb it, the output. Requests run side by side.
 */
import type { Child } from "./child.ts";
import { waitFor } from "./wait-for.ts";

const READY = "@0 0 ready";

/** What such a machine's first process, bash, ends with: it serves the requests. `off` is run to switch the machine off. */
export const SERVE_CONSOLE = `
echo "${READY}"
while read -r id line; do
  [ "$id" = off ] && echo o >/proc/sysrq-trigger
  {
    said=$(eval "$line" 2>&1 </dev/null | base64 -w0; exit "\${PIPESTATUS[0]}")
    echo "@$id $? $said"
  } &
done
`;

export interface Answer {
  readonly status: number;
  readonly output: string;
}

export class GuestConsole {
  readonly child: Child;
  #requests = 0;

  constructor(child: Child) {
    this.child = child;
  }

  get ready(): boolean {
    return this.child.stdout.includes(READY);
  }

  /** The last that the machine said. */
  get log(): string {
    return `${this.child.stdout}${this.child.stderr}`.slice(-2000);
  }

  /** Returns when the machine serves or has ended; `ready` tells which. @throws Error after the time limit */
  async started(timeoutMs: number): Promise<void> {
    await waitFor(() => this.ready || !this.child.running, { timeoutMs, what: () => this.log });
  }

  /** Runs a line of bash to its end, whatever its status. stdout and stderr come together. */
  async exec(line: string, timeoutMs: number): Promise<Answer> {
    this.#requests += 1;
    const answer = new RegExp(`^@${this.#requests} (\\d+) (\\S*)\\r?\\n`, "m");
    this.child.write(`${this.#requests} ${line}\n`);
    const answered = (): RegExpMatchArray | null => this.child.stdout.match(answer);
    await waitFor(() => answered() !== null || !this.child.running, {
      timeoutMs,
      what: `the guest's end of \`${line}\``,
    });
    const [, status, output] = answered() ?? [];
    if (output === undefined) throw new Error(`the guest has ended: ${this.log}`);
    return { status: Number(status), output: Buffer.from(output, "base64").toString() };
  }

  /** As `exec`, but returns the output. @throws Error with it when the status is not 0. */
  async run(line: string, timeoutMs: number): Promise<string> {
    const { status, output } = await this.exec(line, timeoutMs);
    if (status !== 0) throw new Error(`guest: \`${line}\` ended with ${status}: ${output}`);
    return output;
  }

  off(): void {
    this.child.write("off\n");
  }
}
