import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Journal, readJournal } from "../../src/daemon/journal.ts";
import { temporaryDirectory } from "../support/control-fixture.ts";

let folder: string;
let path: string;
let open: Journal[];

const journal = async (snapshot: () => Iterable<string> = () => []): Promise<Journal> => {
  const { bytes } = await readJournal(path);
  const made = new Journal(path, bytes, snapshot);
  open.push(made);
  return made;
};

const keep = async (to: Journal, text: string): Promise<void> => {
  await to.room(Buffer.byteLength(text));
  await to.append(text, Buffer.byteLength(text));
};

beforeEach(() => {
  folder = temporaryDirectory();
  path = join(folder, "state", "x.journal");
  open = [];
});
afterEach(async () => {
  for (const each of open) await each.close();
  rmSync(folder, { recursive: true });
});

describe("a journal", () => {
  it("is no file until something is kept, and then has it all, in order, also of many at the same time", async () => {
    expect(await readJournal(path)).toEqual({ records: [], cutBytes: 0, damagedBytes: 0, bytes: 0 });
    const first = await journal();
    expect(() => statSync(path)).toThrow();
    const texts = Array.from({ length: 500 }, (_, n) => `{"n":${n},"ü":"${"x".repeat(n)}"}`);
    await Promise.all(texts.map((text) => keep(first, text)));
    expect((await readJournal(path)).records).toEqual(texts);
    await keep(await journal(), "after a restart");
    expect((await readJournal(path)).records).toEqual([...texts, "after a restart"]);
  });

  it("ends where a record is cut or damaged, says so, and goes on behind the last whole one", async () => {
    const first = await journal();
    for (const text of ["one", "two", "three"]) await keep(first, text);
    await first.close();
    const whole = readFileSync(path);
    const end = (await readJournal(path)).bytes;
    for (let cut = end - 1; cut > end - 8 - "three".length; cut--) {
      writeFileSync(path, whole.subarray(0, cut));
      const { records, cutBytes } = await readJournal(path);
      expect(records).toEqual(["one", "two"]);
      expect(cutBytes).toBeGreaterThan(0);
    }
    for (let bit = 0; bit < 8; bit++) {
      const damaged = Buffer.from(whole);
      damaged[end - 2]! ^= 1 << bit;
      writeFileSync(path, damaged);
      expect((await readJournal(path)).records).toEqual(["one", "two"]);
    }
    await keep(await journal(), "four");
    expect(await readJournal(path)).toMatchObject({ records: ["one", "two", "four"], cutBytes: 0 });
  });

  it("loses only the records that are damaged in the middle, wherever they are", async () => {
    const first = await journal();
    const texts = Array.from({ length: 4 }, (_, n) => `[{"op":"link-del","name":"vx${n}"}]`);
    for (const text of texts) await keep(first, text);
    await first.close();
    const whole = readFileSync(path);
    const { bytes } = await readJournal(path);
    const length = bytes / texts.length;
    for (let at = length; at < 2 * length; at++) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 0x55;
      writeFileSync(path, damaged);
      const contents = await readJournal(path);
      const records = texts.filter((_, n) => n !== 1);
      expect(contents).toEqual({ records, cutBytes: 0, damagedBytes: length, bytes });
    }
    writeFileSync(path, Buffer.concat([Buffer.from(whole).fill(7, length, 2.5 * length)]));
    const { records, damagedBytes } = await readJournal(path);
    expect({ records, damagedBytes }).toEqual({ records: [texts[0], texts[3]], damagedBytes: 2 * length });
    const next = await journal(() => ["all there is"]);
    await keep(next, texts[1]!);
    expect((await readJournal(path)).records).toEqual([texts[0], texts[3], texts[1]]);
    await next.renew();
    expect(await readJournal(path)).toMatchObject({ records: ["all there is"], damagedBytes: 0 });
  });

  it("has room on the disk before a record is written", async () => {
    const first = await journal();
    await first.room(300_000);
    const { size } = statSync(path);
    expect(size).toBeGreaterThan(300_000 + 64 * 1024);
    await first.append("x".repeat(300_000), 300_000);
    expect(statSync(path).size).toBe(size);
  });

  it("becomes its snapshot when it has grown long, with what waits at that moment, and no longer than that", async () => {
    let state: string[] = [];
    const first = await journal(() => state);
    const text = (n: number): string => `${n} ${"x".repeat(20_000)}`;
    for (let n = 0; n < 400; n++) {
      state = [text(n)]; // only the last one counts
      await keep(first, text(n));
    }
    const { records, bytes } = await readJournal(path);
    expect(records.at(-1)).toBe(text(399));
    expect(bytes).toBeLessThan(2_000_000);
    const many = Array.from({ length: 200 }, (_, n) => text(1000 + n));
    state = many;
    await Promise.all(many.map((each) => keep(first, each)));
    const now = new Set((await readJournal(path)).records);
    expect(many.filter((each) => !now.has(each))).toEqual([]);
  });

  it("answers whoever made it long before it becomes short, and keeps what comes meanwhile", async () => {
    const long = "x".repeat(2_000_000);
    let asked = 0;
    const first = await journal(() => {
      asked++;
      return ["short"];
    });
    await keep(first, long);
    expect(asked).toBe(0);
    await Promise.all([keep(first, "next"), keep(first, "last")]);
    await first.close();
    expect(asked).toBe(1);
    const { records } = await readJournal(path);
    expect(records[0]).toBe("short");
    expect(records).not.toContain(long);
    // Either the snapshot was taken with them waiting, or they stand behind it.
    expect([["short"], ["short", "next", "last"]]).toContainEqual(records);
  });

  it("becomes no snapshot of what is half changed", async () => {
    let isSettled = false;
    const first = new Journal(
      path,
      0,
      () => ["half"],
      () => isSettled,
    );
    open.push(first);
    const text = "x".repeat(1_200_000);
    await keep(first, text);
    await keep(first, "next");
    await first.renew();
    expect((await readJournal(path)).records).toEqual([text, "next"]);
    isSettled = true;
    await first.renewIfDue();
    expect((await readJournal(path)).records).toEqual(["half"]);
  });

  it("refuses what it cannot keep, and is whole again when it can", async () => {
    const first = await journal();
    writeFileSync(join(folder, "state"), "a file where the directory should be");
    await expect(first.room(10)).rejects.toMatchObject({ code: "ERR_JOURNAL" });
    rmSync(join(folder, "state"));
    await keep(first, "kept");
    expect((await readJournal(path)).records).toEqual(["kept"]);
    truncateSync(path, 0);
    expect((await readJournal(path)).records).toEqual([]);
  });
});
