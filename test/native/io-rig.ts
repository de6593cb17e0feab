/** An Io with its memory and all descriptors a test opens, closed together. Also the plain view of a frame descriptor. */
import {
  ACTION_BD,
  ACTION_FRAME,
  ACTION_OUTER,
  ACTION_PORT,
  ACTION_RESULT,
  ACTION_TEMPLATE,
  ACTION_TEMPLATE_LENGTH,
  ACTION_VTEP,
  ACTION_WORDS,
  AF_INET,
  AF_INET6,
  ARENA_BYTES,
  ASSOCIATION_TABLE_WORDS,
  FRAME_CSUM,
  FRAME_DATAGRAM_LENGTH,
  FRAME_DESTINATION,
  FRAME_DST_HI,
  FRAME_DST_LO,
  FRAME_FLAGS,
  FRAME_FLOW_HASH,
  FRAME_GSO,
  FRAME_HEADER_OFFSET,
  FRAME_HEADERS,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_PORT,
  FRAME_ROWS,
  FRAME_SEGMENTS,
  FRAME_SOURCE,
  FRAME_SOURCE_PORT,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  FRAME_TOS,
  FRAME_WORDS,
  MAX_ACTIONS,
  SLOT_BYTES,
  SLOT_HEADROOM,
  STATUS_WORDS,
  TAP_SLOTS,
  UDP_SLOTS,
  VTEP_ADDRESS_BYTES,
} from "../../src/binding/abi.ts";
import {
  addon,
  type Io,
  type IoMemory,
  type PacketSocketOptions,
  type RawOptions,
  type Tap,
  type TapOptions,
  type UdpOptions,
} from "../../src/binding/addon.ts";

export interface FrameView {
  readonly port: number;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  readonly dst: readonly [number, number];
  readonly src: readonly [number, number];
  readonly flowHash: number;
  readonly csum: number;
  readonly gso: number;
  readonly headers: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly headerOffset: number;
  readonly datagramLength: number;
  readonly tos: number;
  readonly segments: number;
}

/** What `Io` wants, filled with 0xa5 so that a word which nobody writes shows. */
export const makeMemory = (): IoMemory => {
  const bytes = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length)).fill(0xa5);
  const words = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(length * 4)).fill(-1515870811);
  return {
    arena: bytes(ARENA_BYTES),
    frames: words(FRAME_ROWS * FRAME_WORDS),
    actions: words(MAX_ACTIONS * ACTION_WORDS),
    status: new Int32Array(new SharedArrayBuffer(STATUS_WORDS * 4)),
    templates: bytes(4096),
    vteps: bytes(64 * VTEP_ADDRESS_BYTES),
    associations: new Int32Array(new SharedArrayBuffer(ASSOCIATION_TABLE_WORDS * 4)),
  };
};

/** 16 bytes in network order to text: four dotted numbers when it is a mapped IPv4 address, else hexadecimal. */
const addressText = (bytes: Uint8Array): string =>
  bytes.subarray(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff))
    ? bytes.subarray(12).join(".")
    : Buffer.from(bytes).toString("hex");

export class IoRig {
  readonly memory: IoMemory = makeMemory();
  readonly wakeFd: number = addon.openEvent();
  readonly io: Io = new addon.Io(this.memory, this.wakeFd);
  readonly #fds: number[] = [this.wakeFd];

  openTap(options: Partial<TapOptions> & { name: string }): Tap {
    const tap = addon.openTap({ kind: "tap", queues: 1, vnetHeader: true, up: true, ...options });
    this.#fds.push(...tap.fds);
    return tap;
  }

  /** `address` is 4 or 16 bytes. */
  openUdp(address: readonly number[], options: Partial<Omit<UdpOptions, "address">> = {}): number {
    const fd = addon.openUdp({
      address: Uint8Array.from(address),
      port: 0,
      reusePort: false,
      receiveInfo: false,
      ...options,
    });
    this.#fds.push(fd);
    return fd;
  }

  /** `address` is 4 or 16 bytes. */
  openRaw(address: readonly number[], protocol: number, options: Partial<RawOptions> = {}): number {
    const fd = addon.openRaw({ address: Uint8Array.from(address), protocol, ...options });
    this.#fds.push(fd);
    return fd;
  }

  /** `address` is 4 or 16 bytes. */
  openPackets(
    address: readonly number[],
    protocol: number,
    options: Partial<Omit<PacketSocketOptions, "address">> = {},
  ): number[] {
    const fds = addon.openPacketSockets({
      address: Uint8Array.from(address),
      protocol,
      isGroup: false,
      count: 1,
      receiveBuffer: 4 << 20,
      ...options,
    });
    this.#fds.push(...fds);
    return fds;
  }

