import { describe, expect, it } from "vitest";
import { clampMss } from "../../src/wire/tcp-mss.ts";
import {
  onesComplementSum,
  pseudoHeaderSum,
  TCP_ACK,
  TCP_SYN,
  type TcpFields,
  tcpFrame,
} from "../support/frame-builder.ts";

const FLOW = {
  dst: "02:00:00:00:00:0b",
  src: "02:00:00:00:00:0a",
  srcIp: "10.42.0.1",
  dstIp: "10.42.0.2",
  srcPort: 1000,
  dstPort: 80,
  flags: TCP_SYN,
} as const;
const TCP = 34;

const mss = (value: number): number[] => [2, 4, value >> 8, value & 255];
const syn = (options: readonly number[], fields: Partial<TcpFields> = {}): Buffer =>
  Buffer.from(tcpFrame({ ...FLOW, options: Uint8Array.from(options), ...fields }));

const hasRightChecksum = (frame: Buffer): boolean => {
  const segment = frame.subarray(TCP);
  return onesComplementSum(segment, pseudoHeaderSum(FLOW.srcIp, FLOW.dstIp, 6, segment.length)) === 0xffff;
};

describe("clampMss", () => {
  it.each([
    ["first", [...mss(1460), 1, 1, 1, 0], 2],
    ["behind others", [4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, ...mss(1460)], 14],
    ["at an odd offset", [1, ...mss(1460), 1, 1, 1], 3],
  ])("holds an option down that stands %s, and keeps the checksum right", (_where, options, at) => {
    for (const largest of [1360, 255, 64]) {
      const frame = syn(options);
      expect(clampMss(frame, TCP, largest, true)).toBe(true);
      expect(frame.readUInt16BE(TCP + 20 + at)).toBe(largest);
      expect(hasRightChecksum(frame)).toBe(true);
    }
  });

  it("holds a SYN's answer down too", () => {
    expect(clampMss(syn(mss(1460), { flags: TCP_SYN | TCP_ACK }), TCP, 1360, true)).toBe(true);
  });

  it("leaves an unfinished checksum, which covers no options yet", () => {
    const frame = syn(mss(1460), { checksum: "partial" });
    const before = frame.readUInt16BE(TCP + 16);
    expect(clampMss(frame, TCP, 1360, false)).toBe(true);
    expect(frame.readUInt16BE(TCP + 16)).toBe(before);
  });

  it.each([
    ["what is small enough", mss(1360), {}],
    ["what is no SYN", mss(1460), { flags: TCP_ACK }],
    ["a SYN without the option", [1, 1, 1, 1], {}],
    ["what stands behind the end of the options", [0, 0, 0, 0, ...mss(1460)], {}],
    ["an option of another length", [2, 3, 5, 1, 0, 0, 0, 0], {}],
    ["an option that is cut", [1, 1, 2, 4], {}],
    ["options without end", [8, 0, 0, 0], {}],
  ])("leaves %s", (_what, options, fields) => {
    const frame = syn(options, fields);
    const before = Buffer.from(frame);
    expect(clampMss(frame, TCP, 1360, true)).toBe(false);
    expect(frame).toEqual(before);
  });
});
