/**
 * Flood lists: for each bridge domain the remote VTEPs (slots of the remote table) that get a copy of a BUM frame from the overlay.
 *
 * A list is `count, target, target, ...` in one shared Int32Array; a bridge domain holds its index in one word, so a list
 * is replaced as a whole by one store. The old list stays untouched for GRACE_S seconds, because a worker may be walking
 * it. Index 0 is the empty list. Main thread writes, workers read.
 */
import { VtepdError } from "../errors.ts";

const POOL_WORDS = 1 << 20;
const GRACE_S = 2;

interface Region {
  readonly index: number;
  readonly words: number;
  readonly freeAtS: number;
}

export class FloodPool {
  readonly words: Int32Array;
  /** First word never used. */
  private top = 1;
  private freed: Region[] = [];

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(POOL_WORDS * 4))) {
    this.words = words;
  }

  /** Stores a list and returns its index. @throws ERR_LIMIT */
  store(targets: readonly number[], nowS: number): number {
    if (targets.length === 0) return 0;
    const index = this.take(targets.length + 1, nowS);
    this.words[index] = targets.length;
    this.words.set(targets, index + 1);
    return index;
  }

  /** Gives a list back; it may be reused GRACE_S seconds later. */
  release(index: number, nowS: number): void {
    if (index !== 0) this.freed.push({ index, words: this.words[index]! + 1, freeAtS: nowS + GRACE_S });
  }

  read(index: number): number[] {
    return [...this.words.subarray(index + 1, index + 1 + this.words[index]!)];
  }

  private take(words: number, nowS: number): number {
    const fit = this.freed.findIndex((region) => region.words >= words && region.freeAtS <= nowS);
    if (fit >= 0) {
      const [region] = this.freed.splice(fit, 1) as [Region];
      const rest = region.words - words;
      if (rest > 0) this.freed.push({ index: region.index + words, words: rest, freeAtS: region.freeAtS });
      return region.index;
    }
    if (this.top + words > POOL_WORDS) {
      throw new VtepdError("ERR_LIMIT", `expected flood lists of at most ${POOL_WORDS} members in all, got more`);
    }
    const index = this.top;
    this.top += words;
    return index;
  }
}
