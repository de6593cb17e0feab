/** Fragments over IPv6, which packet sockets get before the kernel puts them together. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FLAG_FRAGMENT } from "../../src/binding/abi.ts";
import { type Arrived, CarrierLab, FAR6, GRE, NEAR6 } from "./carrier-lab.ts";
import { fromHex, OffloadTool } from "./offload-tool.ts";
import { payloadOf } from "./superframes.ts";

const [IPIP, FRAGMENT, DESTINATION_OPTIONS] = [4, 44, 60];
const [MORE, LAST] = [1, 0];
const PACKETS = 16;

let lab: CarrierLab;
beforeEach(() => {
  lab = new CarrierLab();
  lab.addReceivers(FAR6, GRE, {}, 4);
});
afterEach(() => lab.close());

const greOf = (payload: ArrayLike<number>): Uint8Array => Uint8Array.from([0, 0, 0x65, 0x58, ...Array.from(payload)]);

/** @param at byte where it begins @param more MORE or LAST */
const fragment = (id: number, at: number, more: number, data: ArrayLike<number>, protocol = GRE): Uint8Array =>
  Uint8Array.from([protocol, 0, at >> 8, (at & 0xf8) | more, 0, 0, id >> 8, id & 255, ...Array.from(data)]);

/** Fragments of `whole` that begin at these bytes. */
const cut = (id: number, whole: Uint8Array, ...starts: readonly number[]): Uint8Array[] =>
  starts.map((start, n) =>
    fragment(id, start, n === starts.length - 1 ? LAST : MORE, whole.slice(start, starts[n + 1])),
  );

const sender = (tos = 0): number => lab.addSender(NEAR6, FRAGMENT, { tos });
const send = (port: number, ...fragments: readonly Uint8Array[]): void => {
  for (const one of fragments) expect(lab.send(port, FAR6, [one])).toEqual([0]);
};
const payloads = (arrived: readonly Arrived[]): number[][] => arrived.map(({ bytes }) => [...bytes]);
/** Packets that were given up, with the rest of what arrived. */
const lost = (count: number): number => {
  const arrived = lab.receive(count);
  for (const { view } of arrived) {
    expect([view.datagramLength, view.flags & FLAG_FRAGMENT]).toEqual([0, FLAG_FRAGMENT]);
  }
  return arrived.reduce((sum, { view }) => sum + view.segments, 0);
};

describe("a packet in fragments", () => {
  it.each([1500, 5000, 60_000])("of %i bytes comes whole, as the kernel fragmented it", (length) => {
    const payload = payloadOf(length);
    expect(lab.send(lab.addSender(NEAR6, GRE, { tos: 0xb8 }), FAR6, [greOf(payload)])).toEqual([0]);
    const [arrived] = lab.receive(1);
    expect(Buffer.compare(arrived!.bytes, payload)).toBe(0);
    expect(arrived!.view).toMatchObject({
      source: "20010db8000000000000000000000001",
      destination: "20010db8000000000000000000000002",
      tos: 0xb8,
      segments: 1,
      flags: 0,
    });
  });

  it("comes in any order, with repetitions, among others, and alone", () => {
    const port = sender();
    const [a, b] = [payloadOf(50), payloadOf(61)];
    const [a0, a1, a2] = cut(1, greOf(a), 0, 16, 32) as [Uint8Array, Uint8Array, Uint8Array];
    const [b0, b1] = cut(2, greOf(b), 0, 24) as [Uint8Array, Uint8Array];
    send(port, a2, b1, a0, a0, b1, a2, b0, a1);
    send(port, ...cut(3, greOf([7]), 0));
    expect(payloads(lab.receive(3))).toEqual([[...b], [...a], [7]]);
    // A number may be used again.
    send(port, ...cut(1, greOf(b), 0, 8));
    expect(payloads(lab.receive(1))).toEqual([[...b]]);
    expect(lab.receive(1, 100)).toEqual([]);
  });

  it("comes from behind the options in which Linux tells the encapsulation limit", () => {
    const port = lab.addSender(NEAR6, DESTINATION_OPTIONS);
    const payload = payloadOf(40);
    for (const one of cut(1, greOf(payload), 0, 16)) {
      send(port, Uint8Array.from([FRAGMENT, 0, 4, 1, 4, 1, 1, 0, ...one]));
    }
    expect(payloads(lab.receive(1))).toEqual([[...payload]]);
  });

  it("of another protocol is not taken", () => {
    const port = sender();
    send(port, fragment(1, 0, MORE, greOf(payloadOf(4)), IPIP), fragment(1, 8, LAST, [1], IPIP));
    send(port, ...cut(2, greOf([9]), 0));
    expect(payloads(lab.receive(1))).toEqual([[9]]);
    expect(lab.receive(1, 100)).toEqual([]);
  });

  it("has the congestion mark of any of them, and not where one could not be marked", () => {
    const [plain, capable, marked] = [sender(0), sender(0xb8 | 1), sender(0xb8 | 3)];
    const [first, second] = cut(1, greOf(payloadOf(20)), 0, 16) as [Uint8Array, Uint8Array];
    send(capable, first);
    send(marked, second);
    expect(lab.receive(1)[0]?.view.tos).toBe(0xb8 | 3);
    send(plain, first);
    send(marked, second);
    expect(lost(1)).toBe(1);
  });
});

