/** Figures as a report shows them. */
import type { Spread } from "./spread.ts";

const THOUSANDS = /\B(?=(\d{3})+$)/g;

/** 1234567 -> "1 234 567"; with digits: "7.25" */
export const fixed = (value: number, digits: number): string =>
  digits === 0 ? value.toFixed(0).replace(THOUSANDS, " ") : value.toFixed(digits);

/** "7.25 (7.10..7.40)" */
export const spreadText = ({ median, min, max }: Spread, digits: number): string =>
  `${fixed(median, digits)} (${fixed(min, digits)}..${fixed(max, digits)})`;
