import { describe, expect, it } from "vitest";
import { gcPausesMs } from "../../bench/arms/vtepd.ts";
import { UPDATED_MACS, updatedMac } from "../../bench/control-access.ts";
import { streamSeconds } from "../../bench/iperf.ts";
import { loadArgs } from "../../bench/load.ts";
import { fairness } from "../../bench/workloads/tcp-stream.ts";

describe("load", () => {
  it("turns options into arguments, a flag only when it is set", () => {
    expect(loadArgs({ size: 64, gso: true, imix: false })).toEqual(["--size", "64", "--gso"]);
  });

  it("never asks iperf3 for 0 seconds, which it takes for ever", () => {
    expect([0.2, 1.4, 10].map(streamSeconds)).toEqual([1, 1, 10]);
  });

  it("makes up as many MACs as it says, then the same again", () => {
    const macs = Array.from({ length: UPDATED_MACS }, (_, n) => updatedMac(n));
    expect(new Set(macs).size).toBe(UPDATED_MACS);
    expect(updatedMac(UPDATED_MACS)).toBe(macs[0]);
    expect(updatedMac(258)).toBe("02:20:00:00:01:02");
  });

  it("reads pauses of the garbage collector from what Node.js prints", () => {
    const output = [
      "[17:0x3f3]       13 ms: Scavenge 3.8 (4.0) -> 3.4 (5.0) MB, 0.65 / 0.00 ms  (average mu = 1.000) allocation failure;",
      "[17:0x3f3]       99 ms: Mark-Compact 9.1 (9.9) -> 5.0 (9.9) MB, 12.5 / 0.01 ms  (average mu = 0.9) finalize;",
      "ready",
    ].join("\n");
    expect(gcPausesMs(output)).toEqual([0.65, 12.5]);
  });
});

describe("fairness", () => {
  it("is 1 when all have the same and 1/n when one has all", () => {
    expect(fairness([3, 3, 3, 3])).toBe(1);
    expect(fairness([8, 0, 0, 0])).toBe(0.25);
  });
});
