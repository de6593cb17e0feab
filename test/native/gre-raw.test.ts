/** GRE through raw sockets, over IPv4 and IPv6: superframes cut, numbered and summed, and what a packet socket says of them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  FEATURE_SEGMENT,
  FLAG_BAD_OUTER_CSUM,
  OUTER_GRE_CHECKSUM,
  OUTER_GRE_SEQUENCE,
  OUTER_TOS,
  PORT_UDP_TX,
} from "../../src/binding/abi.ts";
import { onesComplementSum } from "../support/frame-builder.ts";
import { CarrierLab, FAR4, FAR6, GRE, NEAR4, NEAR6 } from "./carrier-lab.ts";
import { CHECKED_GRE_LAYOUT, checkedGre, ETHERNET_IN_GRE, greHeader } from "./gre-header.ts";
import { OffloadTool } from "./offload-tool.ts";
import { wordsOf } from "./segment-lab.ts";
import { payloadOf, superframe } from "./superframes.ts";

const GSO_SIZE = 1000;
const SEGMENTS = 10;
const TOS = 0xb8;
const BOTH = OUTER_GRE_CHECKSUM | OUTER_GRE_SEQUENCE;

let lab: CarrierLab;
let tool: OffloadTool;
beforeAll(() => {
  tool = new OffloadTool();
});
afterAll(() => tool.close());
beforeEach(() => {
  lab = new CarrierLab();
});
afterEach(() => lab.close());

const addressText = (address: readonly number[]): string =>
  address.length === 4 ? address.join(".") : Buffer.from(address).toString("hex");

describe.each([
  ["IPv4", NEAR4, FAR4],
  ["IPv6", NEAR6, FAR6],
] as const)("over %s", (_, near, far) => {
  it("a superframe is sent as datagrams with checksums, numbers and TOS of their own", async () => {
    const frame = superframe({ payloadLength: 9500 });
    const expected = await tool.split(frame.gsoType, GSO_SIZE, frame.bytes);
    const template = greHeader({ etherType: ETHERNET_IN_GRE, checksum: 0, key: 42, sequence: 0 });
    lab.addReceivers(far, GRE, {}, CHECKED_GRE_LAYOUT);
    const sender = lab.addSender(near, GRE);
    const copy = { frame: frame.bytes, words: wordsOf(frame, GSO_SIZE), template, outer: BOTH | OUTER_TOS | TOS };
    const alone = { frame: payloadOf(99), template, outer: BOTH };
    expect(lab.send(sender, far, [copy, alone, copy])).toEqual([0, 0, 0]);
    const arrived = lab.receive(2 * SEGMENTS + 1);
    expect(arrived.map(({ bytes }) => bytes)).toEqual([...expected!, payloadOf(99), ...expected!]);
    for (const [i, { view, header, bytes }] of arrived.entries()) {
      expect(onesComplementSum(Buffer.concat([header, bytes]))).toBe(0xffff);
      expect(header.subarray(8)).toEqual(Uint8Array.of(0, 0, 0, 42, 0, 0, 0, i));
      expect(view.flags & FLAG_BAD_OUTER_CSUM).toBe(0);
      expect(view).toMatchObject({ source: addressText(near), destination: addressText(far) });
      expect(view.tos).toBe(i === SEGMENTS ? 0 : TOS);
    }
  });

  it("a wrong GRE checksum is told from a right one", () => {
    lab.addReceivers(far, GRE, {}, CHECKED_GRE_LAYOUT);
    const sender = lab.addSender(near, GRE);
    const right = checkedGre({ etherType: ETHERNET_IN_GRE }, payloadOf(101));
    const wrong = Uint8Array.from(right);
    wrong[50]! ^= 1;
    expect(lab.send(sender, far, [right, wrong, right])).toEqual([0, 0, 0]);
    const flags = lab.receive(3).map(({ view }) => view.flags & FLAG_BAD_OUTER_CSUM);
    expect(flags).toEqual([0, FLAG_BAD_OUTER_CSUM, 0]);
  });
});

it("a raw socket is refused as one that takes many datagrams at once", () => {
  const fd = lab.sending.openRaw(NEAR4, GRE, { netns: lab.near.path });
  expect(() => lab.sending.io.add(1, fd, PORT_UDP_TX, 0, FEATURE_SEGMENT)).toThrow(
    expect.objectContaining({ code: "EPROTOTYPE" }),
  );
});
