/** Writes a result into this folder: the tables of README.md, results/*.svg, results/latest.json. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Row } from "./abba.ts";
import { chartSvg, type Panel } from "./chart.ts";
import { metricSpread } from "./comparison.ts";
import { chartPath, idsOf, markdownReport } from "./markdown-report.ts";
import { type Result, resultText } from "./system-report.ts";

const BEGIN = "<!-- results: written by `npm run bench -- publish` -->";
const END = "<!-- end of results -->";

const inFolder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** What stands between the two marker comments is replaced. @throws Error when there are none */
export const betweenMarkers = (text: string, markdown: string): string => {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`there are no marker comments: ${BEGIN} ... ${END}`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${markdown}\n\n${text.slice(end)}`;
};

const panelOf = (row: Row): Panel => {
  const metric = row.metrics[row.headline];
  return {
    title: `${row.workload}, ${row.mode}: ${row.headline}, ${metric?.better ?? "higher"} is better`,
    unit: metric?.unit ?? "",
    digits: metric?.digits ?? 2,
    bars: row.arms.flatMap((arm) => {
      const value = metricSpread(arm, row.headline);
      return value === undefined ? [] : [{ label: arm.label, value }];
    }),
  };
};

/** @throws Error when the result has no system part */
export const publish = (result: Result): void => {
  const { system, micro } = result;
  if (system === undefined) throw new Error("publish: the result has no system workloads");
  const readme = inFolder("./README.md");
  writeFileSync(readme, betweenMarkers(readFileSync(readme, "utf8"), markdownReport(system, micro)));
  mkdirSync(inFolder("./results"), { recursive: true });
  for (const id of idsOf(system)) {
    const rows = system.rows.filter((row) => row.id === id);
    writeFileSync(
      inFolder(`./${chartPath(id)}`),
      chartSvg(`${id}, ${system.machine.date.slice(0, 10)}`, rows.map(panelOf)),
    );
  }
  writeFileSync(inFolder("./results/latest.json"), resultText(result));
};

export const publishFile = (file: string): void => publish(JSON.parse(readFileSync(file, "utf8")) as Result);
