/** Key files of two ends of an ESP tunnel. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Hex digits of a key with its salt that nothing else has. */
export const keyHex = (seed: number, bytes: 16 | 32 = 32): string =>
  Buffer.from(Array.from({ length: bytes + 4 }, (_, i) => (i * 29 + seed * 61 + 7) & 0xff)).toString("hex");

export interface KeyPair {
  readonly spi: number;
  readonly hex: string;
}

/** `in` lines, then the `out` line. */
export const keyLines = (inbound: readonly KeyPair[], outbound: KeyPair): string =>
  [...inbound.map(({ spi, hex }) => `in ${spi} 0x${hex}`), `out ${outbound.spi} 0x${outbound.hex}`].join("\n");

export class KeyFolder {
  private readonly folder = mkdtempSync(join(tmpdir(), "vtepd-keys-"));

  /** Returns the path. */
  write(name: string, text: string, mode = 0o600): string {
    const path = join(this.folder, name);
    rmSync(path, { force: true });
    writeFileSync(path, text, { mode });
    return path;
  }

  delete(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
