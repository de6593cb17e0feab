import { describe, expect, it } from "vitest";
import { chartSvg } from "../../bench/chart.ts";
import { fixed } from "../../bench/figure.ts";
import { markdownReport } from "../../bench/markdown-report.ts";
import { betweenMarkers } from "../../bench/publish.ts";
import { resultText } from "../../bench/system-report.ts";
import { textReport } from "../../bench/text-report.ts";
import { reportOf, rowOf, trialOf } from "./rows.ts";

const drop = { "right.ov0.tx_dropped": 4 };
const arms = [
  { label: "vtepd", trials: [trialOf(6, drop), trialOf(8), null] },
  { label: "floor", trials: [trialOf(8), trialOf(8), trialOf(8)] },
];
const row = rowOf(arms, { unfit: { tinc: "it does not speak VXLAN" }, failures: ["round 3 vtepd: it broke"] });
const report = { ...reportOf([row]), leftOut: { ovs: "ovs-vswitchd is missing" } };

describe("markdown report", () => {
  const text = markdownReport(report);

  it("says when, on what and how it was measured", () => {
    for (const part of ["2026-01-02 03:04 UTC", "Linux 6.1.0", "Some CPU", "v20.0.0", "`npm run bench -- system`"]) {
      expect(text).toContain(part);
    }
  });

  it("has a line per arm with median, range and ratio, and marks a run with unexpected drops", () => {
    expect(text).toContain(
      "| tcp-stream streams=1 | wire-like | vtepd | 7.00 (6.00..8.00) Gbit/s **!** | 0.88 (0.75..1.00) |",
    );
    expect(text).toContain("| floor | 8.00 (8.00..8.00) Gbit/s |  |");
    expect(text).toContain("vtepd: round 1: right.ov0.tx_dropped 4");
  });

  it("leaves nothing out in silence", () => {
    expect(text).toContain("- arm ovs is left out: ovs-vswitchd is missing");
    expect(text).toContain("without tinc: it does not speak VXLAN");
    expect(text).toContain("- FAILED round 3 vtepd: it broke");
  });

  it("replaces what stands between the markers and nothing else", () => {
    const markers = "<!-- results: written by `npm run bench -- publish` -->\nold\n<!-- end of results -->";
    const replaced = betweenMarkers(`before\n${markers}\nafter\n`, "new");
    expect(replaced).toMatch(/^before\n<!--.*-->\n\nnew\n\n<!-- end of results -->\nafter\n$/);
    expect(() => betweenMarkers("no markers", "new")).toThrow("marker");
  });
});

describe("text report", () => {
  it("ends with the ratios in short", () => {
    expect(textReport(report)).toContain("wire-like tcp-stream streams=1: vtepd has 0.88 of floor");
  });
});

describe("JSON of a result", () => {
  it("reads back as it was, figures rounded to six digits, a trial a line", () => {
    const exact = rowOf([{ label: "vtepd", trials: [trialOf(1.23456789), trialOf(123456789)] }]);
    const text = resultText({ system: reportOf([exact]) });
    const trials = JSON.parse(text).system.rows[0].arms[0].trials;
    expect(trials).toEqual([trialOf(1.23457), trialOf(123456789)]);
    expect(text.split("\n").filter((line) => line.includes('"sample"'))).toHaveLength(2);
  });
});

describe("chart", () => {
  const bar = (label: string, median: number) => ({ label, value: { median, min: median, max: median } });
  const panel = { title: "a < b & c", unit: "Gbit/s", digits: 1, bars: [bar("vtepd", 5), bar("kernel", 10)] };
  const svg = chartSvg("W1", [panel, { ...panel, title: "empty", bars: [] }]);

  it("draws bars in proportion, with their figures", () => {
    const [vtepd, kernel] = [...svg.matchAll(/width="([\d.]+)" height="16"/g)].map(([, width]) => Number(width));
    expect(kernel! / vtepd!).toBeCloseTo(2, 2);
    expect(svg).toContain("10.0 Gbit/s");
  });

  it("is well-formed and leaves out a panel without bars", () => {
    expect(svg).toContain("a &lt; b &amp; c");
    expect(svg).not.toContain("empty");
  });
});

describe("figure", () => {
  it("groups thousands of whole numbers", () => {
    expect([fixed(1_234_567, 0), fixed(999, 0), fixed(1234.5, 1)]).toEqual(["1 234 567", "999", "1234.5"]);
  });
});
