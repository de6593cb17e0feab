/**
 * Policers: how many broadcast, multicast and unknown-unicast frames a tunnel floods a second. A token bucket for each bridge
 * domain and class in shared memory, so that the limit is the tunnel's, however many workers it has.
 *
 * Tokens are thousandths of a frame: milliseconds passed times frames a second are exactly the tokens to add. Whichever
 * worker first sees a new millisecond adds them (it wins the exchange of LAST_MS); a frame takes 1000. Two workers may
 * overdraw by one frame each for a moment; what was taken in vain is put back.
 *
 * An atomic operation costs more than all the rest, so where the burst is large a worker takes tokens for several frames at
 * once, and spends them by itself (CREDIT): at most a sixteenth of the burst, which it may keep for later. Measured
 * (`npm run bench -- micro`): 11 ns a flooded frame with an exchange for each, 4 so.
 *
 * The main thread sets RATE and BURST (at most 1 000 000, so that thousandths fit into 31 bits); 0 in RATE = no limit, which costs one read.
 */
import { MAX_BRIDGE_DOMAINS } from "./bridge-domain.ts";

export const BROADCAST = 0;
export const MULTICAST = 1;
export const UNKNOWN_UNICAST_CLASS = 2;
/** Not flooded but answered: ICMP messages to senders of oversize frames (oversize.ts). */
export const TOO_BIG_ANSWER = 3;
const CLASSES = 4;

const RATE = 0; // frames a second
const BURST = 1; // thousandths of a frame
const TOKENS = 2; // thousandths of a frame
const LAST_MS = 3;
const BUCKET_WORDS = 4;

const FRAME = 1000;
/** Frames that a worker takes tokens for at once, at most, and which part of the burst that may be, as a right shift. */
const MAX_ADVANCE = 16;
const ADVANCE_SHIFT = 4;
/** Enough for any burst below: longer pauses fill the bucket anyway. */
const MAX_PAUSE_MS = 60_000;
export const allocatePolicers = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer(MAX_BRIDGE_DOMAINS * CLASSES * BUCKET_WORDS * 4));

export class Policers {
  private readonly words: Int32Array;
  /** Of this worker, by bucket: thousandths of a frame that it has taken and not spent. */
  private readonly credit = new Int32Array(MAX_BRIDGE_DOMAINS * CLASSES);

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** Main thread. @param rate frames a second, 0 = no limit @param burst frames at once */
  set(bd: number, kind: number, rate: number, burst: number): void {
    const bucket = (bd * CLASSES + kind) * BUCKET_WORDS;
    this.words[bucket + BURST] = burst * FRAME;
    this.words[bucket + TOKENS] = burst * FRAME;
    Atomics.store(this.words, bucket + RATE, rate);
  }

  /** Main thread: no limits, for the bridge domain's next owner. */
  clear(bd: number): void {
    this.words.fill(0, bd * CLASSES * BUCKET_WORDS, (bd + 1) * CLASSES * BUCKET_WORDS);
  }

  /** Whether the frame may pass. @param segments frames on the wire that it stands for @param nowMs STATUS_NOW_MS */
  take(bd: number, kind: number, segments: number, nowMs: number): boolean {
    const { words } = this;
    const bucket = (bd * CLASSES + kind) * BUCKET_WORDS;
    const rate = words[bucket + RATE]!;
    if (rate === 0) return true;
    const price = segments * FRAME;
    const { credit } = this;
    const row = bd * CLASSES + kind;
    if (credit[row]! >= price) {
      credit[row]! -= price;
      return true;
    }
    return this.draw(bucket, rate, price, nowMs);
  }

  /** Takes tokens for the frame, and some in advance. */
  private draw(bucket: number, rate: number, price: number, nowMs: number): boolean {
    const { words } = this;
    this.refill(bucket, rate, nowMs);
    const frames = Math.min(Math.trunc(words[bucket + BURST]! / (FRAME << ADVANCE_SHIFT)), MAX_ADVANCE);
    const whole = frames > 1 ? price + (frames - 1) * FRAME : price;
    const before = Atomics.sub(words, bucket + TOKENS, whole);
    if (before >= whole) {
      this.credit[bucket / BUCKET_WORDS]! += whole - price;
      return true;
    }
    Atomics.add(words, bucket + TOKENS, before >= price ? whole - price : whole);
    return before >= price;
  }

  private refill(bucket: number, rate: number, nowMs: number): void {
    const { words } = this;
    const last = Atomics.load(words, bucket + LAST_MS);
    if (last === nowMs || Atomics.compareExchange(words, bucket + LAST_MS, last, nowMs) !== last) return;
    // The clock is modulo 2^31.
    const pause = Math.min((nowMs - last) & 0x7fffffff, MAX_PAUSE_MS);
    const missing = words[bucket + BURST]! - Atomics.load(words, bucket + TOKENS);
    if (missing > 0) Atomics.add(words, bucket + TOKENS, Math.min(pause * rate, missing));
  }
}
