/** What comes in at a device of a host, packet by packet as it was, outer IP header and all; also what the host then drops by tc. */
import type { Child } from "./child.ts";
import type { Host } from "./host.ts";
import { waitFor } from "./wait-for.ts";

/** Packets of the IP protocols that are named. */
const PROGRAM = `
import socket, sys
wanted = [int(word) for word in sys.argv[2:]]
with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as tap:
    tap.bind((sys.argv[1], 3))
    print("ready", flush=True)
    while True:
        packet, (_, _, kind, *_) = tap.recvfrom(65536)
        if kind != socket.PACKET_OUTGOING and packet[9 if packet[0] >> 4 == 4 else 6] in wanted:
            print("packet", packet.hex(), flush=True)
`;

export class PacketCapture {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** Returns when it listens. */
  static async start(host: Host, dev: string, ...protocols: readonly number[]): Promise<PacketCapture> {
    const child = host.spawn("python3", ["-c", PROGRAM, dev, ...protocols.map(String)]);
    await child.waitForOutput(/^ready/m);
    return new PacketCapture(child);
  }

  /** Everything since the start, oldest first; at least `count`. */
  async packets(count = 0): Promise<Uint8Array[]> {
    const lines = (): string[] => this.#child.stdout.match(/^packet .*(?=\n)/gm) ?? [];
    await waitFor(() => lines().length >= count, { what: () => `${count} packets, have ${lines().length}` });
    return lines().map((line) => new Uint8Array(Buffer.from(line.slice("packet ".length), "hex")));
  }

  stop(): Promise<unknown> {
    return this.#child.stop();
  }
}
