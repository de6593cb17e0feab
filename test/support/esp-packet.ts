/** ESP datagrams (RFC 4303, RFC 4106) by node:crypto: what the addon's are compared with. */
import { createCipheriv, createDecipheriv } from "node:crypto";

const HEADER_BYTES = 16;
const ICV_BYTES = 16;

export interface EspKey {
  readonly spi: number;
  /** 16 or 32 bytes, then 4 of salt. */
  readonly key: Uint8Array;
  readonly isExtended: boolean;
}

export interface EspPacket {
  readonly sequence: bigint;
  /** Behind the header, padding and trailer cut off. */
  readonly packet: Uint8Array;
  readonly nextHeader: number;
  readonly padding: Uint8Array;
  readonly iv: string;
}

const algorithm = (key: Uint8Array): "aes-256-gcm" | "aes-128-gcm" =>
  key.length === 36 ? "aes-256-gcm" : "aes-128-gcm";

const authenticated = ({ spi, isExtended }: EspKey, sequence: bigint): Buffer => {
  const bytes = Buffer.alloc(isExtended ? 12 : 8);
  bytes.writeUInt32BE(spi);
  if (isExtended) bytes.writeBigUInt64BE(sequence, 4);
  else bytes.writeUInt32BE(Number(sequence), 4);
  return bytes;
};

const nonce = (key: Uint8Array, iv: Uint8Array): Buffer => Buffer.concat([key.subarray(-4), iv]);

/** @param padding bytes before the two last; default what aligns to 4 */
export const sealEsp = (
  esp: EspKey,
  sequence: bigint,
  packet: Uint8Array,
  { nextHeader = 4, padding, padLength }: { nextHeader?: number; padding?: Uint8Array; padLength?: number } = {},
): Uint8Array => {
  const pad = padding ?? Uint8Array.from({ length: (4 - ((packet.length + 2) % 4)) % 4 }, (_, i) => i + 1);
  const iv = Buffer.alloc(8);
  iv.writeBigUInt64BE(sequence ^ 0x1234_5678_9abc_def0n);
  const cipher = createCipheriv(algorithm(esp.key), esp.key.subarray(0, -4), nonce(esp.key, iv));
  cipher.setAAD(authenticated(esp, sequence));
  const header = Buffer.alloc(8);
  header.writeUInt32BE(esp.spi);
  header.writeUInt32BE(Number(sequence & 0xffff_ffffn), 4);
  const plain = Buffer.concat([packet, pad, Uint8Array.of(padLength ?? pad.length, nextHeader)]);
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return new Uint8Array(Buffer.concat([header, iv, sealed, cipher.getAuthTag()]));
};

/** @throws when it is not genuine @param high upper half of the sequence number */
export const openEsp = (esp: EspKey, datagram: Uint8Array, high = 0n): EspPacket => {
  const bytes = Buffer.from(datagram);
  if (bytes.readUInt32BE(0) !== esp.spi) throw new Error(`SPI ${bytes.readUInt32BE(0)} instead of ${esp.spi}`);
  const sequence = (high << 32n) | BigInt(bytes.readUInt32BE(4));
  const iv = bytes.subarray(8, HEADER_BYTES);
  const decipher = createDecipheriv(algorithm(esp.key), esp.key.subarray(0, -4), nonce(esp.key, iv));
  decipher.setAAD(authenticated(esp, sequence));
  decipher.setAuthTag(bytes.subarray(-ICV_BYTES));
  const plain = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES, -ICV_BYTES)), decipher.final()]);
  const end = plain.length - 2 - plain.at(-2)!;
  return {
    sequence,
    packet: new Uint8Array(plain.subarray(0, end)),
    nextHeader: plain.at(-1)!,
    padding: new Uint8Array(plain.subarray(end, -2)),
    iv: iv.toString("hex"),
  };
};
