/**
 * The data plane without a kernel: a batch whose frames a test describes itself, and an Io that keeps what is sent. The
 * addon's part (parsing, system calls) is tested in test/native and test/netns; here only decisions are.
 */
import {
  ACTION_FRAME,
  ACTION_PORT,
  ACTION_RESULT,
  ACTION_TEMPLATE,
  ACTION_TEMPLATE_LENGTH,
  ACTION_VTEP,
  ACTION_WORDS,
  AF_INET,
  BATCH_FRAMES,
  FRAME_DATAGRAM_LENGTH,
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
  FRAME_SEGMENTS,
  FRAME_SOURCE,
  FRAME_SRC_HI,
  FRAME_SRC_LO,
  FRAME_WORDS,
  PORT_TAP,
  PORT_UDP_RX,
  PORT_UDP_TX,
  SLOT_HEADROOM,
  STATUS_NOW_MS,
  STATUS_NOW_S,
  VTEP_ADDRESS_BYTES,
} from "../../src/binding/abi.ts";
import { allocateBatch, type Batch } from "../../src/dataplane/batch.ts";
import {
  BD_ACCESS_PORT,
  BD_FLOOD,
  BD_LEARNING,
  BD_MAC_HI,
  BD_MAC_LO,
  BD_MTU,
} from "../../src/dataplane/bridge-domain.ts";
import { allocateCounters, type Counters } from "../../src/dataplane/counters.ts";
import { Forwarder } from "../../src/dataplane/forwarder.ts";
import { allocateTableMemory, openTables, type TableMemory, type Tables } from "../../src/dataplane/tables.ts";
import { allocateUpcalls, UpcallRing } from "../../src/dataplane/upcall-ring.ts";
import { addressWords, formatVtepAddress, parseVtepAddress } from "../../src/dataplane/vtep-address.ts";
import { parseMac, readMacHi, readMacLo } from "../../src/wire/mac.ts";
import { VXLAN_HEADER_BYTES, VXLAN_RULE, writeVxlan } from "../../src/wire/vxlan.ts";

/** What the addon says of a port that does not exist. */
const EINVAL = 22;

/** One copy as the kernel would have got it. */
export interface Sent {
  readonly port: number;
  readonly frame: number;
  /** Address, UDP port and VNI of a copy to a remote VTEP. */
  readonly to?: { readonly address: string; readonly port: number; readonly vni: number };
}

export interface OverlayFrame {
  readonly port: number;
  readonly dst: string;
  readonly src?: string;
  readonly length?: number;
  readonly hash?: number;
  /** All of the frame, where its content matters; `length` is then its own. */
  readonly bytes?: Uint8Array;
  /** Words of the descriptor that the addon would fill in, by number. */
  readonly words?: Readonly<Record<number, number>>;
}

export interface UnderlayFrame {
  readonly port: number;
  readonly from: string;
  readonly vni: number;
  readonly dst?: string;
  readonly src: string;
  readonly length?: number;
  readonly flags?: number;
  readonly headers?: number;
  readonly bytes?: Uint8Array;
  /** Changes the 8 header bytes. */
  readonly header?: (bytes: Uint8Array) => void;
  readonly datagramLength?: number;
}

export const macWords = (mac: string): [hi: number, lo: number] => {
  const bytes = parseMac(mac)!;
  return [readMacHi(bytes, 0), readMacLo(bytes, 0)];
};

const TX_SOCKETS = 4;
/** Only headers are looked at, so frames need not have a slot each. */
const FRAME_STRIDE = 64;
/** Where whole frames lie, one for each row, behind all headers; as in the arena with headroom before each. */
const WHOLE_FRAMES = FRAME_STRIDE * BATCH_FRAMES;
const WHOLE_FRAME_STRIDE = 4096;

export class MemoryVtep {
  readonly batch: Batch = allocateBatch();
  readonly memory: TableMemory;
  readonly tables: Tables;
  readonly counters: Counters = allocateCounters();
  readonly upcalls: UpcallRing = new UpcallRing(allocateUpcalls());
  readonly forwarder: Forwarder;
  readonly sent: Sent[] = [];
  /** errno for copies to an address, or to a port. */
  readonly refuse: Map<string | number, number> = new Map();
  readonly rxPort: number;
  readonly txPort: number;
  private count = 0;
  nowS = 1000;
  nowMs = 1000;

