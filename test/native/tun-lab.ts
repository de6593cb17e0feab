/**
 * Two namespaces with a TUN each, and a tunnel between them that an Io at each end carries:
 *
 *   left:  TUN tun0 10.9.0.1, fd09::1 -- Io -- UDP --- 127.0.0.1, underlay --- UDP -- Io -- TUN tun0 10.9.0.2, fd09::2  :right
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { FEATURE_VNET_HEADER, HEADER_PAYLOAD_IP, PORT_TAP, PORT_UDP_RX, PORT_UDP_TX } from "../../src/binding/abi.ts";
import { addon, type TapOptions } from "../../src/binding/addon.ts";
import { IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const [TUN, RX, TX] = [1, 2, 3];
const LOOPBACK = [127, 0, 0, 1];
const BUFFER_BYTES = 16 << 20;

export interface TunnelOptions {
  readonly offload: NonNullable<TapOptions["offload"]>;
  readonly vnetHeader: boolean;
  /** Header layout, template, ACTION_OUTER. */
  readonly header: number;
  readonly template: (ipVersion: 4 | 6) => Uint8Array;
  readonly outer: number;
  readonly txFeatures: number;
  readonly rxFeatures: number;
}

class End {
  readonly netns: Netns = new Netns();
  readonly rig: IoRig = new IoRig();
  readonly receiver: number;
  /** Superframes read from the TUN, and merged frames written to it. */
  superframes = 0;
  merged = 0;
  readonly #options: TunnelOptions;

  constructor(options: TunnelOptions, underlay: Netns, number: 1 | 2) {
    this.#options = options;
    const { offload, vnetHeader, header, rxFeatures } = options;
    const tun = this.rig.openTap({ name: "tun0", kind: "tun", netns: this.netns.path, offload, vnetHeader, mtu: 1400 });
    this.netns.ip(`addr add 10.9.0.${number}/24 dev tun0`);
    this.netns.ip(`addr add fd09::${number}/64 dev tun0 nodad`);
    this.rig.io.add(TUN, tun.fds[0]!, PORT_TAP, HEADER_PAYLOAD_IP, vnetHeader ? FEATURE_VNET_HEADER : 0);
    this.receiver = this.rig.openUdp(LOOPBACK, { netns: underlay.path, receiveBuffer: BUFFER_BYTES, merge: true });
    this.rig.io.add(RX, this.receiver, PORT_UDP_RX, header, rxFeatures);
  }

  connect(underlay: Netns, other: End): void {
    const { header, txFeatures, template } = this.#options;
    const sender = this.rig.openUdp(LOOPBACK, { netns: underlay.path, discardInput: true, sendBuffer: BUFFER_BYTES });
    this.rig.io.add(TX, sender, PORT_UDP_TX, header, txFeatures);
    this.rig.putVtep(0, LOOPBACK, addon.udpPort(other.receiver));
    for (const version of [4, 6] as const) this.rig.memory.templates.set(template(version), version * 64);
  }

  /** One batch, from either side to the other. */
  forward(timeoutMs: number): void {
    const count = this.rig.io.receive(timeoutMs);
    for (let i = 0; i < count; i++) {
      const { port, gso, segments, offset } = this.rig.frame(i);
      if (port === TUN) {
        if (gso !== 0) this.superframes++;
        const version = this.rig.memory.arena[offset]! >> 4 === 6 ? 6 : 4;
        const templateLength = this.#options.template(version).length;
        const { outer } = this.#options;
        this.rig.putAction(i, { port: TX, frame: i, template: version * 64, templateLength, outer });
      } else {
        if (segments > 1) this.merged++;
        this.rig.putAction(i, { port: TUN, frame: i });
      }
    }
    this.rig.io.send(count);
  }

  close(): void {
    this.rig.close();
    this.netns.delete();
  }
}

export class TunLab {
  readonly left: End;
  readonly right: End;
  readonly #underlay: Netns = new Netns();

  constructor(options: TunnelOptions) {
    this.left = new End(options, this.#underlay, 1);
    this.right = new End(options, this.#underlay, 2);
    this.left.connect(this.#underlay, this.right);
    this.right.connect(this.#underlay, this.left);
  }

  /** Runs a program in the left namespace while the tunnel is carried. Returns what it said; throws when it fails. */
  async run(command: string, ...args: string[]): Promise<string> {
    return this.#runIn(this.left.netns, command, args);
  }

  /** Lets go of the program after it has said its first line, and carries the tunnel meanwhile. */
  async start(command: string, ...args: string[]): Promise<{ finished: Promise<string> }> {
    let [started, output] = [false, ""];
    const child = spawn("ip", ["netns", "exec", this.right.netns.name, command, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.on("data", (text: Buffer) => {
      started = true;
      output += text.toString();
    });
    const finished = once(child, "close").then(() => output);
    while (!started && child.exitCode === null) await this.#carry();
    return { finished };
  }

  async #runIn(netns: Netns, command: string, args: readonly string[]): Promise<string> {
    const child = spawn("ip", ["netns", "exec", netns.name, command, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (text: Buffer) => {
      output += text.toString();
    });
    let code: number | undefined;
    child.on("close", (exitCode) => {
      code = exitCode ?? -1;
    });
    while (code === undefined) await this.#carry();
    if (code !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${code}: ${output}`);
    return output;
  }

  async #carry(): Promise<void> {
    this.left.forward(1);
    this.right.forward(1);
    await nextTurn();
  }

  close(): void {
    this.left.close();
    this.right.close();
    this.#underlay.delete();
  }
}
