/** What is made of a row's trials: spreads, ratios of one round each, and counters that should have been zero. */
import type { ArmTrials, Row } from "./abba.ts";
import { unexpectedDrops } from "./account.ts";
import { isBase } from "./arms/label.ts";
import { type Spread, spreadOf } from "./spread.ts";

const isNumber = (value: number | undefined): value is number => value !== undefined;

/** Over the rounds; undefined when no round has the metric. */
export const metricSpread = ({ trials }: ArmTrials, metric: string): Spread | undefined => {
  const values = trials.map((trial) => trial?.sample[metric]).filter(isNumber);
  return values.length === 0 ? undefined : spreadOf(values);
};

/** Labels of the row's arms that others are measured against. */
export const basesOf = ({ arms }: Row): string[] => arms.map(({ label }) => label).filter(isBase);

/**
 * Headline of one arm divided by that of another. Both of one round, then the median: never of two medians. Undefined for
 * the arm itself and where no round has both.
 */
export const ratioTo = (row: Row, arm: ArmTrials, base: string): Spread | undefined => {
  const other = row.arms.find(({ label }) => label === base);
  if (other === undefined || other.label === arm.label) return undefined;
  const ratios = arm.trials.map((trial, round) => {
    const value = trial?.sample[row.headline];
    const divisor = other.trials[round]?.sample[row.headline];
    return value === undefined || divisor === undefined || divisor === 0 ? undefined : value / divisor;
  });
  const known = ratios.filter(isNumber);
  return known.length === 0 ? undefined : spreadOf(known);
};

/** "round 2: right.udp.RcvbufErrors 310", one per round with a drop nobody expected. */
export const surprises = (row: Row, { trials }: ArmTrials): string[] =>
  trials.flatMap((trial, round) => {
    if (trial === null) return [];
    const names = unexpectedDrops(trial.account, row.overload);
    if (names.length === 0) return [];
    return [`round ${round + 1}: ${names.map((name) => `${name} ${trial.account.counters[name]}`).join(", ")}`];
  });
