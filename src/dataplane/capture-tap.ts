/**
 * Where captures take frames from a worker: what came, before anything has changed it, and what goes out, when the kernel has
 * said yes or no. It stands between the loop and its Io only while a capture runs (forwarder.ts); else it costs one test a batch.
 *
 * A frame that came is judged after the batch, when it is known what became of it, but its headers may have been rewritten
 * by then: so the first KEPT_BYTES of each are kept. Everything behind them is still in the arena, where nobody changes it.
 */
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
  BATCH_FRAMES,
  FLAG_IP_PACKET,
  FRAME_BD,
  FRAME_DATAGRAM_LENGTH,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADER_OFFSET,
  FRAME_LENGTH,
  FRAME_OFFSET,
  FRAME_PORT,
  FRAME_REASON,
  FRAME_SEGMENTS,
  FRAME_SOURCE,
  FRAME_SOURCE_PORT,
  FRAME_TOS,
  FRAME_WORDS,
  PORT_TAP,
} from "../binding/abi.ts";
import type { Batch } from "./batch.ts";
import { BD_PAYLOADS, BD_WORDS, ETHERNET, ETHERNET_IN_GRE } from "./bridge-domain.ts";
import { type CaptureContext, INBOUND, OUTBOUND, passes } from "./capture-filter.ts";
import {
  CAPTURE_BD,
  CAPTURE_BINDING,
  CAPTURE_CAPTURED,
  CAPTURE_FLAGS,
  CAPTURE_GSO,
  CAPTURE_HEAD,
  CAPTURE_HEAD_LENGTH,
  CAPTURE_KIND,
  CAPTURE_LENGTH,
  CAPTURE_OUTER,
  CAPTURE_PORT,
  CAPTURE_REASON,
  CAPTURE_REMOTE,
  CAPTURE_SEGMENTS,
  CAPTURE_SKEW,
  CAPTURE_SOURCE,
  CAPTURE_SOURCE_PORT,
  CAPTURE_TIME,
  CAPTURED_FROM_DEVICE,
  CAPTURED_RECEIVED,
  CAPTURED_SENT,
  CAPTURED_TO_DEVICE,
  CaptureRing,
  RECORD_WORDS,
} from "./capture-ring.ts";
import type { Sender } from "./encap.ts";
import { PacketFields } from "./packet-fields.ts";
import { PORT_KIND, PORT_OWNER, PORT_WORDS } from "./port-table.ts";
import { REMOTE_ADDRESS, REMOTE_WORDS } from "./remote-table.ts";
import { dropReasonOfErrno } from "./send-error.ts";
import type { Tables } from "./tables.ts";

/** More than the headers of any packet whose headers anything here rewrites. A multiple of 4. */
const KEPT_BYTES = 384;
const KEPT_STRIDE: number = KEPT_BYTES + 64;
/** Of each frame that came: where it begins in the arena, its bytes, and where the inner frame begins in it. */
const NOTE_WORDS = 6;
const NOTE_START = 0;
const NOTE_LENGTH = 1;
const NOTE_INNER = 2;
const NOTE_SEGMENTS = 3;
const NOTE_GSO = 4;
const NOTE_FLAGS = 5;

/** What a capture takes. */
export const LAYER_INNER = 1;
export const LAYER_OUTER = 2;

/** One capture, as a worker gets it. */
export interface CaptureSetup {
  readonly ring: Int32Array;
  /** capture-filter.ts */
  readonly program: Int32Array;
  /** Only this bridge domain; 0 = all, and what belongs to none. */
  readonly bd: number;
  /** LAYER_* bits. */
  readonly layers: number;
  /** Bytes of each frame, at most. */
  readonly snapLength: number;
}

interface Capture extends Omit<CaptureSetup, "ring"> {
  readonly id: number;
  readonly ring: CaptureRing;
}

export class CaptureTap implements Sender {
  private readonly batch: Batch;
  private readonly arenaWords: Int32Array;
  private readonly ports: Int32Array;
  private readonly domains: Int32Array;
  private readonly remotes: Int32Array;
  private readonly templates: Uint8Array;
  private readonly sender: Sender;
  private captures: readonly Capture[] = [];
  private readonly kept = new Uint8Array(new ArrayBuffer(BATCH_FRAMES * KEPT_STRIDE));
  private readonly keptWords: Int32Array = new Int32Array(this.kept.buffer);
  private readonly notes = new Int32Array(BATCH_FRAMES * NOTE_WORDS);
  private readonly fields = new PacketFields();
  private readonly context: CaptureContext = {
    direction: 0,
    reason: 0,
    bd: 0,
    hasOuter: false,
    outer: new Int32Array(8),
  };
  private startMs = 0;

