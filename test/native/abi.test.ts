import { describe, expect, it } from "vitest";
import * as abi from "../../src/binding/abi.ts";
import { addon } from "../../src/binding/addon.ts";

describe("abi", () => {
  it("has the same names and values in TypeScript and in the addon", () => {
    expect({ ...addon.abi }).toEqual({ ...abi });
  });

  it("cannot be changed from outside", () => {
    expect(Object.isFrozen(addon.abi)).toBe(true);
  });
});
