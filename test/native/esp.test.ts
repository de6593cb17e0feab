/** What the addon seals and opens, against node:crypto. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ESP_FORGED,
  ESP_INVALID,
  ESP_REPLAYED,
  ESP_TRUNCATED,
  ESP_UNHANDLED,
  ESP_UNKNOWN,
  FEATURE_SEGMENT,
  FLAG_IP_PACKET,
  FRAME_ASSOCIATION,
  FRAME_CSUM,
  FRAME_FLAGS,
  FRAME_GSO,
  FRAME_HEADERS,
  FRAME_WORDS,
  HEADER_PAYLOAD_SEALED,
} from "../../src/binding/abi.ts";
import { AssociationTable } from "../../src/dataplane/association-table.ts";
import { type EspKey, openEsp, sealEsp } from "../support/esp-packet.ts";
import { DatagramLab } from "./datagram-lab.ts";
import { wordsOf } from "./segment-lab.ts";
import { payloadOf, superframe } from "./superframes.ts";

const LAYOUT = HEADER_PAYLOAD_SEALED | 16;
const [RX, PLAIN_RX] = [1, 2];
const [RAW, SEALS, SEALS_SEGMENTS] = [10, 11, 12];
const BD = 3;
const [ENOKEY, EOVERFLOW, EMSGSIZE] = [126, 75, 90];
const ETHERNET = 14;

const keyOf = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes + 4 }, (_, i) => (i * 37 + 11) & 0xff);
const espOf = (keyBytes: number, isExtended: boolean): EspKey => ({
  spi: 0x89abcdef,
  key: keyOf(keyBytes),
  isExtended,
});
const ESP = espOf(32, false);
const KINDS = [
  [espOf(32, false), "AES-256"],
  [espOf(16, false), "AES-128"],
  [espOf(32, true), "AES-256, extended sequence numbers"],
] as const;

let lab: DatagramLab;
let near: AssociationTable;
let far: AssociationTable;

beforeEach(() => {
  lab = new DatagramLab();
  near = new AssociationTable(lab.near.memory.associations);
  far = new AssociationTable(lab.far.memory.associations);
  lab.addSender(RAW, 0);
  lab.addSender(SEALS, LAYOUT);
  lab.addSender(SEALS_SEGMENTS, LAYOUT, FEATURE_SEGMENT);
  lab.addReceiver(RX, LAYOUT);
  lab.addReceiver(PLAIN_RX, 0);
});
afterEach(() => lab.close());

const ipv4 = (length: number): Uint8Array => payloadOf(length).fill(0x45, 0, 1);
const ipv6 = (length: number): Uint8Array => payloadOf(length).fill(0x60, 0, 1);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** Takes over the near association. */
const sendBy = (esp: EspKey, iv = new Uint8Array(8)): number => {
  const row = near.addOutbound(esp, BD, iv);
  near.send(BD, row);
  return row;
};

/** Sends packets sealed. Returns the datagrams. */
const sealed = (...packets: readonly Uint8Array[]): Uint8Array[] => {
  const copies = packets.map((frame) => ({ frame, words: { [FRAME_FLAGS]: FLAG_IP_PACKET }, bd: BD }));
  expect(lab.send(SEALS, PLAIN_RX, copies)).toEqual(packets.map(() => 0));
  return lab.receiveAll().map(({ bytes }) => bytes);
};

/** What becomes of datagrams: their packets, or why not. */
const opened = (...datagrams: readonly Uint8Array[]): (Uint8Array | number)[] => {
  const results: (Uint8Array | number)[] = [];
  for (const frame of datagrams) {
    lab.send(RAW, RX, [{ frame }]);
    expect(lab.far.io.receive(1000)).toBe(1);
    const { offset, length } = lab.far.frame(0);
    const association = lab.far.memory.frames[FRAME_ASSOCIATION]!;
    results.push(association > 0 ? lab.far.memory.arena.slice(offset, offset + length) : association);
  }
  expect(lab.far.memory.frames.length % FRAME_WORDS).toBe(0);
  return results;
};

