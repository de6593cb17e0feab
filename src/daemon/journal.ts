/**
 * A journal: records appended to one file, each on the disk before its promise resolves.
 *
 *   file    ::= record* zero*
 *   record  ::= length u32, CRC-32 of the text u32, text (UTF-8)                          (little endian)
 *
 * A length of 0, a record that goes beyond the end, or one whose CRC does not fit is where the file ends: the rest is a
 * write that a crash has cut, or zeros. Unless a whole record stands behind it: then the disk has lost bytes in the middle, and
 * only what was in them. Records that wait at the same time share one write.
 *
 * Room comes first: behind the last record the file always has zeros that are on the disk already, at least RESERVE_BYTES and what
 * `room` was asked for, so that a change is refused for a full disk before it has an effect, and not after. A record that cannot
 * be written all the same (an I/O error) ends the journal: everything after that is refused, because nobody knows what is on the disk.
 *
 * When the file has grown to twice what it would be as a snapshot, the snapshot takes its place: written beside it, synchronised, renamed.
 * That begins when whoever made it grow has been answered; what waits at that moment is in the snapshot and is not written again. Main
 * thread.
 *
 * Rejected: a database (SQLite's addon is no part of Node 20; 2,000 changes a second need only appends); one file for each record
 * (100,000 of them).
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import type { KeptView } from "../dataplane/view.ts";
import { VtepdError } from "../errors.ts";
import { expectWritable } from "./state-directory.ts";

export const HEADER_BYTES = 8;
const RESERVE_BYTES = 64 * 1024;
/** What each text begins with: a list of changes (dataplane/change.ts). */
const FIRST_WORDS = '[{"op":"';
/** A file below this is never rewritten. */
const SMALL_BYTES = 1024 * 1024;
/**
 * A write returns when it is on the disk. With a synchronisation behind each write, one change after the other waited twice as
 * long: 0.20 ms rather than 0.12 ms, with other work on the disk 0.8 ms.
 */
const { O_DSYNC, O_RDWR, O_CREAT, O_TRUNC } = constants;
const DIRECTORY_MODE = 0o750;
const FILE_MODE = 0o640;

interface Waiting {
  readonly record: Buffer;
  /** Bytes that were made room for. */
  readonly promised: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** What a file had when it was opened. */
export interface JournalContents {
  /** Texts, oldest first. */
  readonly records: readonly string[];
  /** Bytes of a cut record behind the last one; 0 = it ended well. */
  readonly cutBytes: number;
  /** Bytes between whole records that are none. */
  readonly damagedBytes: number;
}

/** @throws ERR_JOURNAL when there is a file that cannot be read; none is an empty one */
export const readJournal = async (path: string): Promise<JournalContents & { readonly bytes: number }> => {
  let file: Buffer;
  try {
    file = await readFile(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
      return { records: [], cutBytes: 0, damagedBytes: 0, bytes: 0 };
    }
    throw failure(`cannot read ${path}`, cause);
  }
  const records: string[] = [];
  let at = 0;
  let damagedBytes = 0;
  for (let next = 0; next >= 0; next = nextRecord(file, at)) {
    damagedBytes += next - at;
    at = next;
    for (let text = recordAt(file, at); text !== undefined; text = recordAt(file, at)) {
      records.push(text.toString("utf8"));
      at += HEADER_BYTES + text.length;
    }
  }
  let end = file.length;
  while (end > at && file[end - 1] === 0) end--;
  return { records, cutBytes: end - at, damagedBytes, bytes: at };
};

/** Text of a whole record. */
const recordAt = (file: Buffer, at: number): Buffer | undefined => {
  if (at + HEADER_BYTES > file.length) return undefined;
  const length = file.readUInt32LE(at);
  const text = file.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
  const isWhole = length > 0 && text.length === length && crc32(text) === file.readUInt32LE(at + 4);
  return isWhole ? text : undefined;
};

/** Where the first whole record behind a damaged one begins, -1 = there is none. */
const nextRecord = (file: Buffer, damaged: number): number => {
  const first = damaged + HEADER_BYTES + 1;
  for (let start = file.indexOf(FIRST_WORDS, first); start >= 0; start = file.indexOf(FIRST_WORDS, start + 1)) {
    if (recordAt(file, start - HEADER_BYTES) !== undefined) return start - HEADER_BYTES;
  }
  return -1;
};

export class Journal {
  readonly path: string;
  private readonly snapshot: () => Iterable<string>;
  private readonly isSettled: () => boolean;
  private file: FileHandle | undefined;
  /** Where the next record goes. */
  private position: number;
  /** Bytes of the file, zeros included. */
  private size = 0;
  /** Bytes of records that have room and are not written yet. */
  private promised = 0;
  private snapshotBytes: number;
  /** Whether the file has what is not to be there at the next start. */
  private mustRenew = false;
  private waiting: Waiting[] = [];
  /** What is done to the file, one after the other. */
  private work: Promise<void> = Promise.resolve();
  /** The file is going to be another one, with room only for what was promised when it was begun. */
  private isRewriting = false;
  private broken: VtepdError | undefined;
  /** Why the last change was refused that had no room. */
  private refusal: VtepdError | undefined;

