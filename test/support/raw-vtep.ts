/**
 * A remote VTEP that knows nothing: it sends the datagrams a test crafts and keeps those it receives, so a test sees
 * exactly what is on the underlay. It runs as a program of its own in a host of the lab.
 */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { program } from "./program.ts";
import { waitFor } from "./wait-for.ts";

export interface ReceivedDatagram {
  /** Outer source. */
  readonly from: string;
  readonly port: number;
  /** UDP payload: VXLAN header and frame. */
  readonly bytes: Uint8Array;
}

export interface RawVtepOptions {
  /** Underlay address of the host. */
  readonly address: string;
  /** Default 4789. */
  readonly port?: number;
}

const PROGRAM = "raw-vtep-child";

export class RawVtep {
  readonly #child: Child;
  readonly #received: ReceivedDatagram[] = [];
  /** Bytes of the child's stdout that have been read. */
  #parsed = 0;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Returns when the socket is bound. */
  static async start(host: Host, { address, port = 4789 }: RawVtepOptions): Promise<RawVtep> {
    const child = host.spawn(process.execPath, [program(PROGRAM), address, String(port)]);
    await child.waitForOutput(/"ready":true/);
    return new RawVtep(child);
  }

  /** Sends from the bound address and port. */
  send(to: string, datagram: Uint8Array, port = 4789): void {
    this.#child.write(`${JSON.stringify({ to, port, hex: Buffer.from(datagram).toString("hex") })}\n`);
  }

  /** Everything received since the start or the last `clear`, oldest first. */
  received(): readonly ReceivedDatagram[] {
    const end = this.#child.stdout.lastIndexOf("\n") + 1;
    for (const line of this.#child.stdout.slice(this.#parsed, end).split("\n")) {
      if (!line.includes('"hex"')) continue;
      const { from, port, hex } = JSON.parse(line) as { from: string; port: number; hex: string };
      this.#received.push({ from, port, bytes: Buffer.from(hex, "hex") });
    }
    this.#parsed = end;
    return this.#received;
  }

  clear(): void {
    this.received();
    this.#received.length = 0;
  }

  /** The first datagram received that fits, waiting for it if need be. @throws Error when none comes in time. */
  receive(fits: (datagram: ReceivedDatagram) => boolean = () => true): Promise<ReceivedDatagram> {
    return waitFor(() => this.received().find(fits) as ReceivedDatagram, { what: "a fitting datagram" });
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}
