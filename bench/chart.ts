/** Bar charts as SVG text: one panel per workload and underlay, one horizontal bar per arm, a whisker from least to greatest. */
import { fixed } from "./figure.ts";
import type { Spread } from "./spread.ts";

export interface Bar {
  readonly label: string;
  readonly value: Spread;
}

export interface Panel {
  readonly title: string;
  readonly unit: string;
  /** Decimals of the figures. */
  readonly digits: number;
  readonly bars: readonly Bar[];
}

const WIDTH = 720;
const LEFT = 110;
/** Room for a figure right of the longest bar. */
const RIGHT = 150;
const BAR = 16;
const STEP = 22;
const PANEL_TITLE = 26;
const PANEL_GAP = 12;
const TITLE = 34;

/** By kind of arm, so that a tier of vtepd looks like vtepd. */
const COLOURS: Readonly<Record<string, string>> = {
  vtepd: "#2563a8",
  floor: "#7a7a7a",
  kernel: "#c2541b",
  ovs: "#3d8b57",
  tinc: "#8b5a9f",
};
const OTHER = "#444444";

const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const colourOf = (label: string): string => COLOURS[/^[a-z]+/.exec(label)?.[0] ?? ""] ?? OTHER;

const text = (x: number, y: number, content: string, more = ""): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${escapeXml(content)}</text>`;

const barLines = ({ label, value }: Bar, y: number, scale: number, { unit, digits }: Panel): string[] => {
  const middle = y + BAR / 2;
  const end = LEFT + value.max * scale;
  const [from, to] = [LEFT + value.min * scale, end];
  return [
    text(LEFT - 8, middle + 4, label, ' text-anchor="end"'),
    `<rect x="${LEFT}" y="${y}" width="${(value.median * scale).toFixed(1)}" height="${BAR}" fill="${colourOf(label)}"/>`,
    `<path d="M${from.toFixed(1)} ${middle}H${to.toFixed(1)}" stroke="#111" stroke-width="1.5"/>`,
    text(end + 6, middle + 4, `${fixed(value.median, digits)} ${unit}`),
  ];
};

const panelHeight = ({ bars }: Panel): number => PANEL_TITLE + bars.length * STEP + PANEL_GAP;

const panelLines = (panel: Panel, top: number): string[] => {
  const greatest = Math.max(...panel.bars.map(({ value }) => value.max), Number.MIN_VALUE);
  const scale = (WIDTH - LEFT - RIGHT) / greatest;
  return [
    text(LEFT, top + 16, panel.title, ' font-weight="bold"'),
    ...panel.bars.flatMap((bar, i) => barLines(bar, top + PANEL_TITLE + i * STEP, scale, panel)),
  ];
};

/** Each panel has a scale of its own, from 0 to its greatest value. */
export const chartSvg = (title: string, panels: readonly Panel[]): string => {
  const shown = panels.filter(({ bars }) => bars.length > 0);
  const lines: string[] = [];
  let top = TITLE;
  for (const panel of shown) {
    lines.push(...panelLines(panel, top));
    top += panelHeight(panel);
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${top}" fill="#ffffff"/>`,
    text(12, 22, title, ' font-size="15" font-weight="bold"'),
    ...lines,
    "</svg>",
    "",
  ].join("\n");
};