  /**
   * @param bytes of the records that are in the file (readJournal)
   * @param snapshot everything that is to be known, as records
   * @param isSettled whether it is so now; else something is half changed, and may be taken back
   */
  constructor(path: string, bytes: number, snapshot: () => Iterable<string>, isSettled: () => boolean = () => true) {
    this.path = path;
    this.position = bytes;
    this.snapshotBytes = bytes;
    this.snapshot = snapshot;
    this.isSettled = isSettled;
  }

  view(): Omit<NonNullable<KeptView["journal"]>, "waiting"> {
    return { path: this.path, bytes: this.position, failure: (this.broken ?? this.refusal)?.message ?? null };
  }

  /** Looks whether changes can be kept at all. Returns why not, which is then why they are refused until one can. */
  look(): VtepdError | undefined {
    try {
      expectWritable(this.path);
    } catch (cause) {
      this.refusal = failure(`cannot keep changes in ${this.path}`, cause);
    }
    return this.refusal;
  }

  /** Whether nothing was ever kept. */
  get isEmpty(): boolean {
    return this.position === 0 && this.promised === 0;
  }

  /** Makes room on the disk for a record of so many bytes, which `append` must follow. @throws ERR_JOURNAL */
  async room(bytes: number): Promise<void> {
    this.promised += HEADER_BYTES + bytes;
    const isThere = this.position + this.promised + RESERVE_BYTES <= this.size;
    if (isThere && this.broken === undefined && !this.isRewriting) return;
    try {
      await this.next(() => this.extend());
    } catch (error) {
      this.giveUp(bytes);
      throw error;
    }
  }

  /** Lets go of room that nothing will be appended to. */
  giveUp(bytes: number): void {
    this.promised -= HEADER_BYTES + bytes;
  }

  /** Resolves when the record is on the disk. @param room bytes that there is room for, enough @throws ERR_JOURNAL, and from then on always */
  append(text: string, room: number): Promise<void> {
    const body = Buffer.from(text, "utf8");
    const record = Buffer.allocUnsafe(HEADER_BYTES + body.length);
    record.writeUInt32LE(body.length, 0);
    record.writeUInt32LE(crc32(body), 4);
    body.copy(record, HEADER_BYTES);
    return new Promise((resolve, reject) => {
      this.waiting.push({ record, promised: HEADER_BYTES + room, resolve, reject });
      if (this.waiting.length === 1) this.next(() => this.flush()).catch(() => {});
    });
  }

  /** Resolves when everything that was appended is on the disk. @throws ERR_JOURNAL */
  async settled(): Promise<void> {
    await this.next(async () => {});
    if (this.broken !== undefined) throw this.broken;
  }

  /** Puts a snapshot in the file's place, now or as soon as the disk has room for it. */
  renew(): Promise<void> {
    this.mustRenew = true;
    return this.next(() => this.rewrite());
  }

  /** Tries again what `renew` could not do. */
  async renewIfDue(): Promise<void> {
    if (this.mustRenew) await this.renew();
  }

  async close(): Promise<void> {
    // Work may leave more work behind.
    for (let done: Promise<void> | undefined; done !== this.work; await done) done = this.work;
    await this.file?.close();
    this.file = undefined;
  }

  private next(step: () => Promise<void>): Promise<void> {
    const done = this.work.then(step);
    this.work = done.catch(() => {});
    return done;
  }

