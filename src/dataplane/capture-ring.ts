/**
 * Captured frames on their way from a worker to the main thread: a ring in shared memory for each worker and capture, one
 * writer and one reader. What does not fit is counted and not captured; nobody waits.
 *
 * A record is RECORD_WORDS words that say what it is, the last 64 bytes of them for what was sent in front (TEMPLATE_BYTES of remote-table.ts), then the frame's bytes. It occupies whole units of UNIT_WORDS. One that would reach over the end of the ring
 * begins at its start, behind a record of CAPTURED_NOTHING. The frame's bytes begin CAPTURE_SKEW bytes behind the record's
 * words, as they began in a word of the arena, so that they are copied word by word: that allocates nothing.
 */

const UNIT_WORDS = 16;
const UNIT_BYTES = 64;
export const RECORD_WORDS = 48;
/** First word of the tunnel header that was sent in front. */
export const CAPTURE_HEAD = 32;
/** Bytes; a power of two. Two batches of superframes, or 5000 frames of 1500 bytes. */
const RING_BYTES = 8 << 20;
const UNITS: number = RING_BYTES / UNIT_BYTES;

/** Bytes before the frame's in its first word, and behind them in its last. */
const MAX_SKEW = 6;

/** First word of a record. */
export const CAPTURE_KIND = 0;
const CAPTURED_NOTHING = 0;
/** From the device, to be sent. */
export const CAPTURED_FROM_DEVICE = 1;
/** Given to the device, or dropped on the way there. */
export const CAPTURED_TO_DEVICE = 2;
/** Received from the underlay, and sent there. */
export const CAPTURED_RECEIVED = 3;
export const CAPTURED_SENT = 4;
const CAPTURE_UNITS = 1;
/** 0 = of no tunnel. */
export const CAPTURE_BD = 2;
/** Why it was dropped; 0 = it was not. */
export const CAPTURE_REASON = 3;
/** Bytes: of the frame, of the tunnel header in front (SENT) or the inner frame's place in the datagram (RECEIVED), captured of the frame. */
export const CAPTURE_LENGTH = 4;
export const CAPTURE_HEAD_LENGTH = 5;
export const CAPTURE_CAPTURED = 6;
/** 0..3 */
export const CAPTURE_SKEW = 7;
/** Words 8 and 9 are a double: milliseconds since 1970. */
export const CAPTURE_TIME = 8;
/** FRAME_SEGMENTS, FRAME_GSO, FRAME_FLAGS, and the port that it came from or went to. */
export const CAPTURE_SEGMENTS = 10;
export const CAPTURE_GSO = 11;
export const CAPTURE_FLAGS = 12;
export const CAPTURE_PORT = 13;
/** SENT: slot of the remote VTEP. */
export const CAPTURE_REMOTE = 14;
/** SENT: ACTION_OUTER. RECEIVED: FRAME_TOS. */
export const CAPTURE_OUTER = 15;
/** RECEIVED: outer addresses as in FRAME_SOURCE and FRAME_DESTINATION, UDP source port, binding. */
export const CAPTURE_SOURCE = 16;
export const CAPTURE_DESTINATION = 20;
export const CAPTURE_SOURCE_PORT = 24;
export const CAPTURE_BINDING = 25;

const HEAD = 0;
const TAIL = 1;
const LOST = 2;

export const allocateCaptureRing = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer((UNIT_WORDS + UNITS * UNIT_WORDS) * 4));

export class CaptureRing {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly doubles: Float64Array;
  private pending = 0;

  constructor(words: Int32Array) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
    this.doubles = new Float64Array(words.buffer);
  }

  /** First word of a record with room for so many bytes of frame, or 0 when there is none: then it is counted. Worker. */
  begin(length: number): number {
    const { words } = this;
    const units = RECORD_WORDS / UNIT_WORDS + Math.ceil((length + MAX_SKEW) / UNIT_BYTES);
    const head = words[HEAD]!;
    const place = head & (UNITS - 1);
    const gap = place + units > UNITS ? UNITS - place : 0;
    const used = (head - Atomics.load(words, TAIL)) | 0;
    if (used + gap + units > UNITS) {
      words[LOST]!++;
      return 0;
    }
    if (gap > 0) {
      words[wordOf(place) + CAPTURE_KIND] = CAPTURED_NOTHING;
      words[wordOf(place) + CAPTURE_UNITS] = gap;
    }
    const record = wordOf(gap > 0 ? 0 : place);
    words[record + CAPTURE_UNITS] = units;
    this.pending = gap + units;
    return record;
  }

  /** Publishes the record that was begun. */
  commit(): void {
    Atomics.store(this.words, HEAD, (this.words[HEAD]! + this.pending) | 0);
  }

  /** Gives all waiting records to `take`, by their first word; good during the call only. Main thread. */
  drain(take: (record: number) => void): void {
    const { words } = this;
    for (let tail = words[TAIL]!; tail !== Atomics.load(words, HEAD); ) {
      const record = wordOf(tail & (UNITS - 1));
      if (words[record + CAPTURE_KIND] !== CAPTURED_NOTHING) take(record);
      tail = (tail + words[record + CAPTURE_UNITS]!) | 0;
      Atomics.store(words, TAIL, tail);
    }
  }

  /** Records that found no room, modulo 2^32. */
  get lost(): number {
    return this.words[LOST]! >>> 0;
  }
}

const wordOf = (unit: number): number => UNIT_WORDS + unit * UNIT_WORDS;
