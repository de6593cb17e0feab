/**
 * A network of hosts on one machine, for tests and benchmarks with real devices.
 *
 *     const lab = Lab.create();
 *     const left = lab.host("left");
 *     const right = lab.host("right");
 *     lab.wire(left, "eth0", right, "eth0", { mode: "wire-like", addresses: ["192.0.2.1/24", "192.0.2.2/24"] });
 *     ...
 *     await lab.close();
 *
 * Each host is a network namespace, each wire a veth pair made directly inside the two namespaces, so nothing is ever
 * visible in the namespace the test itself runs in. Names carry the pid and a counter: labs of several processes can
 * live side by side. `close` stops the programs and removes the namespaces; when the process ends without it (a failed
 * test, an exception), an exit hook does the same without waiting.
 *
 * A veth pair with default offloads is not a wire: it passes superframes of up to 64 KB and unfinished checksums from
 * one host to the other. Both situations are real (containers of one machine; two machines), so a wire says which:
 *   wire-like  segmentation and checksums are done before the wire, the receiver may merge (GRO)
 *   virtual    the kernel's defaults
 */
import { spawnSync } from "node:child_process";
import { addressLine, Host } from "./host.ts";

export type WireMode = "wire-like" | "virtual";

export interface WireOptions {
  /** Default "wire-like". */
  readonly mode?: WireMode;
  /** Bytes; default 1500. */
  readonly mtu?: number;
  /** One address with prefix length per end; default none. */
  readonly addresses?: readonly [string, string];
}

const WIRE_LIKE = "tx off tso off gso off gro on";

let labs = 0;

export class Lab {
  readonly #prefix: string;
  readonly #hosts: Host[] = [];
  readonly #onExit = (): void => this.#closeNow();
  #closed = false;

  private constructor() {
    labs += 1;
    this.#prefix = `lab${process.pid}-${labs}`;
    process.on("exit", this.#onExit);
  }

  static create(): Lab {
    return new Lab();
  }

  /** Why there can be no lab here, or undefined: for `describe.skipIf(Lab.refusal())`. */
  static refusal(): string | undefined {
    if (process.getuid?.() !== 0) return "network namespaces need root";
    for (const [program, args] of [
      ["ip", ["-V"]],
      ["nsenter", ["--version"]],
      ["ethtool", ["--version"]],
    ] as const) {
      if (spawnSync(program, args, { stdio: "ignore" }).status !== 0) return `the program ${program} is missing`;
    }
    return undefined;
  }

  /** A new host. The label is for messages and namespace names: a few lower-case letters. */
  host(label: string): Host {
    const host = new Host(label, `${this.#prefix}-${label}`);
    this.#hosts.push(host);
    return host;
  }

  /** Connects two hosts by a veth pair; both ends are up when this returns. */
  wire(left: Host, leftDev: string, right: Host, rightDev: string, options: WireOptions = {}): void {
    const mtu = String(options.mtu ?? 1500);
    // The right end is moved by the same command, so it never exists anywhere else under its name.
    left.ip(
      "link",
      "add",
      leftDev,
      "mtu",
      mtu,
      "type",
      "veth",
      "peer",
      "name",
      rightDev,
      "mtu",
      mtu,
      "netns",
      right.netns,
    );
    const ends = [
      [left, leftDev, options.addresses?.[0]],
      [right, rightDev, options.addresses?.[1]],
    ] as const;
    const isWireLike = (options.mode ?? "wire-like") === "wire-like";
    for (const [host, dev, address] of ends) {
      const lines = [`ip link set ${dev} up`];
      if (isWireLike) lines.unshift(`ethtool -K ${dev} ${WIRE_LIKE}`);
      if (address !== undefined) lines.push(addressLine(dev, address));
      host.script(lines);
    }
  }

  /** Stops all programs and removes all hosts. Harmless when called twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await Promise.all(this.#hosts.map((host) => host.stopChildren()));
    this.#closeNow();
    process.off("exit", this.#onExit);
  }

  #closeNow(): void {
    this.#closed = true;
    for (const host of this.#hosts) {
      host.killChildrenNow();
      host.remove();
    }
  }
}
