/**
 * A stream of pcapng cut into whole blocks, so that a file of it is good wherever it ends, and what it says of packets and of
 * losses. Only what src/wire/pcapng.ts writes: little-endian, one section.
 */

const BLOCK_HEADER_BYTES = 8;
/** Type and length twice. */
const MIN_BLOCK_BYTES = 12;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
/** Of statistics: behind type and length stand interface and time, then options. */
const OPTIONS_AT = 20;
const ISB_IFDROP = 5;

export class PcapngBlocks {
  private rest: Uint8Array = new Uint8Array(0);
  /** Whether a whole block was there. */
  hasBegun = false;
  packets = 0;
  /** Of the last statistics. */
  dropped = 0;

  /** Returns the whole blocks that there are now. */
  push(bytes: Uint8Array): Uint8Array {
    const all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    let end = 0;
    while (end + BLOCK_HEADER_BYTES <= all.length) {
      const length = view.getUint32(end + 4, true);
      if (length < MIN_BLOCK_BYTES || end + length > all.length) break;
      this.see(view, end);
      end += length;
    }
    this.rest = all.slice(end);
    return all.subarray(0, end);
  }

  private see(view: DataView, at: number): void {
    this.hasBegun = true;
    const type = view.getUint32(at, true);
    if (type === ENHANCED_PACKET) this.packets++;
    if (type === INTERFACE_STATISTICS && view.getUint16(at + OPTIONS_AT, true) === ISB_IFDROP) {
      this.dropped = Number(view.getBigUint64(at + OPTIONS_AT + 4, true));
    }
  }
}
