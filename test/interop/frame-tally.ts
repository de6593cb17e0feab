/** Counts frames that come in on a device, by an nftables rule at its ingress: exact, and without a program that must keep up. */
import type { Host } from "../support/host.ts";
import { waitFor } from "../support/wait-for.ts";

let tallies = 0;

export class FrameTally {
  readonly #host: Host;
  readonly #table: string;

  /** @param match as nft has it: `ether daddr 02:00:00:00:00:99` */
  constructor(host: Host, dev: string, match: string) {
    tallies += 1;
    this.#host = host;
    this.#table = `tally${tallies}`;
    const chain = `{ type filter hook ingress device ${dev} priority 0; }`;
    host.run("nft", [
      `add table netdev ${this.#table}; add chain netdev ${this.#table} in ${chain}; add rule netdev ${this.#table} in ${match} counter`,
    ]);
  }

  get count(): number {
    const rules = this.#host.run("nft", ["list", "table", "netdev", this.#table]);
    return Number(/counter packets (\d+)/.exec(rules)?.[1]);
  }

  async reaches(count: number): Promise<void> {
    await waitFor(() => this.count >= count, { what: () => `${count} frames, there are ${this.count}` });
  }
}