  private async extend(): Promise<void> {
    if (this.broken !== undefined) throw this.broken;
    const wanted = this.position + this.promised + 2 * RESERVE_BYTES;
    let before = this.size;
    try {
      const file = await this.opened();
      before = this.size;
      this.refusal = undefined;
      if (wanted <= this.size) return;
      for (let at = this.size; at < wanted; ) {
        const { bytesWritten } = await file.write(Buffer.alloc(Math.min(wanted - at, 1 << 20)), 0, undefined, at);
        at += bytesWritten;
      }
      await file.sync();
      this.size = wanted;
    } catch (cause) {
      await this.file?.truncate(before).catch(() => {});
      this.refusal = failure(`cannot keep changes in ${this.path}`, cause);
      throw this.refusal;
    }
  }

  /** Opens the file, cut behind its last record. */
  private async opened(): Promise<FileHandle> {
    if (this.file !== undefined) return this.file;
    expectWritable(this.path);
    await mkdir(dirname(this.path), { recursive: true, mode: DIRECTORY_MODE });
    const file = await open(this.path, O_RDWR | O_CREAT | O_DSYNC, FILE_MODE);
    this.file = file;
    await file.truncate(this.position);
    this.size = this.position;
    await syncDirectory(dirname(this.path));
    return file;
  }

  private async flush(): Promise<void> {
    const batch = this.waiting.splice(0);
    if (batch.length === 0) return;
    const bytes = Buffer.concat(batch.map(({ record }) => record));
    try {
      if (this.broken !== undefined) throw this.broken;
      const file = await this.opened();
      await writeAll(file, bytes, this.position);
    } catch (cause) {
      this.broken ??= failure(`cannot keep changes in ${this.path}`, cause);
      this.promised -= promisedTo(batch);
      for (const { reject } of batch) reject(this.broken);
      return;
    }
    this.position += bytes.length;
    this.promised -= promisedTo(batch);
    this.refusal = undefined;
    for (const { resolve } of batch) resolve();
    if (this.mustRenew || this.position > Math.max(SMALL_BYTES, 2 * this.snapshotBytes)) {
      // First the answers.
      this.next(() => turn().then(() => this.rewrite())).catch(() => {});
    }
  }

  private async rewrite(): Promise<void> {
    if (!this.isSettled()) return; // after some later record
    this.isRewriting = true;
    try {
      await this.putSnapshot();
    } finally {
      this.isRewriting = false;
    }
  }

  /** Puts a snapshot in the file's place. A disk that has no room for it keeps the long file. */
  private async putSnapshot(): Promise<void> {
    const covered = this.waiting.splice(0);
    const parts: Buffer[] = [];
    for (const text of this.snapshot()) {
      const body = Buffer.from(text, "utf8");
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32LE(body.length, 0);
      header.writeUInt32LE(crc32(body), 4);
      parts.push(header, body);
    }
    const bytes = Buffer.concat(parts);
    const size = bytes.length + this.promised + 2 * RESERVE_BYTES;
    const besides = `${this.path}.new`;
    let next: FileHandle | undefined;
    try {
      if (this.broken !== undefined) throw this.broken;
      next = await open(besides, O_RDWR | O_CREAT | O_TRUNC | O_DSYNC, FILE_MODE);
      await writeAll(next, bytes, 0);
      await writeAll(next, Buffer.alloc(size - bytes.length), bytes.length);
      await next.sync();
      await rename(besides, this.path);
    } catch {
      await next?.close().catch(() => {});
      if (next !== undefined) await unlink(besides).catch(() => {}); // or half of it would keep the disk full
      this.snapshotBytes = this.position; // not again before it has doubled
      this.waiting.unshift(...covered);
      return;
    }
    // The name is the new file's already, so that what comes now must go there whatever happens.
    await this.file?.close().catch(() => {});
    this.file = next;
    this.size = size;
    this.position = bytes.length;
    this.snapshotBytes = bytes.length;
    this.mustRenew = false;
    this.promised -= promisedTo(covered);
    try {
      await syncDirectory(dirname(this.path));
      for (const { resolve } of covered) resolve();
    } catch (cause) {
      this.broken ??= failure(`cannot keep changes in ${this.path}`, cause);
      for (const { reject } of covered) reject(this.broken);
    }
  }
}

const promisedTo = (waiting: readonly Waiting[]): number => waiting.reduce((sum, { promised }) => sum + promised, 0);

const writeAll = async (file: FileHandle, bytes: Buffer, position: number): Promise<void> => {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
};

const syncDirectory = async (path: string): Promise<void> => {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
};

const failure = (what: string, cause: unknown): VtepdError =>
  new VtepdError("ERR_JOURNAL", `${what}: ${(cause as Error).message}`, { cause });
