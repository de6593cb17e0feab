import { describe, expect, it } from "vitest";
import { spreadOf } from "../../bench/spread.ts";

describe("spread", () => {
  it("gives median, least and greatest of values in any order", () => {
    expect(spreadOf([10, 9, 100])).toEqual({ median: 10, min: 9, max: 100 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
  });

  it("refuses to make a figure out of nothing", () => {
    expect(() => spreadOf([])).toThrow(RangeError);
  });
});
