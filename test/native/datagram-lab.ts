/**
 * Datagrams with any tunnel header between two Ios in one namespace: `near` puts template and frame together, `far` takes
 * them apart by the header layout of its port.
 *
 *   near, UDP_TX ports --- 127.0.0.1 --- far, UDP_RX ports
 */
import { PORT_UDP_RX, PORT_UDP_TX } from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";

const LOOPBACK = [127, 0, 0, 1];
const BUFFER_BYTES = 16 << 20;
/** Bytes of each action's room in the templates. */
const TEMPLATE_ROOM = 256;

export interface Copy {
  readonly frame: Uint8Array;
  /** Words of the descriptor beside place and length. */
  readonly words?: Readonly<Record<number, number>>;
  /** Default none. */
  readonly template?: Uint8Array;
  /** ACTION_OUTER. */
  readonly outer?: number;
  /** ACTION_BD. */
  readonly bd?: number;
}

export interface Taken {
  readonly view: FrameView;
  /** Bytes before the frame. */
  readonly header: Uint8Array;
  /** Of a merged frame only the first part. */
  readonly bytes: Uint8Array;
}

export class DatagramLab {
  readonly netns: Netns = new Netns();
  readonly near: IoRig = new IoRig();
  readonly far: IoRig = new IoRig();

  /** `header`: layout. */
  addSender(port: number, header: number, features = 0): void {
    const fd = this.near.openUdp(LOOPBACK, {
      netns: this.netns.path,
      discardInput: true,
      sendBuffer: BUFFER_BYTES,
    });
    this.near.io.add(port, fd, PORT_UDP_TX, header, features);
  }

  /** A port that is reached as VTEP `port`. */
  addReceiver(port: number, header: number, features = 0): void {
    const fd = this.far.openUdp(LOOPBACK, { netns: this.netns.path, receiveBuffer: BUFFER_BYTES, merge: true });
    this.far.io.add(port, fd, PORT_UDP_RX, header, features);
    this.near.putVtep(port, LOOPBACK, addon.udpPort(fd));
  }

  /** Sends at most 16 copies from one port to another. Returns the results. */
  send(from: number, to: number, copies: readonly Copy[]): number[] {
    for (const [i, { frame, words, template = new Uint8Array(0), outer = 0, bd = 0 }] of copies.entries()) {
      this.near.putFrame(i, frame, words);
      const at = i * TEMPLATE_ROOM;
      this.near.memory.templates.set(template, at);
      this.near.putAction(i, {
        port: from,
        frame: i,
        template: at,
        templateLength: template.length,
        vtep: to,
        outer,
        bd,
      });
    }
    this.near.io.send(copies.length);
    return copies.map((_, i) => this.near.result(i));
  }

  /** Everything that is there; datagrams over loopback are when the send returns. */
  receiveAll(): Taken[] {
    const taken: Taken[] = [];
    for (let count = this.far.io.receive(0); count > 0; count = this.far.io.receive(0)) {
      for (let i = 0; i < count; i++) {
        const view = this.far.frame(i);
        const end = view.headerOffset + view.datagramLength;
        const at = (offset: number): number => Math.min(offset, end);
        taken.push({
          view,
          header: this.far.memory.arena.slice(view.headerOffset, at(view.offset)),
          bytes: this.far.memory.arena.slice(at(view.offset), end),
        });
      }
    }
    return taken;
  }

  close(): void {
    this.near.close();
    this.far.close();
    this.netns.delete();
  }
}
