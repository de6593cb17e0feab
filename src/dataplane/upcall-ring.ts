/**
 * What a worker tells the main thread about frames: a ring of fixed records in shared memory, one ring a worker, one
 * writer and one reader. Records are hints (a VTEP was seen, a MAC missed): a full ring loses the newest and counts it, and
 * nothing waits.
 *
 * The writer publishes HEAD after a record's words; the reader publishes TAIL after it has copied them. SIGNALLED keeps
 * the writer from waking the reader more than once before it looked: `ring` returns true when a message must be posted.
 */

/** Records; a power of two. */
const RECORDS = 1024;
/** More than anybody reads; the main thread has other things to do. */
const EVENTS_PER_S = 5000;
export const UPCALL_WORDS = 16;
/** First word of a record: what it tells; second: the bridge domain. */
export const UPCALL_KIND = 0;
export const UPCALL_BD = 1;
/** A frame was accepted from a VTEP that has no slot yet, or is to go to one; words 2..5 are its address, mapped. */
export const UPCALL_UNKNOWN_VTEP = 1;
/** A MAC was not learned behind a remote VTEP that has fewer entries than another; word UPCALL_REMOTE is its slot. */
export const UPCALL_FDB_FULL = 8;
/** The kernel refused a packet for its size; word UPCALL_REMOTE is the remote VTEP's slot. */
export const UPCALL_PKT_TOO_BIG = 6;
export const UPCALL_REMOTE = 2;
/** A MAC moved too often and is held: the MAC, and the slots of where it is held and of where it was seen, too. */
export const UPCALL_MAC_HELD = 9;
export const UPCALL_MAC_HI = 2;
export const UPCALL_MAC_LO = 3;
export const UPCALL_HELD_AT = 4;
export const UPCALL_SEEN_AT = 5;
/** A neighbour was heard behind a remote VTEP; words 2..5: address in network order, 6: MAC bytes 0..1 and NEIGHBOUR_* bits, 7: MAC bytes 2..5. */
export const UPCALL_NEIGHBOUR = 2;
/** A known neighbour was heard behind our own device; words 2..5: address in network order. */
export const UPCALL_NEIGHBOUR_IS_HERE = 3;
/** A unicast frame had no FDB entry; words 2 and 3: its MAC. */
export const UPCALL_L2_MISS = 4;
/** Somebody asked for an address that no neighbour has; words 2..5: address in network order. */
export const UPCALL_L3_MISS = 5;

/** A MAC was learned, or moved: the MAC, the slot of where it was before (0 for a new one), and of where it is now. */
export const UPCALL_LEARNED = 10;
export const UPCALL_FROM = 4;
export const UPCALL_AT = 5;

const HEAD = 0;
const TAIL = 1;
const SIGNALLED = 2;
const LOST = 3;
/** Whether somebody wants to hear of events: records that no decision hangs on. */
const WATCHED = 4;
const EVENTS_LOST = 5;
const EVENT_SECOND = 6;
const EVENTS_LEFT = 7;
const FIRST_RECORD = UPCALL_WORDS;

export const allocateUpcalls = (): Int32Array =>
  new Int32Array(new SharedArrayBuffer((FIRST_RECORD + RECORDS * UPCALL_WORDS) * 4));

export class UpcallRing {
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** First word of the record to be written, all UPCALL_WORDS of it, or 0 when the ring is full. Worker. */
  begin(): number {
    const { words } = this;
    if (words[HEAD]! - Atomics.load(words, TAIL) === RECORDS) {
      words[LOST]!++;
      return 0;
    }
    return FIRST_RECORD + (words[HEAD]! & (RECORDS - 1)) * UPCALL_WORDS;
  }

  /** Whether events are to be told. */
  get isWatched(): boolean {
    return this.words[WATCHED] !== 0;
  }

  /**
   * As `begin`, for an event: at most EVENTS_PER_S of them, and not in the half of the ring that is kept for what the
   * main thread has to act on.
   */
  beginEvent(nowS: number): number {
    const { words } = this;
    if (words[EVENT_SECOND] !== nowS) {
      words[EVENT_SECOND] = nowS;
      words[EVENTS_LEFT] = EVENTS_PER_S;
    }
    const waiting = (words[HEAD]! - Atomics.load(words, TAIL)) | 0;
    if (words[EVENTS_LEFT] === 0 || waiting >= RECORDS / 2) {
      words[EVENTS_LOST]!++;
      return 0;
    }
    words[EVENTS_LEFT]!--;
    return this.begin();
  }

  /** What `begin`'s index counts in. */
  get record(): Int32Array {
    return this.words;
  }

  /** Publishes the record that was begun. */
  commit(): void {
    Atomics.store(this.words, HEAD, (this.words[HEAD]! + 1) | 0);
  }

  /** Of the record that was published last; for `isTaken`. */
  get ticket(): number {
    return this.words[HEAD]!;
  }

  /** Whether the main thread has done what the record asked for. */
  isTaken(ticket: number): boolean {
    return ((Atomics.load(this.words, TAIL) - ticket) | 0) >= 0;
  }

  /** After a batch: whether the reader must be woken. */
  ring(): boolean {
    const { words } = this;
    if (words[HEAD] === Atomics.load(words, TAIL)) return false;
    return Atomics.exchange(words, SIGNALLED, 1) === 0;
  }

  /** Gives all waiting records to `take`, as views that are good only during the call. Main thread. */
  drain(take: (record: Int32Array) => void): void {
    const { words } = this;
    Atomics.store(words, SIGNALLED, 0);
    for (let tail = words[TAIL]!; tail !== Atomics.load(words, HEAD); tail = (tail + 1) | 0) {
      const first = FIRST_RECORD + (tail & (RECORDS - 1)) * UPCALL_WORDS;
      take(words.subarray(first, first + UPCALL_WORDS));
      Atomics.store(words, TAIL, (tail + 1) | 0);
    }
  }

  /** Main thread. */
  watch(isWatched: boolean): void {
    Atomics.store(this.words, WATCHED, isWatched ? 1 : 0);
  }

  /** Events that were too many, modulo 2^32. */
  get lostEvents(): number {
    return this.words[EVENTS_LOST]! >>> 0;
  }

  /** Records that found the ring full. */
  get lost(): number {
    return this.words[LOST]!;
  }
}