describe.each(KINDS)("$1", (esp) => {
  it("seals packets of every length as node:crypto opens them", () => {
    sendBy(esp);
    for (const first of [1, 17, 1400]) {
      const packets = upTo(16).map((i) => (i % 2 === 0 ? ipv4 : ipv6)(first + i));
      for (const [i, datagram] of sealed(...packets).entries()) {
        const { packet, nextHeader, padding } = openEsp(esp, datagram);
        expect(packet).toEqual(packets[i]);
        expect(nextHeader).toBe(i % 2 === 0 ? 4 : 41);
        expect([...padding]).toEqual([1, 2, 3].slice(0, padding.length));
        expect(datagram.length % 4).toBe(0);
        expect(padding.length).toBeLessThan(4);
      }
    }
  });

  it("opens what node:crypto seals", () => {
    const row = far.addInbound(esp, BD, 64)!;
    const packets = upTo(16).flatMap((i) => [ipv4(20 + i), ipv4(1400 + i)]);
    expect(opened(...packets.map((packet, i) => sealEsp(esp, BigInt(i + 1), packet)))).toEqual(packets);
    expect(far.bd(row)).toBe(BD);
  });
});

describe("sealing", () => {
  it("numbers packets from 1 and never uses an initialisation vector twice", () => {
    sendBy(ESP, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    const datagrams = upTo(4).flatMap(() => sealed(...upTo(16).map(() => ipv4(40))));
    const all = datagrams.map((datagram) => openEsp(ESP, datagram));
    expect(all.map(({ sequence }) => Number(sequence))).toEqual(upTo(64).map((i) => i + 1));
    expect(new Set(all.map(({ iv }) => iv)).size).toBe(64);
    expect(all[0]?.iv).not.toBe("0000000000000001");
  });

  it("seals each segment of a superframe", () => {
    sendBy(ESP);
    for (const [port, family] of [
      [SEALS, 4],
      [SEALS_SEGMENTS, 6],
    ] as const) {
      const made = superframe({ family, payloadLength: 3000 });
      const words = wordsOf(made, 1000);
      const copy = {
        frame: made.bytes.subarray(ETHERNET),
        bd: BD,
        words: {
          ...words,
          [FRAME_FLAGS]: words[FRAME_FLAGS]! | FLAG_IP_PACKET,
          [FRAME_CSUM]: words[FRAME_CSUM]! - ETHERNET,
          [FRAME_GSO]: words[FRAME_GSO]!,
          [FRAME_HEADERS]: made.headerLength - ETHERNET,
        },
      };
      const small = { frame: ipv4(100), words: { [FRAME_FLAGS]: FLAG_IP_PACKET }, bd: BD };
      expect(lab.send(port, PLAIN_RX, [small, copy, small, small])).toEqual([0, 0, 0, 0]);
      const packets = lab.receiveAll().map(({ bytes }) => openEsp(ESP, bytes).packet);
      const header = made.headerLength - ETHERNET;
      expect(packets.map(({ length }) => length)).toEqual([100, header + 1000, header + 1000, header + 1000, 100, 100]);
      const payload = Buffer.concat(packets.slice(1, 4).map((packet) => packet.subarray(header)));
      expect(payload.equals(made.bytes.subarray(made.headerLength))).toBe(true);
    }
  });

  it("sends nothing without an association, nor when its sequence numbers are used up", () => {
    const send = (): number[] => lab.send(SEALS, PLAIN_RX, [{ frame: ipv4(40), bd: BD }]);
    expect(send()).toEqual([ENOKEY]);
    const row = sendBy(ESP);
    new BigUint64Array(near.words.buffer)[(8192 + row * 64 + 16) / 2] = 0xffff_fffen;
    expect(send()).toEqual([0]);
    expect(send()).toEqual([EOVERFLOW]);
    near.send(BD, 0);
    expect(send()).toEqual([ENOKEY]);
    sendBy(espOf(16, true));
    expect(send()).toEqual([0]);
    near.remove(row);
    expect(send()).toEqual([0]);
    expect(lab.send(SEALS, PLAIN_RX, [{ frame: new Uint8Array(65_480), bd: BD }])).toEqual([EMSGSIZE]);
    expect(lab.receiveAll()).toHaveLength(3);
  });

  it("goes on with another key when the association is replaced", () => {
    const old = sendBy(ESP);
    const next = { spi: 77, key: keyOf(16), isExtended: false };
    expect(openEsp(ESP, sealed(ipv4(60))[0]!).sequence).toBe(1n);
    sendBy(next);
    near.remove(old);
    expect(openEsp(next, sealed(ipv4(60))[0]!).sequence).toBe(1n);
  });
});

describe("opening", () => {
  const packet = ipv4(60);

  it("refuses what is truncated, unknown, forged or badly padded, and what carries no IP", () => {
    far.addInbound(ESP, BD, 64);
    const good = sealEsp(ESP, 1n, packet);
    for (const length of [1, 8, 16, 33]) expect(opened(good.subarray(0, length))).toEqual([ESP_TRUNCATED]);
    expect(opened(sealEsp({ ...ESP, spi: 1 }, 1n, packet))).toEqual([ESP_UNKNOWN]);
    for (let at = 4; at < good.length; at += 3) {
      const forged = good.slice();
      forged[at]! ^= 0x10;
      expect(opened(forged)).toEqual([ESP_FORGED]);
    }
    expect(opened(good.subarray(0, -4))).toEqual([ESP_FORGED]);
    expect(opened(sealEsp(ESP, 2n, packet, { padLength: 63 }))).toEqual([ESP_INVALID]);
    expect(opened(sealEsp(ESP, 3n, packet, { nextHeader: 59 }))).toEqual([ESP_UNHANDLED]);
    expect(opened(good)).toEqual([packet]);
  });

  it("leaves nothing of what it deciphered and then refused", () => {
    far.addInbound(ESP, BD, 64);
    const forged = sealEsp(ESP, 1n, packet);
    forged[forged.length - 1]! ^= 1;
    expect(opened(forged)).toEqual([ESP_FORGED]);
    const { headerOffset } = lab.far.frame(0);
    expect(lab.far.memory.arena.slice(headerOffset + 16, headerOffset + forged.length - 16)).toEqual(
      new Uint8Array(forged.length - 32),
    );
  });

  it.each([32, 64, 1024])("takes each number once, and none older than the window of %s", (window) => {
    far.addInbound(ESP, BD, window);
    const take = (sequence: number): boolean => typeof opened(sealEsp(ESP, BigInt(sequence), packet))[0] === "object";
    // The same by a set of all numbers that were taken.
    const taken = new Set<number>();
    let highest = 0;
    const expected = (sequence: number): boolean => {
      const isFresh = sequence > 0 && !taken.has(sequence) && (sequence > highest || highest - sequence < window);
      if (isFresh) taken.add(sequence);
      if (isFresh) highest = Math.max(highest, sequence);
      return isFresh;
    };
    let sequence = 5;
    for (let i = 0; i < 600; i++) {
      expect([i, sequence, take(sequence)]).toEqual([i, sequence, expected(sequence)]);
      const random = (Math.imul(i + 1, 0x9e3779b1) >>> 8) & 0xffff;
      const step = i % 97 === 0 ? 3 * window : random % (2 * window) < window ? -(random % (window + 8)) : random % 9;
      sequence = Math.max(0, highest + step);
    }
    expect(opened(sealEsp(ESP, BigInt(highest), packet))).toEqual([ESP_REPLAYED]);
  });

  it("takes anything with a window of 0", () => {
    far.addInbound(ESP, BD, 0);
    const one = sealEsp(ESP, 9n, packet);
    expect(opened(one, one, sealEsp(ESP, 2n, packet))).toEqual([packet, packet, packet]);
  });

  it("follows extended sequence numbers over the end of 32 bits", () => {
    const esp = espOf(32, true);
    far.addInbound(esp, BD, 64);
    const turn = 1n << 32n;
    const numbers = [1n, turn / 2n, turn - 40n, turn - 1n, turn - 3n, turn + 2n, turn - 2n, turn, turn + 30n];
    expect(opened(...numbers.map((number) => sealEsp(esp, number, packet)))).toEqual(numbers.map(() => packet));
    expect(opened(sealEsp(esp, turn - 2n, packet), sealEsp(esp, turn, packet))).toEqual([ESP_REPLAYED, ESP_REPLAYED]);
    // Taken for one of the next turn, which it is not.
    expect(opened(sealEsp(esp, turn - 60n, packet))).toEqual([ESP_FORGED]);
    const next = [turn + turn / 2n, 2n * turn - 1n, 2n * turn + 5n];
    expect(opened(...next.map((number) => sealEsp(esp, number, packet)))).toEqual(next.map(() => packet));
  });

  it("knows several associations, and a removed one no more", () => {
    const all = upTo(200).map((i) => ({ spi: 256 + i * 7919, key: keyOf(i % 2 === 0 ? 16 : 32), isExtended: false }));
    const rows = all.map((esp, i) => far.addInbound(esp, i, 64)!);
    expect(far.addInbound(all[7]!, 1, 64)).toBeUndefined();
    expect(opened(...all.map((esp) => sealEsp(esp, 1n, packet)))).toEqual(all.map(() => packet));
    for (const row of rows.slice(0, 100)) far.remove(row);
    const again = opened(...all.map((esp) => sealEsp(esp, 2n, packet)));
    expect(again).toEqual(all.map((_, i) => (i < 100 ? ESP_UNKNOWN : packet)));
  });
});