describe("fragments that do not fit together", () => {
  const whole = greOf(payloadOf(60));
  it.each<[string, Uint8Array[]]>([
    ["overlap", [fragment(1, 0, MORE, whole.slice(0, 24)), fragment(1, 16, MORE, whole.slice(16, 40))]],
    ["reach behind the end", [fragment(1, 16, LAST, whole.slice(16, 30)), fragment(1, 24, MORE, whole.slice(24, 48))]],
    ["end before another", [fragment(1, 24, MORE, whole.slice(24, 48)), fragment(1, 0, LAST, whole.slice(0, 16))]],
    ["end twice", [fragment(1, 16, LAST, whole.slice(16, 32)), fragment(1, 40, LAST, whole.slice(40, 48))]],
    ["are no multiple of eight bytes", [fragment(1, 0, MORE, whole.slice(0, 15))]],
    ["are empty", [fragment(1, 8, MORE, [])]],
    ["make more than a packet has", [fragment(1, 65_528, LAST, payloadOf(16))]],
  ])("because they %s are counted as one packet", (_, fragments) => {
    const port = sender();
    send(port, ...fragments);
    expect(lost(1)).toBe(1);
    // Nothing of it is left.
    send(port, ...cut(1, greOf([1, 2, 3]), 0));
    expect(payloads(lab.receive(1))).toEqual([[1, 2, 3]]);
  });

  it(`leave the oldest out when there are more than ${PACKETS} packets`, () => {
    const port = sender();
    for (let id = 0; id < PACKETS + 3; id++) send(port, fragment(id, 0, MORE, greOf(payloadOf(12))));
    expect(lost(3)).toBe(3);
    for (let id = 3; id < PACKETS + 3; id++) send(port, fragment(id, 16, LAST, [id]));
    expect(lab.receive(PACKETS).map(({ bytes }) => bytes[12])).toEqual(
      Array.from({ length: PACKETS }, (_, n) => n + 3),
    );
  });
});

describe("a packet of which not all comes", () => {
  const TIMEOUT_S = 60;
  const SOURCE = [0xfe, 0x80, ...Array<number>(13).fill(0), 1];
  const HEADERS = 10 + 40;
  /** What a packet socket without link header has of it. */
  const message = (one: Uint8Array): Uint8Array => {
    const ip = [0x60, 0, 0, 0, one.length >> 8, one.length & 255, FRAGMENT, 64, ...SOURCE, ...SOURCE];
    return Uint8Array.from([...Array<number>(10).fill(0), ...ip, ...one]);
  };
  const whole = greOf(payloadOf(20));
  const [first, last] = cut(1, whole, 0, 16).map(message) as [Uint8Array, Uint8Array];
  const [other] = cut(2, whole, 0, 16).map(message) as [Uint8Array];

  it(`is waited for for ${TIMEOUT_S} s from its first fragment, and then given up by the next one of any packet`, async () => {
    const tool = new OffloadTool();
    const take = (...messages: readonly (readonly [number, Uint8Array])[]): Promise<string[]> =>
      tool.fragments(messages.map(([nowS, one]) => ({ nowS, message: one })));
    try {
      const [waiting, complete] = await take([1000, first], [1000 + TIMEOUT_S - 1, last]);
      expect(waiting).toBe("waiting 0");
      expect(complete).toMatch(/ 0$/);
      expect(fromHex(complete!.split(" ")[0]!).slice(HEADERS)).toEqual(whole);
      expect(await take([1000, first], [1000 + TIMEOUT_S, last])).toEqual(["waiting 0", "waiting 1"]);
      // A repetition makes it no younger.
      expect(await take([1000, first], [1059, first], [1060, other])).toEqual(["waiting 0", "waiting 0", "waiting 1"]);
    } finally {
      await tool.close();
    }
  });
});
