/** System results for the terminal: per workload a table with the arms as columns, then the ratios once more, in short. */
import type { ArmTrials, Row } from "./abba.ts";
import { floorOf } from "./arms/label.ts";
import { basesOf, metricSpread, ratioTo, surprises } from "./comparison.ts";
import { fixed, spreadText } from "./figure.ts";
import type { Machine } from "./machine.ts";
import type { SystemReport } from "./system-report.ts";

/** Date, kernel, CPU, Node.js, how quiet it was, how it was measured. */
export const machineText = (report: SystemReport): string => {
  const machine: Machine = report.machine;
  const busy = Math.max(0, 100 * machine.busyBefore).toFixed(0);
  return [
    `${machine.date.slice(0, 16).replace("T", " ")} UTC, Linux ${machine.kernel}, ${machine.cpuModel},`,
    `${machine.cpusUsed.length} of ${machine.cpusOnline} CPUs, Node.js ${machine.node}, TCP ${machine.tcpCongestion},`,
    `load ${machine.loadBefore.toFixed(2)}, ${busy} % busy before;`,
    `${report.rounds} rounds of ${report.seconds} s, ${report.pinned ? "pinned" : "not pinned"}.`,
    ...(report.unrest === null ? [] : [`NOT QUIET: ${report.unrest}.`]),
  ].join(" ");
};

const columns = (lines: readonly (readonly string[])[]): string => {
  const widths: number[] = [];
  for (const line of lines) {
    for (const [i, cell] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
};

const table = (row: Row): string => {
  const lines = [["", ...row.arms.map((arm) => arm.label)]];
  for (const [name, { unit, digits }] of Object.entries(row.metrics)) {
    const cell = (arm: ArmTrials): string => {
      const spread = metricSpread(arm, name);
      return spread === undefined ? "-" : spreadText(spread, digits);
    };
    lines.push([`  ${name}, ${unit}`, ...row.arms.map(cell)]);
  }
  for (const base of basesOf(row)) {
    const ratios = row.arms.map((arm) => {
      const ratio = ratioTo(row, arm, base);
      return ratio === undefined ? "" : spreadText(ratio, 2);
    });
    lines.push([`  ${row.headline} / ${base}`, ...ratios]);
  }
  return columns(lines);
};

const section = (row: Row): string[] => [
  `\n${row.mode}: ${row.id} ${row.workload}`,
  ...(row.arms.length === 0 ? [] : [table(row)]),
  ...row.arms.flatMap((arm) => surprises(row, arm).map((text) => `  DROPS ${arm.label} ${text}`)),
  ...Object.entries(row.unfit).map(([label, reason]) => `  left out: ${label}: ${reason}`),
  ...row.failures.map((text) => `  FAILED ${text}`),
];

/** One line per workload: what the first arm is of its floor and of the kernel. */
const ratioLines = (report: SystemReport): string[] =>
  report.rows.flatMap((row) => {
    const subject = row.arms[0];
    if (subject === undefined) return [];
    const parts = [floorOf(subject.label), "kernel"].flatMap((base) => {
      const ratio = ratioTo(row, subject, base);
      return ratio === undefined ? [] : [`${fixed(ratio.median, 2)} of ${base}`];
    });
    return parts.length === 0 ? [] : [`  ${row.mode} ${row.workload}: ${subject.label} has ${parts.join(", ")}`];
  });

export const textReport = (report: SystemReport): string => {
  const leftOut = Object.entries(report.leftOut).map(([label, reason]) => `arm ${label} is left out: ${reason}`);
  const ratios = ratioLines(report);
  const parts = [machineText(report), ...leftOut, ...report.rows.flatMap(section)];
  if (ratios.length > 0)
    parts.push("\nratios of the headline figure (rate: more is better; time: less is better)", ...ratios);
  return `${parts.join("\n")}\n`;
};
