/**
 * Security associations of ESP (RFC 4303). The main thread adds and removes rows; the addon of each worker seals and opens by
 * them (native/esp.cc), counts sequence numbers in them and keeps the replay window there, so that workers share both.
 *
 * A row gets its generation last and loses it first, and no two rows ever have the same: what a worker made of a row's key is
 * good as long as the generation is. A removed row's key is wiped at once; its counters stay until the row is used again, which is
 * as late as can be, since a worker may be sending by it just now.
 */
import {
  ASSOCIATION_BD,
  ASSOCIATION_DOMAINS,
  ASSOCIATION_GENERATION,
  ASSOCIATION_INBOUND,
  ASSOCIATION_IS_EXTENDED,
  ASSOCIATION_IV,
  ASSOCIATION_KEY,
  ASSOCIATION_KEY_BYTES,
  ASSOCIATION_PLACES,
  ASSOCIATION_ROWS,
  ASSOCIATION_SALT,
  ASSOCIATION_SPI,
  ASSOCIATION_TABLE_WORDS,
  ASSOCIATION_WINDOW,
  ASSOCIATION_WORDS,
} from "../binding/abi.ts";
import { VtepdError } from "../errors.ts";

/** Of AES-GCM in ESP, RFC 4106 section 8.1; the key's last bytes. */
export const SALT_BYTES = 4;

export interface Association {
  /** 1..2^32-1 */
  readonly spi: number;
  /** 16 or 32 bytes, then the salt. Copied. */
  readonly key: Uint8Array;
  readonly isExtended: boolean;
}

export class AssociationTable {
  readonly words: Int32Array;
  private readonly bytes: Uint8Array;
  private generation = 0;
  private lastOutbound = ASSOCIATION_INBOUND;

  constructor(words: Int32Array = new Int32Array(new SharedArrayBuffer(ASSOCIATION_TABLE_WORDS * 4))) {
    this.words = words;
    this.bytes = new Uint8Array(words.buffer);
  }

  /** The tunnel of an inbound row. Workers. */
  bd(row: number): number {
    return this.words[offsetOf(row) + ASSOCIATION_BD]!;
  }

  /** Returns the row, or undefined when another has the SPI. @throws ERR_LIMIT */
  addInbound(association: Association, bd: number, window: number): number | undefined {
    const places = placesOf(association.spi);
    const isTaken = (row: number): boolean => this.words[offsetOf(row) + ASSOCIATION_GENERATION] !== 0;
    if (places.some((row) => isTaken(row) && this.words[offsetOf(row) + ASSOCIATION_SPI] === (association.spi | 0))) {
      return undefined;
    }
    const row = places.find((place) => !isTaken(place));
    if (row === undefined) throw full();
    this.write(row, association, bd, window, new Uint8Array(8));
    return row;
  }

  /** Nothing is sent by it before `send`. @throws ERR_LIMIT @param iv eight random bytes, so that the same key in another run seals nothing twice */
  addOutbound(association: Association, bd: number, iv: Uint8Array): number {
    const count = ASSOCIATION_ROWS - ASSOCIATION_INBOUND;
    for (let step = 1; step <= count; step++) {
      const row = ASSOCIATION_INBOUND + ((this.lastOutbound - ASSOCIATION_INBOUND + step) % count);
      if (this.words[offsetOf(row) + ASSOCIATION_GENERATION] !== 0) continue;
      this.lastOutbound = row;
      this.write(row, association, bd, 0, iv);
      return row;
    }
    throw full();
  }

  /** Whether a row has this key, compared in constant time. */
  hasKey(row: number, key: Uint8Array): boolean {
    const { words, bytes } = this;
    const at = offsetOf(row);
    const length = words[at + ASSOCIATION_KEY_BYTES]!;
    if (key.length !== length + SALT_BYTES) return false;
    let difference = 0;
    for (let i = 0; i < length; i++) difference |= key[i]! ^ bytes[(at + ASSOCIATION_KEY) * 4 + i]!;
    for (let i = 0; i < SALT_BYTES; i++) difference |= key[length + i]! ^ bytes[(at + ASSOCIATION_SALT) * 4 + i]!;
    return difference === 0;
  }

  /** What a tunnel's packets are sealed by from now on. @param row 0 = none: they are not sent */
  send(bd: number, row: number): void {
    Atomics.store(this.words, bd, row);
  }

  remove(row: number): void {
    const at = offsetOf(row);
    Atomics.store(this.words, at + ASSOCIATION_GENERATION, 0);
    this.words.fill(0, at + ASSOCIATION_KEY, at + ASSOCIATION_SALT + 1);
  }

  private write(row: number, { spi, key, isExtended }: Association, bd: number, window: number, iv: Uint8Array): void {
    const { words, bytes } = this;
    const at = offsetOf(row);
    words.fill(0, at, at + ASSOCIATION_WORDS);
    words[at + ASSOCIATION_SPI] = spi;
    words[at + ASSOCIATION_IS_EXTENDED] = isExtended ? 1 : 0;
    words[at + ASSOCIATION_BD] = bd;
    words[at + ASSOCIATION_WINDOW] = window;
    words[at + ASSOCIATION_KEY_BYTES] = key.length - SALT_BYTES;
    bytes.set(key.subarray(0, -SALT_BYTES), (at + ASSOCIATION_KEY) * 4);
    bytes.set(key.subarray(-SALT_BYTES), (at + ASSOCIATION_SALT) * 4);
    bytes.set(iv, (at + ASSOCIATION_IV) * 4);
    this.generation++;
    Atomics.store(words, at + ASSOCIATION_GENERATION, this.generation);
  }
}

const offsetOf = (row: number): number => ASSOCIATION_DOMAINS + row * ASSOCIATION_WORDS;

/** As native/esp.cc looks for it. */
const placesOf = (spi: number): number[] =>
  Array.from({ length: ASSOCIATION_PLACES }, (_, n) => ((Math.imul(spi, 0x9e3779b1) >>> 21) + n) % ASSOCIATION_INBOUND);

const full = (): VtepdError =>
  new VtepdError("ERR_LIMIT", `expected at most ${ASSOCIATION_ROWS - ASSOCIATION_INBOUND} associations, got one more`);