  constructor(batch: Batch, tables: Tables, sender: Sender) {
    this.batch = batch;
    this.arenaWords = new Int32Array(batch.arena.buffer, batch.arena.byteOffset, batch.arena.length >> 2);
    this.ports = tables.ports.words;
    this.domains = tables.bridgeDomains.words;
    this.remotes = tables.remotes.memory.words;
    this.templates = tables.remotes.memory.templates;
    this.sender = sender;
  }

  get isOn(): boolean {
    return this.captures.length > 0;
  }

  /** Between batches. */
  begin(id: number, { ring, ...setup }: CaptureSetup): void {
    this.captures = [...this.captures, { id, ring: new CaptureRing(ring), ...setup }];
  }

  /** Between batches. */
  end(id: number): void {
    this.captures = this.captures.filter((capture) => capture.id !== id);
  }

  /** The first `count` frames have come. */
  before(count: number): void {
    const { frames } = this.batch;
    const { notes } = this;
    this.startMs = performance.timeOrigin + performance.now();
    for (let frame = 0; frame < count; frame++) {
      const row = frame * FRAME_WORDS;
      const note = frame * NOTE_WORDS;
      const inner = frames[row + FRAME_OFFSET]!;
      const isTap = this.isTap(frames[row + FRAME_PORT]!);
      const start = isTap ? inner : frames[row + FRAME_HEADER_OFFSET]!;
      const merged = inner - start + frames[row + FRAME_LENGTH]!;
      const length = isTap ? merged : Math.max(merged, frames[row + FRAME_DATAGRAM_LENGTH]!);
      notes[note + NOTE_START] = start;
      notes[note + NOTE_LENGTH] = length;
      notes[note + NOTE_INNER] = inner - start;
      notes[note + NOTE_SEGMENTS] = frames[row + FRAME_SEGMENTS]!;
      notes[note + NOTE_GSO] = frames[row + FRAME_GSO]!;
      notes[note + NOTE_FLAGS] = frames[row + FRAME_FLAGS]!;
      frames[row + FRAME_BD] = 0;
      frames[row + FRAME_REASON] = 0;
      const kept = this.keptAt(frame, start);
      copyWords(this.arenaWords, start, this.keptWords, kept, Math.min(length, KEPT_BYTES));
    }
  }

  /** All that became of them is known. */
  after(count: number): void {
    const { frames } = this.batch;
    const { context } = this;
    for (let frame = 0; frame < count; frame++) {
      const row = frame * FRAME_WORDS;
      const port = frames[row + FRAME_PORT]! * PORT_WORDS;
      const isTap = this.isTap(frames[row + FRAME_PORT]!);
      context.reason = frames[row + FRAME_REASON]!;
      context.bd = isTap ? this.ports[port + PORT_OWNER]! : frames[row + FRAME_BD]!;
      context.direction = isTap ? OUTBOUND : INBOUND;
      context.hasOuter = !isTap;
      if (!isTap) {
        for (let i = 0; i < 8; i++) context.outer[i] = swap(frames[row + FRAME_SOURCE + i]!);
      }
      this.take(frame, row, isTap);
    }
  }

  /** Sends, and takes what was sent and what was refused. Its time is before the answers to it, which other workers may get at once. */
  send(count: number): number {
    const nowMs = Math.max(performance.timeOrigin + performance.now(), this.startMs + 0.001);
    const refused = this.sender.send(count);
    const { actions } = this.batch;
    for (let action = 0; action < count * ACTION_WORDS; action += ACTION_WORDS) this.takeCopy(action, nowMs, actions);
    return refused;
  }