  status(word: number): number {
    return this.memory.status[word]!;
  }

  frame(index: number): FrameView {
    const at = index * FRAME_WORDS;
    const word = (offset: number): number => this.memory.frames[at + offset]!;
    const address = (offset: number): string =>
      addressText(new Uint8Array(this.memory.frames.buffer, (at + offset) * 4, 16));
    return {
      port: word(FRAME_PORT),
      offset: word(FRAME_OFFSET),
      length: word(FRAME_LENGTH),
      flags: word(FRAME_FLAGS),
      dst: [word(FRAME_DST_HI), word(FRAME_DST_LO)],
      src: [word(FRAME_SRC_HI), word(FRAME_SRC_LO)],
      flowHash: word(FRAME_FLOW_HASH),
      csum: word(FRAME_CSUM),
      gso: word(FRAME_GSO),
      headers: word(FRAME_HEADERS),
      source: address(FRAME_SOURCE),
      destination: address(FRAME_DESTINATION),
      sourcePort: word(FRAME_SOURCE_PORT),
      headerOffset: word(FRAME_HEADER_OFFSET),
      datagramLength: word(FRAME_DATAGRAM_LENGTH),
      tos: word(FRAME_TOS),
      segments: word(FRAME_SEGMENTS),
    };
  }

  /** A copy of a received frame. */
  frameBytes(index: number): Uint8Array {
    const { offset, length } = this.frame(index);
    return this.memory.arena.slice(offset, offset + length);
  }

  /**
   * Puts a frame into the arena, with nothing in its descriptor but place, length, one segment and `words`. Each of the
   * first frames has a slot of its own; those that are more than the slots lie behind them, at half a slot.
   */
  putFrame(index: number, bytes: Uint8Array, words: Readonly<Record<number, number>> = {}): void {
    const slots = TAP_SLOTS + UDP_SLOTS;
    const offset = (index % slots) * SLOT_BYTES + SLOT_HEADROOM + (index < slots ? 0 : SLOT_BYTES / 2);
    if (index >= slots && bytes.length > SLOT_BYTES / 2 - SLOT_HEADROOM) throw new RangeError("no room for the frame");
    const descriptor = this.memory.frames.subarray(index * FRAME_WORDS, (index + 1) * FRAME_WORDS).fill(0);
    this.memory.arena.set(bytes, offset);
    descriptor[FRAME_OFFSET] = offset;
    descriptor[FRAME_LENGTH] = bytes.length;
    descriptor[FRAME_SEGMENTS] = 1;
    for (const [word, value] of Object.entries(words)) descriptor[Number(word)] = value;
  }

  /** Writes a slot of the VTEP address table. */
  putVtep(slot: number, address: readonly number[], port: number): void {
    const at = slot * VTEP_ADDRESS_BYTES;
    const view = new DataView(this.memory.vteps.buffer, at, VTEP_ADDRESS_BYTES);
    this.memory.vteps.fill(0, at, at + VTEP_ADDRESS_BYTES);
    const isIpv6 = address.length === 16;
    view.setUint16(0, isIpv6 ? AF_INET6 : AF_INET, true);
    view.setUint16(2, port);
    this.memory.vteps.set(address, at + (isIpv6 ? 8 : 4));
  }

  /** Writes an action whose result is set to a value that no errno has. */
  putAction(
    index: number,
    action: {
      port: number;
      frame: number;
      template?: number;
      templateLength?: number;
      vtep?: number;
      outer?: number;
      bd?: number;
    },
  ): void {
    const words = this.memory.actions.subarray(index * ACTION_WORDS, (index + 1) * ACTION_WORDS);
    words[ACTION_PORT] = action.port;
    words[ACTION_FRAME] = action.frame;
    words[ACTION_TEMPLATE] = action.template ?? 0;
    words[ACTION_TEMPLATE_LENGTH] = action.templateLength ?? 0;
    words[ACTION_VTEP] = action.vtep ?? 0;
    words[ACTION_OUTER] = action.outer ?? 0;
    words[ACTION_BD] = action.bd ?? 0;
    words[ACTION_RESULT] = -1;
  }

  result(action: number): number {
    return this.memory.actions[action * ACTION_WORDS + ACTION_RESULT]!;
  }

  /** Closes everything: the Io first, as it borrows the descriptors. */
  close(): void {
    this.io.close();
    for (const fd of this.#fds) addon.closeFd(fd);
    this.#fds.length = 0;
  }
}
