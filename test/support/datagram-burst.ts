/** Bursts of UDP datagrams between two hosts, both ways at once, received by sockets that know nothing of merging. */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { program } from "./program.ts";

const PROGRAM = "datagram-burst-child";
const PORT = "7000";
const TIMEOUT_MS = 30_000;

export interface BurstReport {
  readonly count: number;
  /** Each size seen, negative where the content was wrong. */
  readonly sizes: readonly number[];
  readonly isInOrder: boolean;
}

export class DatagramBurst {
  readonly #ends: readonly Child[];

  private constructor(ends: readonly Child[]) {
    this.#ends = ends;
  }

  /** Starts a program on each host, which takes a while: `run` waits for that. `peer` is the address to send to. */
  static start(hosts: readonly { host: Host; peer: string }[], count: number, bytes: number): DatagramBurst {
    const ends = hosts.map(({ host, peer }) =>
      host.spawn(process.execPath, [program(PROGRAM), peer, PORT, String(count), String(bytes)]),
    );
    return new DatagramBurst(ends);
  }

  /** Sends, once. Returns what each host received. */
  async run(): Promise<BurstReport[]> {
    await Promise.all(this.#ends.map((end) => end.waitForOutput(/listening/, TIMEOUT_MS)));
    for (const end of this.#ends) end.write("go\n");
    const lines = await Promise.all(this.#ends.map((end) => end.waitForOutput(/\{.*\}/, TIMEOUT_MS)));
    return lines.map(([line]) => JSON.parse(line) as BurstReport);
  }
}