  private take(frame: number, row: number, isTap: boolean): void {
    const { context, fields, notes } = this;
    const note = frame * NOTE_WORDS;
    const inner = notes[note + NOTE_INNER]!;
    const length = notes[note + NOTE_LENGTH]!;
    const kept = this.keptAt(frame, notes[note + NOTE_START]!);
    const available = Math.min(length, KEPT_BYTES) - inner;
    fields.read(
      this.kept,
      kept + inner,
      available,
      length - inner,
      this.isPacket(context.bd, notes[note + NOTE_FLAGS]!),
    );
    for (let n = 0; n < this.captures.length; n++) {
      const capture = this.captures[n]!;
      if (!this.wants(capture)) continue;
      if (isTap) {
        if ((capture.layers & LAYER_INNER) !== 0) this.takeKept(capture, frame, row, CAPTURED_FROM_DEVICE, 0);
        continue;
      }
      if ((capture.layers & LAYER_OUTER) !== 0) this.takeKept(capture, frame, row, CAPTURED_RECEIVED, 0);
      // What is delivered is taken as it is then; what is not has no other moment.
      const isLost = context.reason !== 0 && context.bd !== 0 && available > 0;
      if (isLost && (capture.layers & LAYER_INNER) !== 0) this.takeKept(capture, frame, row, CAPTURED_TO_DEVICE, inner);
    }
  }

  /** @param skipped bytes of it that are left out at its beginning */
  private takeKept(capture: Capture, frame: number, row: number, kind: number, skipped: number): void {
    const { notes, context } = this;
    const { frames } = this.batch;
    const note = frame * NOTE_WORDS;
    const length = notes[note + NOTE_LENGTH]! - skipped;
    const captured = Math.max(0, Math.min(length, capture.snapLength));
    const { ring } = capture;
    const record = ring.begin(captured);
    if (record === 0) return;
    const { words } = ring;
    this.describe(capture, record, kind, this.startMs);
    words[record + CAPTURE_REASON] = context.reason;
    words[record + CAPTURE_LENGTH] = length;
    words[record + CAPTURE_HEAD_LENGTH] = kind === CAPTURED_RECEIVED ? notes[note + NOTE_INNER]! : 0;
    words[record + CAPTURE_CAPTURED] = captured;
    words[record + CAPTURE_SEGMENTS] = notes[note + NOTE_SEGMENTS]!;
    words[record + CAPTURE_GSO] = notes[note + NOTE_GSO]!;
    words[record + CAPTURE_FLAGS] = notes[note + NOTE_FLAGS]!;
    words[record + CAPTURE_PORT] = frames[row + FRAME_PORT]!;
    words[record + CAPTURE_OUTER] = frames[row + FRAME_TOS]!;
    for (let i = 0; i < 8; i++) words[record + CAPTURE_SOURCE + i] = frames[row + FRAME_SOURCE + i]!;
    words[record + CAPTURE_SOURCE_PORT] = frames[row + FRAME_SOURCE_PORT]!;
    words[record + CAPTURE_BINDING] = this.ports[frames[row + FRAME_PORT]! * PORT_WORDS + PORT_OWNER]!;
    const start = notes[note + NOTE_START]! + skipped;
    const from = this.keptAt(frame, notes[note + NOTE_START]!) + skipped;
    const skew = start & 3;
    words[record + CAPTURE_SKEW] = skew;
    const to = (record + RECORD_WORDS) * 4 + skew;
    const headers = Math.max(0, Math.min(captured, KEPT_BYTES - skipped));
    // The rest first: the last word of the headers may have bytes of it, and the other way round it would be old ones.
    const rest = headers & ~3;
    if (captured > headers) copyWords(this.arenaWords, start + rest, words, to + rest, captured - rest);
    copyBytes(this.kept, from, ring.bytes, to, headers);
    ring.commit();
  }

