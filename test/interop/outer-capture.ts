/** What passes an underlay device: the outer headers of VXLAN packets as tcpdump tells them. */
import type { Child } from "../support/child.ts";
import type { Host } from "../support/host.ts";
import { waitFor } from "../support/wait-for.ts";

/** Longer than what hosts send by themselves: the capture sees the test's own pings only. */
const LEAST_LENGTH = 500;

export class OuterCapture {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(host: Host, dev: string): Promise<OuterCapture> {
    const filter = `udp dst port 4789 and greater ${LEAST_LENGTH}`;
    const child = host.spawn("tcpdump", ["--immediate-mode", "-nnvvlt", "-i", dev, filter]);
    await child.waitForOutput(/listening/);
    return new OuterCapture(child);
  }

  /** At least `count` packets of one sender: outer IP header, addresses, what is said of the UDP checksum. */
  async packets(from: string, count: number): Promise<string[]> {
    const found = (): string[] =>
      this.#child.stdout
        .split(/\n(?=IP6? )/)
        .filter((text) => /^IP6? \(.* UDP \(17\)/.test(text) && text.includes(`${from}.`) && text.includes("VXLAN"))
        .filter((text) => text.indexOf(`${from}.`) < text.indexOf(" > "));
    await waitFor(() => found().length >= count, { what: () => `${count} packets, have ${this.#child.stdout}` });
    return found();
  }

  stop(): Promise<unknown> {
    return this.#child.stop();
  }
}
