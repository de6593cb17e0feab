/**
 * What the tunnels have learned, in a file: written now and then and at the end, read at the start, so that a daemon that comes
 * back does not flood for what it knew. A loss costs no more than flooding, so nothing waits for the disk: the file is written beside
 * the one of before, with its CRC in the first line, and renamed.
 *
 *   vtepd learned 1 <wall clock, ms> <CRC-32 of the rest>
 *   {"dev":"vx42","addresses":["192.0.2.2"],"entries":[[macHi,macLo,address,seconds since the last hit], ...]}
 *
 * Entries come back with their age, if they are not too old for their tunnel by now and their remote VTEP is there.
 */
import { mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Logger } from "pino";
import type { Tables } from "../dataplane/tables.ts";
import { learnedOf } from "./carry-over.ts";
import { monotonicS } from "./clock.ts";
import type { Tunnel } from "./tunnel.ts";

const TITLE = "vtepd learned 1";

type Entry = readonly [macHi: number, macLo: number, address: number, ageS: number];

interface Line {
  readonly dev: string;
  readonly addresses: readonly string[];
  readonly entries: readonly Entry[];
}

export class LearnedSnapshot {
  private readonly path: string;
  private readonly tunnels: ReadonlyMap<string, Tunnel>;
  private readonly tables: Tables;
  private readonly log: Logger;
  private saving: Promise<void> | undefined;

  constructor(path: string, tunnels: ReadonlyMap<string, Tunnel>, tables: Tables, log: Logger) {
    this.path = path;
    this.tunnels = tunnels;
    this.tables = tables;
    this.log = log;
  }

  /** One at a time; a failure is logged. */
  save(): Promise<void> {
    this.saving ??= this.write()
      .catch((error: unknown) => this.log.warn({ err: error, path: this.path }, "what was learned cannot be kept"))
      .finally(() => {
        this.saving = undefined;
      });
    return this.saving;
  }

  /** Gives the tunnels back what the file has. Returns how many entries. */
  async restore(): Promise<number> {
    const text = await readFile(this.path, "utf8").catch(() => "");
    const end = text.indexOf("\n");
    const [, savedMs, crc] = /^vtepd learned 1 (\d+) (\d+)$/.exec(text.slice(0, end)) ?? [];
    if (savedMs === undefined || crc32(text.slice(end + 1)) !== Number(crc)) {
      if (text !== "")
        this.log.warn(
          { path: this.path },
          "the file of learned entries is damaged or of another version; it is not used",
        );
      return 0;
    }
    const elapsedS = Math.max(0, Math.round((Date.now() - Number(savedMs)) / 1000));
    let count = 0;
    for (const line of text.slice(end + 1).split("\n")) {
      if (line !== "") count += this.give(JSON.parse(line) as Line, elapsedS);
    }
    return count;
  }

  private async write(): Promise<void> {
    const nowS = monotonicS();
    const lines: string[] = [];
    for (const [dev, learned] of learnedOf([...this.tunnels.values()], this.tables)) {
      if (learned.length === 0) continue;
      const addresses = [...new Set(learned.map(({ address }) => address))];
      const index = new Map(addresses.map((address, place) => [address, place]));
      const entries = learned.map(
        ({ macHi, macLo, address, usedS }): Entry => [macHi, macLo, index.get(address)!, nowS - usedS],
      );
      lines.push(`${JSON.stringify({ dev, addresses, entries } satisfies Line)}\n`);
    }
    const body = lines.join("");
    await mkdir(dirname(this.path), { recursive: true, mode: 0o750 });
    const besides = `${this.path}.new`;
    const file = await open(besides, "w", 0o640);
    try {
      await file.writeFile(`${TITLE} ${Date.now()} ${crc32(body)}\n${body}`);
      await file.datasync();
      await rename(besides, this.path);
    } catch (error) {
      await unlink(besides).catch(() => {}); // or it would keep a full disk full
      throw error;
    } finally {
      await file.close();
    }
  }

  private give({ dev, addresses, entries }: Line, elapsedS: number): number {
    const tunnel = this.tunnels.get(dev);
    if (tunnel === undefined || !tunnel.config.macLearning) return 0;
    const { bd, config, forwarding } = tunnel;
    if (config.accept === "any") for (const address of addresses) forwarding.remotes.meet(address);
    const plain = forwarding.remotes.list().filter((remote) => forwarding.remotes.isPlain(remote));
    const slots = new Map(plain.map(({ address, slot }) => [address, slot]));
    const nowS = monotonicS();
    let count = 0;
    for (const [macHi, macLo, address, ageS] of entries) {
      const slot = slots.get(addresses[address] ?? "");
      const oldS = ageS + elapsedS;
      if (slot === undefined || (config.ageingS > 0 && oldS >= config.ageingS)) continue;
      this.tables.fdb.learn(bd, macHi, macLo, slot, nowS - oldS);
      count++;
    }
    return count;
  }
}
