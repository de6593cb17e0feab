import { describe, expect, it } from "vitest";
import { armByLabel } from "../../bench/arms/by-label.ts";
import { floorOf, isBase, parseArmLabel } from "../../bench/arms/label.ts";
import { missingProgram } from "../../bench/installed.ts";

describe("arm label", () => {
  it("has kind, tier, checkout and copy", () => {
    expect(parseArmLabel("vtepd:mmsg@../before#2")).toMatchObject({ kind: "vtepd", tier: "mmsg", folder: "../before" });
    expect(parseArmLabel("floor#2")).toMatchObject({ kind: "floor", tier: undefined, folder: undefined });
  });

  it("has a mode, whose floor is its own unless it is in UDP", () => {
    expect(parseArmLabel("vtepd+gretap#2")).toMatchObject({ kind: "vtepd", mode: "gretap", tier: undefined });
    expect(["vtepd+gretap", "vtepd+ipip-fou", "vtepd+gre#2"].map(floorOf)).toEqual([
      "floor+gretap",
      "floor",
      "floor+gre",
    ]);
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

  it("is of an arm that exists and has what the label asks for", () => {
    for (const text of ["openvpn", "kernel:mmsg", "floor@../before"]) expect(() => armByLabel(text)).toThrow("--arms");
    expect(armByLabel("vtepd:plain")).toMatchObject({ label: "vtepd:plain", role: "tier" });
  });

  it("leads to the Debian package of a program that is missing", () => {
    expect(missingProgram("no-such-program-here", "some-package")).toMatch(/missing: apt-get install some-package$/);
    expect(missingProgram("sh", "dash")).toBeUndefined();
  });
});
