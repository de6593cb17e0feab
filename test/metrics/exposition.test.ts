import { describe, expect, it } from "vitest";
import type { Metric } from "../../src/metrics/catalogue.ts";
import { formatFamily } from "../../src/metrics/exposition.ts";
import { parseExposition } from "../support/exposition-parser.ts";

const metric: Metric = { name: "test_total", type: "counter", help: "A test.", labels: ["a", "b"] };

describe("a metric family", () => {
  it("is HELP, TYPE and one line a sample", () => {
    expect(
      formatFamily(metric, [
        [1, "x", "y"],
        [2.5, "x", 7],
      ]),
    ).toBe(
      '# HELP test_total A test.\n# TYPE test_total counter\ntest_total{a="x",b="y"} 1\ntest_total{a="x",b="7"} 2.5\n',
    );
  });

  it("has no braces without labels", () => {
    expect(formatFamily({ ...metric, labels: [] }, [[3]])).toContain("\ntest_total 3\n");
  });

  it("keeps HELP and TYPE when it has no samples", () => {
    expect(formatFamily(metric, [])).toBe("# HELP test_total A test.\n# TYPE test_total counter\n");
  });

  it("escapes backslash, quote and newline in labels, and backslash and newline in HELP", () => {
    const value = 'a\\b"c\nd\\n';
    const text = formatFamily({ ...metric, help: 'one\\two\n"three"' }, [[1, value, ""]]);
    expect(text).toContain('# HELP test_total one\\\\two\\n"three"\n');
    expect(text).toContain('{a="a\\\\b\\"c\\nd\\\\n",b=""}');
    expect(parseExposition(text).get("test_total")!.samples[0]!.labels).toEqual({ a: value, b: "" });
  });

  it("spells infinities and NaN as the format does, and keeps large counters whole", () => {
    const samples = [
      [Number.POSITIVE_INFINITY, 1, 1],
      [Number.NEGATIVE_INFINITY, 1, 2],
      [Number.NaN, 1, 3],
      [Number.MAX_SAFE_INTEGER, 1, 4],
      [1e21, 1, 5],
    ] as const;
    const lines = formatFamily(metric, samples).trimEnd().split("\n").slice(2);
    expect(lines.map((line) => line.split(" ")[1])).toEqual(["+Inf", "-Inf", "NaN", "9007199254740991", "1e+21"]);
  });

  it("refuses a sample with too few or too many labels", () => {
    expect(() => formatFamily(metric, [[1, "x"]])).toThrow("test_total: expected 2 labels, got 1");
    expect(() => formatFamily(metric, [[1, "x", "y", "z"]])).toThrow(TypeError);
  });
});

describe("the test's own parser", () => {
  const head = "# HELP a A.\n# TYPE a gauge\n";
  it.each([
    ["a missing last newline", `${head}a 1`],
    ["a sample without its family", "a 1\n"],
    ["TYPE without HELP", "# TYPE a gauge\na 1\n"],
    ["a family twice", `${head}a 1\n${head}`],
    ["a series twice", `${head}a{x="1",y="2"} 1\na{y="2",x="1"} 2\n`],
    ["a sample of another family", `${head}b 1\n`],
    ["an unescaped quote", `${head}a{x="1"2"} 1\n`],
    ["an unknown escape", `${head}a{x="\\t"} 1\n`],
    ["a value that is no number", `${head}a undefined\n`],
    ["an unknown type", "# HELP a A.\n# TYPE a number\na 1\n"],
  ])("refuses %s", (_, text) => {
    expect(() => parseExposition(text)).toThrow();
  });
});
