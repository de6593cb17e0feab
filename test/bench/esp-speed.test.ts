/** The module that measures the cipher, which is in no benchmark that the tests run. */
import { createRequire } from "node:module";
import { describe, expect, it } from "vitest";

const { measure } = createRequire(import.meta.url)("../../bench/build/esp-speed.node") as {
  measure(what: string, bytes: number, seconds: number): number;
};
const SECONDS = 0.02;

describe("esp-speed", () => {
  it.each(["block", "message", "seal", "open"])("measures what a larger %s takes longer for", (what) => {
    const [small, large] = [measure(what, 64, SECONDS), measure(what, 16_384, SECONDS)];
    expect(small).toBeGreaterThan(0);
    expect(large).toBeGreaterThan(2 * small);
  });

  it("measures nothing else", () => {
    expect(() => measure("cipher", 64, SECONDS)).toThrow("measure: OpenSSL failed, or there is no such thing");
    for (const bytes of [0, 16_385]) expect(() => measure("block", bytes, SECONDS)).toThrow("measure: expected block");
  });
});
