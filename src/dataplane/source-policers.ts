/**
 * Policers per source MAC: how many broadcast, multicast and unknown-unicast frames one station of the overlay has flooded a
 * second, so that one of many does not use up what their tunnel's policer (policers.ts) lets through.
 *
 * A station has no entry anywhere, so the buckets are a table of fixed size, found by a hash of bridge domain, class and MAC.
 * Two stations with one bucket share one limit: with a hundred that flood at the same time, one in 300 has such a
 * neighbour. Random MACs therefore cannot ask for memory, but they can use up others' buckets: that is what the tunnel's
 * policer is for.
 *
 * A bucket holds a debt in thousandths of a frame, which each millisecond takes away from at the rate of who asks (so a
 * bucket that is shared needs no rate of its own); a frame may pass while the debt is no more than the burst.
 *
 * Unlike the tunnel's bucket, which all workers work on all the time, one station's is mostly one worker's (the TAP queue
 * that its flow is on), so it is read and written without atomic operations, which would cost four times as much. Two
 * workers that meet in one lose one's debt, or forgive twice: a frame too many. DEBT is written before LAST_MS, because the
 * other way round a debt could stay that was forgiven.
 *
 * The main thread sets RATE and BURST (in all at most 1 000 000 frames, so that thousandths fit into 31 bits); 0 in RATE = no
 * limit, which costs one read.
 */
import { MAX_BRIDGE_DOMAINS } from "./bridge-domain.ts";

/** As policers.ts has them: BROADCAST, MULTICAST, UNKNOWN_UNICAST_CLASS. */
const CLASSES = 3;
const RATE = 0; // frames a second
const BURST = 1; // thousandths of a frame
const POLICY_WORDS = 2;

/** A power of two; 256 KiB. */
const BUCKETS = 32_768;
const DEBT = 0; // thousandths of a frame
const LAST_MS = 1;
const BUCKET_WORDS = 2;

const FRAME = 1000;

export interface SourcePolicerMemory {
  readonly policies: Int32Array;
  readonly buckets: Int32Array;
}

export const allocateSourcePolicers = (): SourcePolicerMemory => ({
  policies: new Int32Array(new SharedArrayBuffer(MAX_BRIDGE_DOMAINS * CLASSES * POLICY_WORDS * 4)),
  buckets: new Int32Array(new SharedArrayBuffer(BUCKETS * BUCKET_WORDS * 4)),
});

export class SourcePolicers {
  private readonly policies: Int32Array;
  private readonly buckets: Int32Array;

  constructor({ policies, buckets }: SourcePolicerMemory) {
    this.policies = policies;
    this.buckets = buckets;
  }

  /** Main thread. @param rate frames a second of each MAC, 0 = no limit @param burst frames at once */
  set(bd: number, kind: number, rate: number, burst: number): void {
    const policy = (bd * CLASSES + kind) * POLICY_WORDS;
    this.policies[policy + BURST] = burst * FRAME;
    Atomics.store(this.policies, policy + RATE, rate);
  }

  /** Main thread: no limits, for the bridge domain's next owner. */
  clear(bd: number): void {
    this.policies.fill(0, bd * CLASSES * POLICY_WORDS, (bd + 1) * CLASSES * POLICY_WORDS);
  }

  /** Whether the frame may pass. @param segments frames on the wire that it stands for @param nowMs STATUS_NOW_MS */
  take(bd: number, kind: number, macHi: number, macLo: number, segments: number, nowMs: number): boolean {
    const policy = (bd * CLASSES + kind) * POLICY_WORDS;
    const rate = this.policies[policy + RATE]!;
    if (rate === 0) return true;
    const { buckets } = this;
    const bucket = bucketOf(bd * CLASSES + kind, macHi, macLo);
    // The clock is modulo 2^31.
    const forgiven = ((nowMs - buckets[bucket + LAST_MS]!) & 0x7fffffff) * rate;
    const debt = Math.max(buckets[bucket + DEBT]! - forgiven, 0) + segments * FRAME;
    if (debt > this.policies[policy + BURST]!) return false;
    buckets[bucket + DEBT] = debt;
    buckets[bucket + LAST_MS] = nowMs;
    return true;
  }
}

/** First word of the bucket. The multipliers are murmur3's, as in fdb.ts. */
const bucketOf = (row: number, macHi: number, macLo: number): number => {
  let h = Math.imul(macLo ^ Math.imul((row << 16) ^ macHi, 0x9e3779b1), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) & (BUCKETS - 1)) * BUCKET_WORDS;
};
