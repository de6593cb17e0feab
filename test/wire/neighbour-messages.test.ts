import { describe, expect, it } from "vitest";
import { ARP_BYTES, ARP_REPLY, ARP_REQUEST, isAboutItself, makeArpReply, readArp } from "../../src/wire/arp.ts";
import {
  isDuplicateDetection,
  isFromRouter,
  linkAddressOf,
  makeAdvertisement,
  ND_ADVERTISEMENT,
  ND_ADVERTISEMENT_BYTES,
  ND_SOLICITATION,
  ND_SOURCE_LINK_ADDRESS,
  ND_TARGET_LINK_ADDRESS,
  readNeighbourDiscovery,
} from "../../src/wire/neighbour-discovery.ts";
import { arpFrame } from "../support/frame-builder.ts";
import { neighbourFrame } from "../support/neighbour-frame.ts";

const ASKER = "02:00:00:00:00:0a";
const STATION = "02:00:00:00:00:0b";
const HI = 0x0200;
const LO = 0x0000000b;
/** Frames never begin at the arena's first byte. */
const AT = 10;

const placed = (frame: Uint8Array): { bytes: Uint8Array; length: number } => {
  const bytes = new Uint8Array(256).fill(0xa5);
  bytes.set(frame, AT);
  return { bytes, length: frame.length };
};

describe("ARP", () => {
  const request = { operation: "request", senderMac: ASKER, senderIp: "10.0.0.1", targetIp: "10.0.0.2" } as const;

  it("makes of a request what the target would have sent", () => {
    const { bytes, length } = placed(arpFrame(request));
    expect(readArp(bytes, AT, length)).toBe(ARP_REQUEST);
    expect(isAboutItself(bytes, AT)).toBe(false);
    makeArpReply(bytes, AT, HI, LO);
    expect(readArp(bytes, AT, ARP_BYTES)).toBe(ARP_REPLY);
    const reply = arpFrame({
      operation: "reply",
      senderMac: STATION,
      senderIp: "10.0.0.2",
      targetIp: "10.0.0.1",
      targetMac: ASKER,
    });
    expect(Buffer.from(bytes.subarray(AT, AT + ARP_BYTES))).toEqual(Buffer.from(reply.subarray(0, ARP_BYTES)));
    expect(bytes.subarray(0, AT).every((byte) => byte === 0xa5)).toBe(true);
  });

  it.each([
    ["a probe", { ...request, senderIp: "0.0.0.0" }],
    ["an announcement", { ...request, senderIp: "10.0.0.2" }],
  ])("knows %s", (_what, fields) => {
    const { bytes } = placed(arpFrame(fields));
    expect(isAboutItself(bytes, AT)).toBe(true);
  });

  it.each([
    ["another type", 13, 0x05],
    ["another hardware", 15, 6],
    ["another protocol", 16, 0x86],
    ["long hardware addresses", 18, 8],
    ["long protocol addresses", 19, 16],
    ["another operation", 21, 3],
  ])("does not read %s", (_what, offset, value) => {
    const { bytes, length } = placed(arpFrame(request));
    bytes[AT + offset] = value;
    expect(readArp(bytes, AT, length)).toBe(0);
  });

  it("does not read what lacks its end", () => {
    const { bytes } = placed(arpFrame(request));
    expect(readArp(bytes, AT, ARP_BYTES - 1)).toBe(0);
  });
});

describe("neighbour discovery", () => {
  const question = { kind: "solicitation", src: "fd00::1", target: "fd00::2", mac: ASKER } as const;
  const read = (frame: Uint8Array): number => {
    const { bytes, length } = placed(frame);
    return readNeighbourDiscovery(bytes, AT, length);
  };

  it("makes of a solicitation what the target would have sent", () => {
    const { bytes, length } = placed(neighbourFrame(question));
    expect(readNeighbourDiscovery(bytes, AT, length)).toBe(ND_SOLICITATION);
    expect(linkAddressOf(bytes, AT, ND_SOURCE_LINK_ADDRESS)).toBe(AT + 80);
    makeAdvertisement(bytes, AT, HI, LO, true);
    const answer = neighbourFrame({
      kind: "advertisement",
      src: "fd00::2",
      dst: "fd00::1",
      dstMac: ASKER,
      target: "fd00::2",
      mac: STATION,
      flags: 0xe0,
    });
    expect(Buffer.from(bytes.subarray(AT, AT + ND_ADVERTISEMENT_BYTES)).toString("hex")).toBe(
      Buffer.from(answer).toString("hex"),
    );
    expect(readNeighbourDiscovery(bytes, AT, ND_ADVERTISEMENT_BYTES)).toBe(ND_ADVERTISEMENT);
    expect(isFromRouter(bytes, AT)).toBe(true);
    expect(linkAddressOf(bytes, AT, ND_TARGET_LINK_ADDRESS)).toBe(AT + 80);
  });

  it("does the same when the question has no option", () => {
    const { bytes, length } = placed(neighbourFrame({ ...question, mac: undefined }));
    expect(readNeighbourDiscovery(bytes, AT, length)).toBe(ND_SOLICITATION);
    expect(linkAddressOf(bytes, AT, ND_SOURCE_LINK_ADDRESS)).toBe(0);
    makeAdvertisement(bytes, AT, HI, LO, false);
    expect(readNeighbourDiscovery(bytes, AT, ND_ADVERTISEMENT_BYTES)).toBe(ND_ADVERTISEMENT);
    expect(isFromRouter(bytes, AT)).toBe(false);
  });

  it("knows the search for a duplicate address", () => {
    const { bytes, length } = placed(neighbourFrame({ ...question, src: "::", mac: undefined }));
    expect(readNeighbourDiscovery(bytes, AT, length)).toBe(ND_SOLICITATION);
    expect(isDuplicateDetection(bytes, AT)).toBe(true);
    expect(isDuplicateDetection(placed(neighbourFrame(question)).bytes, AT)).toBe(false);
  });

  it.each([
    ["a hop limit below 255: it may come from afar", { hopLimit: 254 }],
    ["a wrong checksum", { checksum: 0x1234 }],
    ["a code that is not 0", { code: 1 }],
    ["an option of length 0", { optionLength: 0 }],
    ["an option longer than the message", { optionLength: 2 }],
    ["a group address as target", { target: "ff02::1" }],
    ["a payload length behind the frame's end", { payloadLength: 40 }],
    ["a payload length that cuts the message", { payloadLength: 20 }],
  ])("does not read %s", (_what, change) => {
    expect(read(neighbourFrame(question))).toBe(ND_SOLICITATION);
    expect(read(neighbourFrame({ ...question, ...change }))).toBe(0);
  });
});
