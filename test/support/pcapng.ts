/** Reads pcapng files as src/wire/pcapng.ts writes them; shares no code with it. */

export interface PcapngPacket {
  readonly interface: string;
  readonly linkType: number;
  readonly timeMs: number;
  readonly bytes: Buffer;
  readonly length: number;
  readonly direction: "in" | "out" | "none";
  readonly comment: string;
}

export interface PcapngFile {
  readonly interfaces: readonly { readonly name: string; readonly linkType: number; readonly description: string }[];
  readonly packets: readonly PcapngPacket[];
  /** Of the last statistics. */
  readonly dropped: number;
}

const DIRECTIONS = ["none", "in", "out"] as const;

const optionsOf = (bytes: Buffer): Map<number, Buffer> => {
  const options = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [code, length] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)];
    if (code === 0) break;
    options.set(code, bytes.subarray(at + 4, at + 4 + length));
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return options;
};

/** @throws Error for anything that is not whole. */
export const readPcapng = (file: Buffer): PcapngFile => {
  const interfaces: { name: string; linkType: number; description: string }[] = [];
  const packets: PcapngPacket[] = [];
  let dropped = 0;
  for (let at = 0; at < file.length; ) {
    const [type, length] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    if (length % 4 !== 0 || length < 12 || file.readUInt32LE(at + length - 4) !== length) {
      throw new Error(`block of type ${type} at ${at}: lengths differ`);
    }
    const body = file.subarray(at + 8, at + length - 4);
    if (type === 1) {
      const options = optionsOf(body.subarray(8));
      const text = (code: number): string => options.get(code)?.toString() ?? "";
      interfaces.push({ linkType: body.readUInt16LE(0), name: text(2), description: text(3) });
    } else if (type === 6) {
      const { name, linkType } = interfaces[body.readUInt32LE(0)]!;
      const captured = body.readUInt32LE(12);
      const options = optionsOf(body.subarray(20 + Math.ceil(captured / 4) * 4));
      packets.push({
        interface: name,
        linkType,
        timeMs: (body.readUInt32LE(4) * 2 ** 32 + body.readUInt32LE(8)) / 1000,
        bytes: body.subarray(20, 20 + captured),
        length: body.readUInt32LE(16),
        direction: DIRECTIONS[(options.get(2)?.readUInt32LE(0) ?? 0) & 3]!,
        comment: options.get(1)?.toString() ?? "",
      });
    } else if (type === 5) {
      dropped = Number(optionsOf(body.subarray(12)).get(5)?.readBigUInt64LE(0) ?? 0n);
    } else if (type !== 0x0a0d0d0a) {
      throw new Error(`block of type ${type} at ${at}`);
    }
    at += length;
  }
  return { interfaces, packets, dropped };
};
