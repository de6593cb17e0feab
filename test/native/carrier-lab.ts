/**
 * IP packets of any protocol on their way from one namespace to another: `near` sends them through raw sockets, `far`
 * receives them through packet sockets.
 *
 *   near  v0 192.0.2.1, 2001:db8::1 --- v1 192.0.2.2, 2001:db8::2  far
 */
import { execFileSync } from "node:child_process";
import { PORT_PACKET_RX, PORT_UDP_TX } from "../../src/binding/abi.ts";
import type { PacketSocketOptions, RawOptions } from "../../src/binding/addon.ts";
import type { Copy } from "./datagram-lab.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const macOf = (host: number): string => `02:00:00:00:00:0${host}`;
/** Bytes of each copy's room in the templates. */
const TEMPLATE_ROOM = 64;
export const GRE = 47;
export const NEAR4: readonly number[] = [192, 0, 2, 1];
export const FAR4: readonly number[] = [192, 0, 2, 2];
const PREFIX6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
export const NEAR6: readonly number[] = [...PREFIX6, 1];
export const FAR6: readonly number[] = [...PREFIX6, 2];

export interface Arrived {
  readonly view: FrameView;
  /** The tunnel header. */
  readonly header: Uint8Array;
  readonly bytes: Uint8Array;
}

export class CarrierLab {
  readonly near: Netns = new Netns();
  readonly far: Netns = new Netns();
  readonly sending: IoRig = new IoRig();
  readonly receiving: IoRig = new IoRig();
  #ports = 1;

  constructor() {
    this.near.ip(`link add v0 address ${macOf(1)} type veth peer name v1 address ${macOf(2)} netns ${this.far.name}`);
    for (const [netns, device, host] of [
      [this.near, "v0", 1],
      [this.far, "v1", 2],
    ] as const) {
      netns.ip(`address add 192.0.2.${host}/24 dev ${device}`);
      netns.ip(`address add 2001:db8::${host}/64 dev ${device} nodad`);
      netns.ip(`link set ${device} up`);
      // Nobody has to ask first, which takes a second over IPv6 when the other end is not up yet.
      const peer = 3 - host;
      for (const address of [`192.0.2.${peer}`, `2001:db8::${peer}`]) {
        netns.ip(`neigh replace ${address} lladdr ${macOf(peer)} dev ${device} nud permanent`);
      }
    }
  }

  /** A raw socket in `near`, as a port to send from. */
  addSender(address: readonly number[], protocol: number, options: Partial<RawOptions> = {}): number {
    const fd = this.sending.openRaw(address, protocol, { netns: this.near.path, ...options });
    this.sending.io.add(this.#ports, fd, PORT_UDP_TX, 0, 0);
    return this.#ports++;
  }

  /** Packet sockets in `far`, as ports to receive from; `header` is a layout. */
  addReceivers(
    address: readonly number[],
    protocol: number,
    options: Partial<PacketSocketOptions> = {},
    header = 0,
  ): number[] {
    const fds = this.receiving.openPackets(address, protocol, { netns: this.far.path, ...options });
    return fds.map((fd) => {
      this.receiving.io.add(this.#ports, fd, PORT_PACKET_RX, header, 0);
      return this.#ports++;
    });
  }

  /** Sends what IP packets shall carry: bytes, or frames behind templates. Returns the errnos. */
  send(port: number, destination: readonly number[], copies: readonly (Uint8Array | Copy)[]): number[] {
    this.sending.putVtep(0, destination, 0);
    for (const [i, copy] of copies.entries()) {
      const {
        frame,
        words,
        template = new Uint8Array(0),
        outer = 0,
      } = copy instanceof Uint8Array ? { frame: copy } : copy;
      this.sending.putFrame(i, frame, words);
      this.sending.memory.templates.set(template, i * TEMPLATE_ROOM);
      const place = { template: i * TEMPLATE_ROOM, templateLength: template.length };
      this.sending.putAction(i, { port, frame: i, ...place, outer });
    }
    this.sending.io.send(copies.length);
    return copies.map((_, i) => this.sending.result(i));
  }

  /**
   * Lets the kernel at `far` merge what arrives (GRO), as it does for network cards. The sender cuts everything, and what
   * arrives within the timeout, in nanoseconds, is looked at together: over a veth each packet is a batch of its own.
   */
  mergeAtFar(timeoutNs = 50_000_000): void {
    const run = (netns: Netns, command: string): void =>
      void execFileSync("ip", ["netns", "exec", netns.name, "sh", "-c", command]);
    run(this.near, "ethtool -K v0 tso off");
    run(this.far, `ethtool -K v1 gro on && echo ${timeoutNs} >/sys/class/net/v1/gro_flush_timeout`);
  }

  /** Up to `count` frames; fewer when none comes for `timeoutMs`. */
  receive(count: number, timeoutMs = 5000): Arrived[] {
    const frames: Arrived[] = [];
    while (frames.length < count) {
      const got = this.receiving.io.receive(timeoutMs);
      if (got === 0) break;
      for (let i = 0; i < got; i++) {
        const view = this.receiving.frame(i);
        const { arena } = this.receiving.memory;
        const end = view.headerOffset + view.datagramLength;
        frames.push({
          view,
          header: arena.slice(view.headerOffset, view.offset),
          bytes: arena.slice(view.offset, end),
        });
      }
    }
    return frames;
  }

  close(): void {
    this.sending.close();
    this.receiving.close();
    this.near.delete();
    this.far.delete();
  }
}