  private takeCopy(action: number, nowMs: number, actions: Int32Array): void {
    const { context, fields } = this;
    const { frames, arena } = this.batch;
    const row = actions[action + ACTION_FRAME]! * FRAME_WORDS;
    const port = actions[action + ACTION_PORT]!;
    const isTap = port >= 0 && this.isTap(port);
    const errno = actions[action + ACTION_RESULT]!;
    const remote = actions[action + ACTION_VTEP]!;
    context.bd = actions[action + ACTION_BD]!;
    context.reason = errno === 0 ? 0 : dropReasonOfErrno(errno);
    context.direction = isTap ? INBOUND : OUTBOUND;
    context.hasOuter = !isTap;
    if (!isTap) {
      for (let i = 0; i < 4; i++) {
        context.outer[i] = 0;
        context.outer[4 + i] = swap(this.remotes[remote * REMOTE_WORDS + REMOTE_ADDRESS + i]!);
      }
    }
    const offset = frames[row + FRAME_OFFSET]!;
    const length = frames[row + FRAME_LENGTH]!;
    // The answer to a keepalive is a tunnel header itself.
    const isEcho = !isTap && actions[action + ACTION_TEMPLATE_LENGTH] === 0 && frames[row + FRAME_FLAGS] === 0;
    if (isEcho) fields.clear(length);
    else fields.read(arena, offset, length, length, this.isPacket(context.bd, frames[row + FRAME_FLAGS]!));
    const layer = isTap ? LAYER_INNER : LAYER_OUTER;
    for (let n = 0; n < this.captures.length; n++) {
      const capture = this.captures[n]!;
      if ((capture.layers & layer) === 0 || !this.wants(capture)) continue;
      const captured = Math.max(0, Math.min(length, capture.snapLength));
      const { ring } = capture;
      const record = ring.begin(captured);
      if (record === 0) continue;
      const { words } = ring;
      this.describe(capture, record, isTap ? CAPTURED_TO_DEVICE : CAPTURED_SENT, nowMs);
      words[record + CAPTURE_REASON] = context.reason;
      words[record + CAPTURE_LENGTH] = length;
      words[record + CAPTURE_CAPTURED] = captured;
      words[record + CAPTURE_SEGMENTS] = frames[row + FRAME_SEGMENTS]!;
      words[record + CAPTURE_GSO] = frames[row + FRAME_GSO]!;
      words[record + CAPTURE_FLAGS] = frames[row + FRAME_FLAGS]!;
      words[record + CAPTURE_PORT] = port;
      words[record + CAPTURE_REMOTE] = remote;
      words[record + CAPTURE_OUTER] = actions[action + ACTION_OUTER]!;
      words[record + CAPTURE_SKEW] = offset & 3;
      this.takeTemplate(
        ring,
        record,
        isTap ? 0 : actions[action + ACTION_TEMPLATE_LENGTH]!,
        actions[action + ACTION_TEMPLATE]!,
      );
      copyWords(this.arenaWords, offset, words, (record + RECORD_WORDS) * 4 + (offset & 3), captured);
      ring.commit();
    }
  }

  private takeTemplate(ring: CaptureRing, record: number, length: number, template: number): void {
    ring.words[record + CAPTURE_HEAD_LENGTH] = length;
    copyBytes(this.templates, template, ring.bytes, (record + CAPTURE_HEAD) * 4, length);
  }

  private describe({ ring }: Capture, record: number, kind: number, timeMs: number): void {
    ring.words[record + CAPTURE_KIND] = kind;
    ring.words[record + CAPTURE_BD] = this.context.bd;
    ring.doubles[(record + CAPTURE_TIME) >> 1] = timeMs;
  }

  private wants({ bd, program }: Capture): boolean {
    return (bd === 0 || bd === this.context.bd) && passes(program, this.fields.words, this.context);
  }

  private isTap(port: number): boolean {
    return this.ports[port * PORT_WORDS + PORT_KIND] === PORT_TAP;
  }

  /** Whether what is inside has no Ethernet header. */
  private isPacket(bd: number, flags: number): boolean {
    if (bd === 0) return (flags & FLAG_IP_PACKET) !== 0;
    const payloads = this.domains[bd * BD_WORDS + BD_PAYLOADS]!;
    return payloads !== ETHERNET && payloads !== ETHERNET_IN_GRE;
  }

  /** Where the kept bytes of a frame are, which was at `start` in the arena: in the same place of a word. */
  private keptAt(frame: number, start: number): number {
    return frame * KEPT_STRIDE + (start & 3);
  }
}

/** Between offsets that are in the same place of a word; the rest of the first and last words is copied too. Offsets and length in bytes. */
const copyWords = (source: Int32Array, from: number, target: Int32Array, to: number, length: number): void => {
  const shift = (to >> 2) - (from >> 2);
  const end = (from + length + 3) >> 2;
  for (let word = from >> 2; word < end; word++) target[word + shift] = source[word]!;
};

const copyBytes = (source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void => {
  for (let i = 0; i < length; i++) target[to + i] = source[from + i]!;
};

/** A word of an address as the machine reads it, as the network means it. */
const swap = (word: number): number => (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
