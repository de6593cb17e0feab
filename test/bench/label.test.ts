import { describe, expect, it } from "vitest";
import { floorOf, isBase, parseArmLabel } from "../../bench/arms/label.ts";

describe("arm label", () => {
  it("has kind, tier, checkout and copy", () => {
    expect(parseArmLabel("vtepd:mmsg@../before#2")).toMatchObject({ kind: "vtepd", tier: "mmsg", folder: "../before" });
    expect(parseArmLabel("floor#2")).toMatchObject({ kind: "floor", tier: undefined, folder: undefined });
  });

  it("is refused in another form", () => {
    for (const text of ["", "vtepd:", "floor#", "floor#x", ":mmsg"])
      expect(() => parseArmLabel(text)).toThrow("--arms");
  });

  it("says which arms others are measured against", () => {
    const labels = ["vtepd", "floor", "floor:mmsg", "floor#2", "kernel", "ovs", "vtepd@../before"];
    expect(labels.filter(isBase)).toEqual(["floor", "floor:mmsg", "kernel", "vtepd@../before"]);
  });

  it("pairs a tier with the floor of that tier", () => {
    expect(["vtepd", "vtepd:mmsg", "kernel"].map(floorOf)).toEqual(["floor", "floor:mmsg", "floor"]);
  });
});
