import { describe, expect, it } from "vitest";
import { nearestKey } from "../../src/config/nearest-key.ts";

const KEYS = ["id", "remote", "mac-learning", "ageing", "limit"];

describe("nearestKey", () => {
  it.each([
    ["remot", "remote"],
    ["remotes", "remote"],
    ["rmeote", "remote"],
    ["REMOTE", "remote"],
    ["mac_learning", "mac-learning"],
    ["maclearning", "mac-learning"],
    ["learning", "mac-learning"],
    ["aegin", "ageing"],
    ["ID", "id"],
    ["vni", undefined],
    ["ttl", undefined],
    ["", undefined],
    ["x".repeat(100_000), undefined],
  ])("takes %.20s for %s", (key, nearest) => {
    expect(nearestKey(key, KEYS)).toBe(nearest);
  });

  it("prefers the smaller difference", () => {
    expect(nearestKey("ports", ["posts-of", "sports", "ports"])).toBe("ports");
  });
});
