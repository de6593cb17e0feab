/** A tunnel that nobody touches: pinged all the time, and no answer may be missing. */
import type { Child } from "../support/child.ts";
import type { Host } from "../support/host.ts";
import { waitFor } from "../support/wait-for.ts";

const INTERVAL_S = "0.01";
/** What an answer may take on a busy machine. */
const ANSWER_TIMEOUT_MS = 30_000;

export class Sentinel {
  private readonly host: Host;
  private readonly address: string;
  private ping: Child | undefined;
  private read = 0;
  private last = 0;
  /** Answers so far. */
  answers = 0;

  constructor(host: Host, address: string) {
    this.host = host;
    this.address = address;
  }

  /** Returns when it is answered. */
  async start(): Promise<void> {
    await waitFor(() => this.host.exec("ping", ["-c", "1", "-W", "1", this.address]).status === 0, {
      timeoutMs: ANSWER_TIMEOUT_MS,
      what: `${this.address} to answer`,
    });
    this.ping = this.host.spawn("ping", ["-i", INTERVAL_S, this.address]);
    this.read = 0;
    this.last = 0;
  }

  /** Waits for one more answer, and returns how many are missing before it. */
  async look(): Promise<number> {
    const before = this.answers;
    let lost = this.take();
    await waitFor(
      () => {
        lost += this.take();
        return this.answers > before;
      },
      { timeoutMs: ANSWER_TIMEOUT_MS, intervalMs: 5, what: () => `${this.address}:\n${this.ping!.stdout.slice(-400)}` },
    );
    return lost;
  }

  /** As `look`, and ends it. @param isLate no answer comes any more */
  async stop(isLate: boolean): Promise<number> {
    const lost = isLate ? 0 : await this.look();
    this.ping!.signal("SIGINT");
    await this.ping!.exited;
    return lost + this.take();
  }

  /** Answers that are missing before those that have come since. */
  private take(): number {
    const { stdout } = this.ping!;
    const end = stdout.lastIndexOf("\n") + 1;
    let lost = 0;
    for (const [, text] of stdout.slice(this.read, end).matchAll(/bytes from .* icmp_seq=(\d+)/g)) {
      // The number has 16 bits.
      lost += (Number(text) - this.last - 1) & 0xffff;
      this.last = Number(text);
      this.answers++;
    }
    this.read = Math.max(this.read, end);
    return lost;
  }
}
