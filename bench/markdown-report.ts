/** System results for README.md: a section per number of the plan, with its chart and one table, arms as rows. */
import type { ArmTrials, Row } from "./abba.ts";
import { floorOf } from "./arms/label.ts";
import { metricSpread, ratioTo, surprises } from "./comparison.ts";
import { fixed, spreadText } from "./figure.ts";
import type { MicroResult } from "./micro-suite.ts";
import type { SystemReport } from "./system-report.ts";
import { machineText } from "./text-report.ts";

/** Path of a chart, as README.md sees it. */
export const chartPath = (id: string): string => `results/${id}.svg`;

/** Numbers of the plan in the order they were run. */
export const idsOf = ({ rows }: SystemReport): string[] => [...new Set(rows.map(({ id }) => id))];

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const otherMetrics = (row: Row, arm: ArmTrials): string =>
  Object.entries(row.metrics)
    .filter(([name, { detail }]) => name !== row.headline && detail !== true)
    .flatMap(([name, { unit, digits }]) => {
      const spread = metricSpread(arm, name);
      return spread === undefined ? [] : [`${name} ${fixed(spread.median, digits)} ${unit}`];
    })
    .join(", ");

const ratioCell = (row: Row, arm: ArmTrials, base: string): string => {
  const ratio = ratioTo(row, arm, base);
  return ratio === undefined ? "" : spreadText(ratio, 2);
};

/** `!` = a counter of drops was not zero, and should have been. */
const armLine = (row: Row, arm: ArmTrials): string => {
  const metric = row.metrics[row.headline];
  const spread = metricSpread(arm, row.headline);
  const mark = surprises(row, arm).length > 0 ? " **!**" : "";
  const value =
    spread === undefined ? "failed" : `${spreadText(spread, metric?.digits ?? 2)} ${metric?.unit ?? ""}${mark}`;
  return line([
    row.workload,
    row.mode,
    arm.label,
    value,
    ratioCell(row, arm, floorOf(arm.label)),
    ratioCell(row, arm, "kernel"),
    otherMetrics(row, arm),
  ]);
};

/** Notes of all rows of a section; the same words for both underlays are said once. */
const notes = (rows: readonly Row[]): string[] => {
  const texts = rows.flatMap((row) => [
    ...row.arms.flatMap((arm) => {
      return surprises(row, arm).map((text) => `- **!** ${row.mode} \`${row.workload}\` ${arm.label}: ${text}`);
    }),
    ...Object.entries(row.unfit).map(([label, reason]) => `- \`${row.workload}\` without ${label}: ${reason}`),
    ...row.failures.map((text) => `- FAILED ${text.split("\n")[0]}`),
  ]);
  return [...new Set(texts)];
};

const section = (report: SystemReport, id: string): string[] => {
  const rows = report.rows.filter((row) => row.id === id);
  const header = ["workload", "underlay", "arm", "result", "/ floor", "/ kernel", "also (medians)"];
  const remarks = notes(rows);
  return [
    `### ${id}`,
    "",
    `![${id}: ${[...new Set(rows.map(({ workload }) => workload))].join("; ")}](${chartPath(id)})`,
    "",
    line(header),
    line(header.map(() => "---")),
    ...rows.flatMap((row) => row.arms.map((arm) => armLine(row, arm))),
    "",
    ...(remarks.length > 0 ? [...remarks, ""] : []),
  ];
};

const microSection = (micro: readonly MicroResult[]): string[] => [
  "### Single functions",
  "",
  line(["operation", "ns", "threshold"]),
  line(["---", "---", "---"]),
  ...micro.map(({ name, ns, thresholdNs }) => line([name, spreadText(ns, 2), thresholdNs?.toString() ?? ""])),
  "",
];

export const markdownReport = (report: SystemReport, micro: readonly MicroResult[] = []): string => {
  const leftOut = Object.entries(report.leftOut).map(([label, reason]) => `- arm ${label} is left out: ${reason}`);
  return [
    machineText(report),
    "",
    `\`${report.command}\``,
    "",
    ...(leftOut.length > 0 ? [...leftOut, ""] : []),
    ...idsOf(report).flatMap((id) => section(report, id)),
    ...(micro.length > 0 ? microSection(micro) : []),
  ]
    .join("\n")
    .trimEnd();
};