  constructor(fdbCapacity = 4096) {
    this.memory = allocateTableMemory(fdbCapacity);
    this.tables = openTables(this.memory);
    this.forwarder = new Forwarder(this.batch, this.tables, this.counters, this.upcalls, {
      send: (count) => this.send(count),
    });
    this.rxPort = this.tables.ports.allocate(PORT_UDP_RX, 0);
    this.tables.bindings.set(0, { kind: "vni", rule: VXLAN_RULE });
    this.txPort = this.tables.ports.allocate(PORT_UDP_TX, 0, TX_SOCKETS);
  }

  /** A tunnel with one TAP; returns its bridge domain and port. */
  tunnel(
    vni: number,
    options: {
      learning?: boolean;
      limit?: number;
      limitPerRemote?: number;
      isFair?: boolean;
      isDamped?: boolean;
      mac?: string;
      mtu?: number;
    } = {},
  ): { bd: number; port: number } {
    const { bridgeDomains, fdb, ports, vnis } = this.tables;
    const bd = bridgeDomains.allocate();
    const port = ports.allocate(PORT_TAP, bd);
    const [macHi, macLo] = macWords(options.mac ?? "02:00:00:00:ff:01");
    bridgeDomains.set(bd, BD_ACCESS_PORT, port);
    bridgeDomains.set(bd, BD_LEARNING, options.learning === false ? 0 : 1);
    fdb.accounts.setPolicy(bd, {
      limit: options.limit ?? 1024,
      limitPerRemote: options.limitPerRemote ?? 0,
      isFair: options.isFair ?? false,
      isDamped: options.isDamped ?? false,
    });
    bridgeDomains.set(bd, BD_MTU, options.mtu ?? 1450);
    bridgeDomains.set(bd, BD_MAC_HI, macHi);
    bridgeDomains.set(bd, BD_MAC_LO, macLo);
    vnis.set(0, vni, bd);
    return { bd, port };
  }

  remote(bd: number, address: string, vni: number, udpPort = 4789, indexed = true): number {
    const template = new Uint8Array(VXLAN_HEADER_BYTES);
    writeVxlan(template, 0, vni);
    const spec = {
      bd,
      address: parseVtepAddress(address),
      udpPort,
      vni,
      scopeId: 0,
      txPort: this.txPort,
      txMask: TX_SOCKETS - 1,
      txDfStep: 0,
    };
    return this.tables.remotes.insert({ ...spec, template, indexed }, this.nowS);
  }

  flood(bd: number, remotes: readonly number[]): void {
    this.tables.bridgeDomains.set(bd, BD_FLOOD, this.tables.floods.store(remotes, this.nowS));
  }

  fromTap(frame: OverlayFrame): this {
    const row = this.nextRow(frame.port);
    const { frames } = this.batch;
    this.describe(row, frame.dst, frame.src ?? "02:00:00:00:00:01", frame.bytes?.length ?? frame.length ?? 64);
    frames[row + FRAME_FLOW_HASH] = frame.hash ?? 0;
    if (frame.bytes !== undefined) this.place(row, frame.bytes);
    for (const [word, value] of Object.entries(frame.words ?? {})) frames[row + Number(word)] = value;
    return this;
  }

  fromUnderlay(frame: UnderlayFrame): this {
    const row = this.nextRow(frame.port);
    const { frames, arena } = this.batch;
    const length = frame.bytes?.length ?? frame.length ?? 64;
    const header = (row / FRAME_WORDS) * FRAME_STRIDE;
    arena.fill(0xa5, header, header + VXLAN_HEADER_BYTES);
    writeVxlan(arena, header, frame.vni);
    frame.header?.(arena.subarray(header, header + VXLAN_HEADER_BYTES));
    this.describe(row, frame.dst ?? "02:00:00:00:ff:01", frame.src, length);
    frames[row + FRAME_OFFSET] = header + VXLAN_HEADER_BYTES;
    frames[row + FRAME_HEADER_OFFSET] = header;
    frames[row + FRAME_DATAGRAM_LENGTH] = frame.datagramLength ?? length + VXLAN_HEADER_BYTES;
    frames[row + FRAME_FLAGS] = frame.flags ?? 0;
    frames[row + FRAME_HEADERS] = frame.headers ?? 0;
    frames.set(addressWords(parseVtepAddress(frame.from).mapped), row + FRAME_SOURCE);
    if (frame.bytes !== undefined) this.place(row, frame.bytes);
    return this;
  }

