/** A name server in a host of the lab, whose answers a test changes while it runs. */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { program } from "./program.ts";
import { waitFor } from "./wait-for.ts";

const PROGRAM = "dns-server-child";

export class DnsServer {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Returns when it answers. @param address of the host, without prefix length */
  static async start(host: Host, address: string, port = 53): Promise<DnsServer> {
    const child = host.spawn(process.execPath, [program(PROGRAM), address, String(port)]);
    await child.waitForOutput(/"ready":true/);
    return new DnsServer(child);
  }

  /** What the name has from now on; without addresses there is no such name. @param ttl seconds */
  async set(name: string, addresses: readonly string[], ttl = 5): Promise<void> {
    await this.#change({ name, records: addresses.map((address) => ({ address, ttl })) });
  }

  /** Queries for the name fail from now on. */
  async fail(name: string): Promise<void> {
    await this.#change({ name, failing: true });
  }

  /** Queries that came for the name, of all types. */
  queries(name: string): number {
    return this.#lines(`{"query":"${name}"`);
  }

  async #change(entry: { readonly name: string; [key: string]: unknown }): Promise<void> {
    const said = `{"set":"${entry.name}"}`;
    const before = this.#lines(said);
    this.#child.write(`${JSON.stringify(entry)}\n`);
    await waitFor(() => this.#lines(said) > before, { what: `the name server to know ${entry.name}` });
  }

  #lines(start: string): number {
    return this.#child.stdout.split("\n").filter((line) => line.startsWith(start)).length;
  }
}
