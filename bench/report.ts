/** System results as text for the terminal and as a markdown table for README.md. */
import { readFileSync, writeFileSync } from "node:fs";
import type { ArmResult, Row } from "./abba.ts";
import type { Machine } from "./machine.ts";
import type { Spread } from "./spread.ts";
import type { Metric } from "./workload.ts";

export interface SystemReport {
  readonly machine: Machine;
  /** Why the figures are to be doubted, or undefined. */
  readonly unrest: string | undefined;
  readonly command: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly pinned: boolean;
  readonly rows: readonly Row[];
}

const THOUSANDS = /\B(?=(\d{3})+$)/g;

const fixed = (value: number, digits: number): string =>
  digits === 0 ? value.toFixed(0).replace(THOUSANDS, " ") : value.toFixed(digits);

const spreadText = ({ median, min, max }: Spread, digits: number): string =>
  `${fixed(median, digits)} (${fixed(min, digits)}..${fixed(max, digits)})`;

const machineText = (report: SystemReport): string => {
  const { machine } = report;
  const quiet = `load ${machine.loadBefore.toFixed(2)}, ${Math.max(0, 100 * machine.busyBefore).toFixed(0)} % busy before`;
  return [
    `${machine.date.slice(0, 16).replace("T", " ")} UTC, Linux ${machine.kernel}, ${machine.cpuModel},`,
    `${machine.cpusUsed.length} of ${machine.cpusOnline} CPUs, Node.js ${machine.node}, ${quiet};`,
    `${report.rounds} rounds of ${report.seconds} s, ${report.pinned ? "pinned" : "not pinned"}.`,
    ...(report.unrest === undefined ? [] : [`NOT QUIET: ${report.unrest}.`]),
  ].join(" ");
};

const cells = (arm: ArmResult, name: string, metric: Metric): string =>
  arm.spreads[name] === undefined ? "-" : spreadText(arm.spreads[name], metric.digits);

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

export const textReport = (report: SystemReport): string => {
  const parts = [machineText(report)];
  for (const row of report.rows) {
    const lines = [["", ...row.arms.map((arm) => arm.label)]];
    for (const [name, metric] of Object.entries(row.metrics)) {
      lines.push([`  ${name}, ${metric.unit}`, ...row.arms.map((arm) => cells(arm, name, metric))]);
    }
    const bases = new Set(row.arms.flatMap((arm) => Object.keys(arm.ratios)));
    for (const base of bases) {
      const ratios = row.arms.map((arm) => (arm.ratios[base] === undefined ? "" : spreadText(arm.ratios[base], 2)));
      lines.push([`  ${row.headline} / ${base}`, ...ratios]);
    }
    parts.push(`\n${row.mode}: ${row.workload}`, columns(lines), ...row.failures.map((text) => `  FAILED ${text}`));
  }
  return `${parts.join("\n")}\n`;
};

export const markdownReport = (report: SystemReport): string => {
  const labels = [...new Set(report.rows.flatMap((row) => row.arms.map((arm) => arm.label)))];
  const bases = [...new Set(report.rows.flatMap((row) => row.arms.flatMap((arm) => Object.keys(arm.ratios))))];
  const subject = labels.find((label) => !bases.includes(label)) ?? labels[0] ?? "";
  const against = bases.filter((base) => base !== subject);
  const header = ["underlay", "workload", "metric", ...labels, ...against.map((base) => `${subject} / ${base}`)];
  const lines = [header, header.map(() => "---")];
  for (const row of report.rows) {
    for (const [name, metric] of Object.entries(row.metrics)) {
      if (metric.detail === true) continue;
      const find = (label: string): ArmResult | undefined => row.arms.find((arm) => arm.label === label);
      const values = labels.map((label) => {
        const arm = find(label);
        return arm === undefined ? "-" : cells(arm, name, metric);
      });
      const ratios = against.map((base) => {
        const ratio = name === row.headline ? find(subject)?.ratios[base] : undefined;
        return ratio === undefined ? "" : spreadText(ratio, 2);
      });
      lines.push([row.mode, row.workload, `${name}, ${metric.unit}`, ...values, ...ratios]);
    }
  }
  const failures = report.rows.flatMap((row) => row.failures.map((text) => `- FAILED ${text.split("\n")[0]}`));
  const table = lines.map((line) => `| ${line.join(" | ")} |`).join("\n");
  return [
    machineText(report),
    "",
    `\`${report.command}\``,
    "",
    table,
    ...(failures.length > 0 ? ["", ...failures] : []),
  ].join("\n");
};

const BEGIN = "<!-- results: written by bench/main.ts --markdown -->";
const END = "<!-- end of results -->";

/** Replaces what stands between the two marker comments of the file. @throws Error when it has none. */
export const writeBetweenMarkers = (file: string, markdown: string): void => {
  const text = readFileSync(file, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${file} has no marker comments: ${BEGIN} ... ${END}`);
  writeFileSync(file, `${text.slice(0, begin + BEGIN.length)}\n${markdown}\n${text.slice(end)}`);
};
