/**
 * The file that has a tunnel's security associations. Keys are bytes from the file to the table, never text, so that they can be
 * wiped, and no message has one: it names the line.
 *
 *   # direction  SPI     key and salt, in hex
 *   in           0x1001  0x00112233...
 *   out          0x1002  0x8899aabb...
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { SALT_BYTES } from "../dataplane/association-table.ts";
import { VtepdError } from "../errors.ts";

/** The four largest lines, and comments. */
const MAX_FILE_BYTES = 16_384;
const MAX_INBOUND = 4;
/** 0 has another meaning in UDP, and up to 255 are IANA's (RFC 4303 section 2.1). */
const LEAST_SPI = 256;
const MAX_SPI = 0xffff_ffff;
const KEY_BYTES: readonly number[] = [16 + SALT_BYTES, 32 + SALT_BYTES];
const OTHERS = 0o077;
const [NEWLINE, HASH, ZERO, LETTER_X] = [0x0a, 0x23, 0x30, 0x78];

export interface KeyLine {
  readonly line: number;
  readonly direction: "in" | "out";
  readonly spi: number;
  /** Whoever has it wipes it. */
  readonly key: Uint8Array;
}

/** @throws ERR_KEY_FILE, with no key left anywhere @param path of the configuration, for messages */
export const readKeyFile = (file: string, path: string): KeyLine[] => {
  const refuse = (words: string, cause?: unknown): VtepdError =>
    new VtepdError("ERR_KEY_FILE", `${path}: ${file}: ${words}`, { path, ...(cause === undefined ? {} : { cause }) });
  const text = Buffer.alloc(MAX_FILE_BYTES + 1);
  const lines: KeyLine[] = [];
  try {
    parse(text.subarray(0, read(file, text, refuse)), refuse, lines);
    return lines;
  } catch (error) {
    wipeKeys(lines);
    throw error;
  } finally {
    text.fill(0);
  }
};

export const wipeKeys = (lines: readonly KeyLine[]): void => {
  for (const { key } of lines) key.fill(0);
};

type Refuse = (words: string, cause?: unknown) => VtepdError;

const read = (file: string, text: Buffer, refuse: Refuse): number => {
  const attempt = <T>(what: string, call: () => T): T => {
    try {
      return call();
    } catch (error) {
      throw refuse(`${what} failed with ${(error as NodeJS.ErrnoException).code}`, error);
    }
  };
  // A fifo must not hold the daemon up.
  const fd = attempt("open", () => openSync(file, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    checkOwner(fstatSync(fd), refuse);
    const length = attempt("read", () => readSync(fd, text, 0, text.length, 0));
    if (length > MAX_FILE_BYTES) throw refuse(`expected at most ${MAX_FILE_BYTES} bytes`);
    return length;
  } finally {
    closeSync(fd);
  }
};

const checkOwner = (stats: Stats, refuse: Refuse): void => {
  if (!stats.isFile()) throw refuse("expected a file");
  const self = process.geteuid?.() ?? 0;
  if (stats.uid !== 0 && stats.uid !== self) {
    throw refuse(`expected a file of root's or of user ${self}, it is user ${stats.uid}'s`);
  }
  if ((stats.mode & OTHERS) !== 0) {
    throw refuse(
      `expected mode 0600 or stricter, got 0${(stats.mode & 0o777).toString(8)}: others might have read the keys`,
    );
  }
};

const parse = (text: Buffer, refuse: Refuse, lines: KeyLine[]): void => {
  let start = 0;
  for (let line = 1; start < text.length; line++) {
    const newline = text.indexOf(NEWLINE, start);
    const end = newline === -1 ? text.length : newline;
    const words = wordsOf(text.subarray(start, end));
    start = end + 1;
    if (words.length > 0) lines.push(lineOf(words, line, (expected) => refuse(`line ${line}: expected ${expected}`)));
  }
  check(lines, refuse);
};

/** Up to a comment. */
const wordsOf = (line: Buffer): Buffer[] => {
  const words: Buffer[] = [];
  for (let at = 0; at < line.length && line[at] !== HASH; at++) {
    if (isSpace(line[at]!)) continue;
    let end = at;
    while (end < line.length && !isSpace(line[end]!)) end++;
    words.push(line.subarray(at, end));
    at = end;
  }
  return words;
};

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d;

const lineOf = (words: readonly Buffer[], line: number, refuse: (expected: string) => VtepdError): KeyLine => {
  const [first, second, third] = words;
  const direction = first!.equals(Buffer.from("in")) ? "in" : first!.equals(Buffer.from("out")) ? "out" : undefined;
  if (direction === undefined || second === undefined || third === undefined || words.length > 3) {
    throw refuse("`in` or `out`, an SPI and a key");
  }
  // A key in the SPI's place is not made text.
  const spiText = second.length <= 10 ? second.toString("latin1") : "";
  const spi = /^(0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(spiText) ? Number(spiText) : Number.NaN;
  if (!(spi >= LEAST_SPI && spi <= MAX_SPI)) throw refuse(`an SPI from ${LEAST_SPI} to ${MAX_SPI}`);
  return { line, direction, spi, key: keyOf(third, refuse) };
};

const keyOf = (word: Buffer, refuse: (expected: string) => VtepdError): Uint8Array => {
  const digits = word[0] === ZERO && word[1] === LETTER_X ? word.subarray(2) : word;
  const key = new Uint8Array(digits.length >> 1);
  for (let i = 0; i < digits.length; i++) {
    const digit = digitOf(digits[i]!);
    if (digit < 0 || !KEY_BYTES.includes(digits.length / 2)) {
      key.fill(0);
      throw refuse("a key of 40 or 72 hex digits: AES-128 or AES-256, and the salt");
    }
    key[i >> 1] = (key[i >> 1]! << 4) | digit;
  }
  return key;
};

const digitOf = (byte: number): number => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
};

const check = (lines: readonly KeyLine[], refuse: Refuse): void => {
  const inbound = lines.filter(({ direction }) => direction === "in");
  const outbound = lines.length - inbound.length;
  if (outbound !== 1) throw refuse(`expected one line \`out\`, got ${outbound}`);
  if (inbound.length === 0 || inbound.length > MAX_INBOUND) {
    throw refuse(`expected one to ${MAX_INBOUND} lines \`in\`, got ${inbound.length}`);
  }
  for (const [i, { direction, spi, key, line }] of lines.entries()) {
    const before = lines.slice(0, i);
    const twin = before.find((other) => other.direction === direction && other.spi === spi);
    if (twin !== undefined) throw refuse(`line ${line}: expected another SPI than line ${twin.line} has`);
    // Two that seal with one key might use an initialisation vector twice, which gives both away.
    const same = before.find((other) => Buffer.compare(other.key, key) === 0);
    if (same !== undefined) throw refuse(`line ${line}: expected another key than line ${same.line} has`);
  }
};
