/**
 * A tunnel's security associations, as its key file has them. `load` makes them be what the file says now: what is new is added
 * first, then packets are sent by the new outbound one, and last goes what the file no longer has. What the file has as before goes
 * on with its sequence numbers.
 *
 * So keys are changed without loss in three steps at both ends: the new `in` beside the old one, the new `out` instead of the old one,
 * the old `in` away.
 */
import { randomBytes } from "node:crypto";
import type { TunnelConfig } from "../config/config.ts";
import type { Association, AssociationTable } from "../dataplane/association-table.ts";
import { VtepdError } from "../errors.ts";
import { type KeyLine, readKeyFile, wipeKeys } from "./key-file.ts";

const IV_BYTES = 8;

interface Held {
  readonly direction: "in" | "out";
  readonly spi: number;
  readonly row: number;
}

export class Associations {
  private readonly config: TunnelConfig;
  private readonly table: AssociationTable;
  private readonly bd: number;
  private held: readonly Held[] = [];

  constructor(config: TunnelConfig, table: AssociationTable, bd: number) {
    this.config = config;
    this.table = table;
    this.bd = bd;
  }

  /** Reads the key file, if the tunnel has one. @throws ERR_KEY_FILE, ERR_LIMIT, then nothing has changed */
  load(): void {
    const { keyFile, name } = this.config;
    if (keyFile === undefined) return;
    const path = `tunnels.${name}.key-file`;
    const lines = readKeyFile(keyFile, path);
    const added: Held[] = [];
    try {
      const next = lines.map((line) => this.find(line, path) ?? this.add(line, path, added));
      this.table.send(this.bd, next.find(({ direction }) => direction === "out")!.row);
      for (const { row } of this.held.filter((held) => !next.includes(held))) this.table.remove(row);
      this.held = next;
    } catch (error) {
      for (const { row } of added) this.table.remove(row);
      throw error;
    } finally {
      wipeKeys(lines);
    }
  }

  /** Of what is sent now; undefined = nothing is sealed. */
  get outboundSpi(): number | undefined {
    return this.held.find(({ direction }) => direction === "out")?.spi;
  }

  /** One that opens what comes, the first of the file; undefined = there is none. */
  get inbound(): { readonly spi: number; readonly row: number } | undefined {
    return this.held.find(({ direction }) => direction === "in");
  }

  /** Forgets all keys. */
  clear(): void {
    this.table.send(this.bd, 0);
    for (const { row } of this.held) this.table.remove(row);
    this.held = [];
  }

  /** The same as before. */
  private find({ direction, spi, key, line }: KeyLine, path: string): Held | undefined {
    const held = this.held.find((one) => one.direction === direction && one.spi === spi);
    if (held === undefined || this.table.hasKey(held.row, key)) return held;
    throw this.refuse(path, line, `another SPI for another key: ${spi} is in use`);
  }

  private add({ direction, spi, key, line }: KeyLine, path: string, added: Held[]): Held {
    const { table, bd, config } = this;
    const association: Association = { spi, key, isExtended: config.extendedSequence };
    const row =
      direction === "out"
        ? table.addOutbound(association, bd, randomBytes(IV_BYTES))
        : table.addInbound(association, bd, config.replayWindow);
    if (row === undefined) throw this.refuse(path, line, `another SPI: ${spi} is another tunnel's`);
    const held = { direction, spi, row };
    added.push(held);
    return held;
  }

  private refuse(path: string, line: number, expected: string): VtepdError {
    return new VtepdError("ERR_KEY_FILE", `${path}: ${this.config.keyFile}: line ${line}: expected ${expected}`, {
      path,
    });
  }
}
