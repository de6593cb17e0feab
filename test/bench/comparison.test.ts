import { describe, expect, it } from "vitest";
import { metricSpread, ratioTo, surprises } from "../../bench/comparison.ts";
import { rowOf, trialOf } from "./rows.ts";

describe("comparison", () => {
  const vtepd = { label: "vtepd", trials: [trialOf(9), trialOf(4), trialOf(8)] };
  const floor = { label: "floor", trials: [trialOf(10), trialOf(2), trialOf(10)] };
  const row = rowOf([vtepd, floor]);

  it("divides what was measured in the same round, not medians", () => {
    // Of the medians it would be 8 / 10.
    expect(ratioTo(row, vtepd, "floor")).toEqual({ median: 0.9, min: 0.8, max: 2 });
  });

  it("has no ratio to the arm itself, nor to one that did not run", () => {
    expect(ratioTo(row, floor, "floor")).toBeUndefined();
    expect(ratioTo(row, vtepd, "kernel")).toBeUndefined();
  });

  it("leaves failed trials out of spread and ratio", () => {
    const broken = { label: "vtepd", trials: [null, trialOf(4), null] };
    expect(metricSpread(broken, "rate")).toEqual({ median: 4, min: 4, max: 4 });
    expect(ratioTo(rowOf([broken, floor]), broken, "floor")?.median).toBe(2);
    expect(metricSpread({ label: "vtepd", trials: [null] }, "rate")).toBeUndefined();
  });

  it("names the round and the counter of a drop that nobody expected", () => {
    const arm = { label: "vtepd", trials: [trialOf(1), trialOf(1, { "right.udp.RcvbufErrors": 310 })] };
    expect(surprises(rowOf([arm]), arm)).toEqual(["round 2: right.udp.RcvbufErrors 310"]);
  });
});