  /** Forwards what was described, and returns the copies made by it. */
  run(): Sent[] {
    this.batch.status[STATUS_NOW_S] = this.nowS;
    this.batch.status[STATUS_NOW_MS] = this.nowMs;
    this.sent.length = 0;
    const { count } = this;
    this.count = 0;
    this.forwarder.forward(count);
    return [...this.sent];
  }

  /** A forwarder on the same tables and batch whose copies go nowhere. */
  withoutRecording(): { forwarder: Forwarder } {
    return { forwarder: new Forwarder(this.batch, this.tables, this.counters, this.upcalls, { send: () => 0 }) };
  }

  /** GSO word of a frame of the last batch. */
  gso(frame: number): number {
    return this.batch.frames[frame * FRAME_WORDS + FRAME_GSO]!;
  }

  /** A frame of the last batch, as it is now. */
  bytes(frame: number): Uint8Array {
    const { arena, frames } = this.batch;
    const row = frame * FRAME_WORDS;
    const offset = frames[row + FRAME_OFFSET]!;
    return arena.slice(offset, offset + frames[row + FRAME_LENGTH]!);
  }

  private nextRow(port: number): number {
    const row = this.count++ * FRAME_WORDS;
    this.batch.frames.fill(0, row, row + FRAME_WORDS);
    this.batch.frames[row + FRAME_PORT] = port;
    return row;
  }

  private place(row: number, bytes: Uint8Array): void {
    const { arena, frames } = this.batch;
    const offset = WHOLE_FRAMES + (row / FRAME_WORDS) * WHOLE_FRAME_STRIDE + SLOT_HEADROOM;
    frames[row + FRAME_OFFSET] = offset;
    arena.fill(0xa5, offset - SLOT_HEADROOM, offset);
    arena.set(bytes, offset);
  }

  private describe(row: number, dst: string, src: string, length: number): void {
    const { frames } = this.batch;
    frames[row + FRAME_LENGTH] = length;
    frames[row + FRAME_SEGMENTS] = 1;
    [frames[row + FRAME_DST_HI], frames[row + FRAME_DST_LO]] = macWords(dst);
    [frames[row + FRAME_SRC_HI], frames[row + FRAME_SRC_LO]] = macWords(src);
  }

  private send(count: number): number {
    const { actions } = this.batch;
    let failures = 0;
    for (let action = 0; action < count * ACTION_WORDS; action += ACTION_WORDS) {
      const port = actions[action + ACTION_PORT]!;
      const isTap = this.tables.ports.kind(port) === PORT_TAP;
      const to = isTap ? undefined : this.destination(action);
      const errno = port < 0 ? EINVAL : (this.refuse.get(to?.address ?? port) ?? 0);
      actions[action + ACTION_RESULT] = errno;
      if (errno !== 0) failures++;
      else this.sent.push({ port, frame: actions[action + ACTION_FRAME]!, ...(to === undefined ? {} : { to }) });
    }
    return failures;
  }

  /** Reads header and address back from the shared memory, as the addon would use them. */
  private destination(action: number): { address: string; port: number; vni: number } {
    const { actions } = this.batch;
    const { vteps, templates } = this.tables.remotes.memory;
    const template = actions[action + ACTION_TEMPLATE]!;
    const length = actions[action + ACTION_TEMPLATE_LENGTH]!;
    const header = templates.slice(template, template + length);
    const at = actions[action + ACTION_VTEP]! * VTEP_ADDRESS_BYTES;
    const sockaddr = vteps.slice(at, at + VTEP_ADDRESS_BYTES);
    const mapped = new Uint8Array(16);
    if (new Uint16Array(sockaddr.buffer)[0] === AF_INET) mapped.set([0xff, 0xff, ...sockaddr.subarray(4, 8)], 10);
    else mapped.set(sockaddr.subarray(8, 24));
    return {
      address: formatVtepAddress(mapped),
      port: (sockaddr[2]! << 8) | sockaddr[3]!,
      vni: (header[4]! << 16) | (header[5]! << 8) | header[6]!,
    };
  }
}
