/**
 * The addon's AES-GCM against published vectors, where test/native/esp.test.ts has node:crypto's word for it: what it deciphers is
 * theirs, and so is its ciphertext, but for the next header and the check value, which the vectors have for transport mode.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ASSOCIATION_DOMAINS,
  ASSOCIATION_SEQUENCE,
  ASSOCIATION_WORDS,
  ESP_FORGED,
  ESP_UNHANDLED,
  FLAG_IP_PACKET,
  FRAME_ASSOCIATION,
  FRAME_FLAGS,
  HEADER_PAYLOAD_SEALED,
} from "../../src/binding/abi.ts";
import { AssociationTable } from "../../src/dataplane/association-table.ts";
import { type EspKey, openEsp } from "../support/esp-packet.ts";
import { DatagramLab } from "./datagram-lab.ts";
import { ESP_VECTORS, type EspVector } from "./esp-vectors.ts";

const ESP_HEADER_BYTES = 16;
const ICV_BYTES = 16;
const LAYOUT = HEADER_PAYLOAD_SEALED | ESP_HEADER_BYTES;
const [RX, PLAIN_RX] = [1, 2];
const [RAW, SEALS] = [10, 11];
const BD = 3;
const ICMP = 1;
const EINVAL = 22;

let lab: DatagramLab;
let near: AssociationTable;
let far: AssociationTable;

beforeAll(() => {
  lab = new DatagramLab();
  near = new AssociationTable(lab.near.memory.associations);
  far = new AssociationTable(lab.far.memory.associations);
  lab.addSender(RAW, 0);
  lab.addSender(SEALS, LAYOUT);
  lab.addReceiver(RX, LAYOUT);
  lab.addReceiver(PLAIN_RX, 0);
});
afterAll(() => lab.close());

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
const keyOf = ({ spi, key, isExtended }: EspVector): EspKey => ({ spi, key: bytesOf(key), isExtended });

const headerOf = ({ spi, sequence, iv }: EspVector): Uint8Array => {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(spi);
  header.writeUInt32BE(Number(sequence & 0xffff_ffffn), 4);
  return new Uint8Array(Buffer.concat([header, bytesOf(iv)]));
};
const datagramOf = (vector: EspVector): Uint8Array =>
  new Uint8Array(Buffer.concat([headerOf(vector), bytesOf(vector.sealed)]));

/** The last number that the association has sent, or taken. */
const setSequence = (table: AssociationTable, row: number, sequence: bigint): void => {
  const at = ASSOCIATION_DOMAINS + row * ASSOCIATION_WORDS + ASSOCIATION_SEQUENCE;
  new BigUint64Array(table.words.buffer)[at / 2] = sequence;
};

/** What the addon mixes with the sequence number, so that the vector comes out. */
const ivOf = ({ iv, sequence }: EspVector): Uint8Array => {
  const mixed = Buffer.alloc(8);
  mixed.writeBigUInt64LE(BigInt(`0x${iv}`) ^ sequence);
  return mixed;
};

const open = (vector: EspVector, datagram: Uint8Array): number => {
  const row = far.addInbound(keyOf(vector), BD, 64)!;
  setSequence(far, row, vector.sequence - 1n);
  lab.send(RAW, RX, [{ frame: datagram }]);
  expect(lab.far.io.receive(1000)).toBe(1);
  far.remove(row);
  return lab.far.memory.frames[FRAME_ASSOCIATION]!;
};

describe.each(ESP_VECTORS)("vector $number of draft-mcgrew-gcm-test", (vector) => {
  const plain = bytesOf(vector.plain);
  const padding = plain.at(-2)!;
  const packet = plain.subarray(0, -2 - padding);

  it("is what node:crypto makes of it", () => {
    const opened = openEsp(keyOf(vector), datagramOf(vector), vector.isExtended ? vector.sequence >> 32n : 0n);
    expect(opened).toMatchObject({ packet, nextHeader: ICMP });
    expect(opened.padding).toHaveLength(padding);
  });

  it("is deciphered, found genuine, and refused for what is inside", () => {
    expect(open(vector, datagramOf(vector))).toBe(ESP_UNHANDLED);
    const at = lab.far.frame(0).headerOffset + ESP_HEADER_BYTES;
    expect(lab.far.memory.arena.slice(at, at + plain.length)).toEqual(plain);
  });

  it("is forged with one bit more in the check value", () => {
    const datagram = datagramOf(vector);
    datagram[datagram.length - 1]! ^= 1;
    expect(open(vector, datagram)).toBe(ESP_FORGED);
  });

  it("is what the packet is sealed to", () => {
    const row = near.addOutbound(keyOf(vector), BD, ivOf(vector));
    setSequence(near, row, vector.sequence - 1n);
    near.send(BD, row);
    const copy = { frame: packet, words: { [FRAME_FLAGS]: FLAG_IP_PACKET }, bd: BD };
    if (packet.length === 0) {
      expect(lab.send(SEALS, PLAIN_RX, [copy])).toEqual([EINVAL]);
      return;
    }
    expect(lab.send(SEALS, PLAIN_RX, [copy])).toEqual([0]);
    const [{ bytes } = { bytes: new Uint8Array() }] = lab.receiveAll();
    const opened = openEsp(keyOf(vector), bytes, vector.isExtended ? vector.sequence >> 32n : 0n);
    expect(opened.packet).toEqual(packet);
    // In counter mode another next header is another last byte, by the same difference.
    const expected = datagramOf(vector).subarray(0, -ICV_BYTES);
    expected[expected.length - 1]! ^= ICMP ^ opened.nextHeader;
    expect(bytes.subarray(0, -ICV_BYTES)).toEqual(expected);
  });
});
