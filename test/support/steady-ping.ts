/** A ping that goes on while something happens, and what it went without. */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";

export class SteadyPing {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Returns with the first answers. */
  static async start(host: Host, address: string, intervalS = "0.02"): Promise<SteadyPing> {
    const child = host.spawn("ping", ["-i", intervalS, "-W", "2", address]);
    await child.waitForOutput(/icmp_seq=5 /);
    return new SteadyPing(child);
  }

  /**
   * Ends it, and returns the numbers of the requests without an answer. What was asked behind the last answer does not count:
   * its answer was on the way when the ping ended.
   */
  async unanswered(): Promise<number[]> {
    this.#child.signal("SIGINT");
    await this.#child.exited;
    const answered = new Set(Array.from(this.#child.stdout.matchAll(/icmp_seq=(\d+)/g), ([, n]) => Number(n)));
    const last = Math.max(...answered);
    return Array.from({ length: last }, (_, index) => index + 1).filter((n) => !answered.has(n));
  }
}
