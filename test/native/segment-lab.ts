/**
 * Superframes on their way between two Ios in one namespace: `near` sends what a test puts there, `far` receives.
 *
 *   near, UDP_TX port SENDER --- 127.0.0.1 --- far, UDP_RX ports
 *
 * Two of them, because an Io that has merged frames takes their descriptors for merged ones until the next receive.
 */
import {
  FEATURE_SEGMENT,
  FLAG_PARTIAL_CSUM,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_SEGMENTS,
  PORT_UDP_RX,
  PORT_UDP_TX,
  SLOT_BYTES,
} from "../../src/binding/abi.ts";
import { addon, type UdpOptions } from "../../src/binding/addon.ts";
import { type FrameView, IoRig } from "./io-rig.ts";
import { Netns } from "./netns.ts";
import { GSO_UDP_L4, type Superframe } from "./superframes.ts";

const LOOPBACK = [127, 0, 0, 1];
/** Room for some thousand datagrams, each of which costs the kernel a multiple of its bytes. */
const BUFFER_BYTES = 64 << 20;
/** Bits of the vnet header's type that the descriptor's lacks: ECN and Accurate ECN. */
const ECN_BITS = 0x90;

export const SENDER = 1;
export const HEADER_BYTES = 8;
/** What is put in front of every frame. */
export const HEADER: Uint8Array = Uint8Array.of(8, 0, 0, 0, 0, 0, 42, 0);

/** What a TAP read would have written into the descriptor of this superframe. */
export const wordsOf = (frame: Superframe, gsoSize: number): Record<number, number> => {
  const type = frame.gsoType & ~ECN_BITS;
  return {
    [FRAME_FLAGS]: FLAG_PARTIAL_CSUM,
    [FRAME_CSUM]: frame.transportOffset | ((type === GSO_UDP_L4 ? 6 : 16) << 16),
    [FRAME_GSO]: gsoSize | (type << 16),
    [FRAME_HEADERS]: frame.headerLength | (frame.ipOffset << 16),
    [FRAME_SEGMENTS]: Math.ceil((frame.bytes.length - frame.headerLength) / gsoSize),
  };
};

/** A frame received alone, or the first part of a merged one. */
export interface Received {
  readonly view: FrameView;
  readonly header: Uint8Array;
  /** Of a merged frame only the first part. */
  readonly bytes: Uint8Array;
  /** Frames with the same number came in one message, if they came in one batch. */
  readonly message: string;
}

export class SegmentLab {
  readonly netns: Netns = new Netns();
  readonly near: IoRig = new IoRig();
  readonly far: IoRig = new IoRig();
  #batches = 0;

  /** Adds the sending port. `features` default FEATURE_SEGMENT. */
  addSender(options: Partial<UdpOptions> = {}, features: number = FEATURE_SEGMENT, port: number = SENDER): void {
    const fd = this.near.openUdp([0, 0, 0, 0], {
      netns: this.netns.path,
      discardInput: true,
      sendBuffer: BUFFER_BYTES,
      ...options,
    });
    this.near.io.add(port, fd, PORT_UDP_TX, 0, features);
    this.near.memory.templates.set(HEADER);
  }

  /** Adds a receiving port that `send` reaches as VTEP `port`. */
  addReceiver(port: number, options: Partial<UdpOptions> = {}, features = 0): void {
    const fd = this.far.openUdp(LOOPBACK, {
      netns: this.netns.path,
      receiveBuffer: BUFFER_BYTES,
      receiveInfo: true,
      ...options,
    });
    this.far.io.add(port, fd, PORT_UDP_RX, HEADER_BYTES, features);
    this.near.putVtep(port, LOOPBACK, addon.udpPort(fd));
  }

  /** Sends frames that were put into `near`, each as [frame, VTEP]. Returns the results. */
  send(copies: readonly (readonly [frame: number, vtep: number])[], port: number = SENDER): number[] {
    for (const [i, [frame, vtep]] of copies.entries()) {
      this.near.putAction(i, { port, frame, vtep, template: 0, templateLength: HEADER_BYTES });
    }
    const failed = this.near.io.send(copies.length);
    const results = copies.map((_, i) => this.near.result(i));
    if (results.filter((result) => result !== 0).length !== failed) throw new Error(`send says ${failed}: ${results}`);
    return results;
  }

  /** Puts the frames into `near`, from descriptor 0 on, and sends each once. */
  sendAll(frames: readonly Uint8Array[], vtep: number, port: number = SENDER): number[] {
    for (const [i, frame] of frames.entries()) this.near.putFrame(i, frame);
    return this.send(
      frames.map((_, i) => [i, vtep] as const),
      port,
    );
  }

  /** Puts a superframe at descriptor `index` of `near`. */
  putSuperframe(index: number, frame: Superframe, gsoSize: number): void {
    this.near.putFrame(index, frame.bytes, wordsOf(frame, gsoSize));
  }

  /** One batch. */
  receive(timeoutMs = 0): Received[] {
    const count = this.far.io.receive(timeoutMs);
    this.#batches++;
    return Array.from({ length: count }, (_, i) => {
      const view = this.far.frame(i);
      const at = view.headerOffset;
      return {
        view,
        header: this.far.memory.arena.slice(at, at + HEADER_BYTES),
        bytes: this.far.memory.arena.slice(view.offset, at + view.datagramLength),
        message: `${this.#batches}/${Math.floor(at / SLOT_BYTES)}`,
      };
    });
  }

  /** Everything that is there; datagrams over loopback are when the send returns. */
  receiveAll(): Received[] {
    const frames: Received[] = [];
    for (let batch = this.receive(); batch.length > 0; batch = this.receive()) frames.push(...batch);
    return frames;
  }

  close(): void {
    this.near.close();
    this.far.close();
    this.netns.delete();
  }
}
