/** What comes right by itself after a change, and how soon. */
import { expect } from "vitest";
import { waitFor } from "./wait-for.ts";

/** A single recovery may be held up by a busy machine of few cores; the next look but one would be no recovery any more. */
const RECOVERY_MS = 12_000;
/** What is promised, and less than the 5 s from one look to the next. */
const USUAL_RECOVERY_MS = 2000;

const tookMs: number[] = [];

/** Waits for the condition, which has to become true in time. */
export const within = async (condition: () => boolean, what: string): Promise<void> => {
  const startMs = performance.now();
  await waitFor(condition, { what });
  const ms = performance.now() - startMs;
  tookMs.push(ms);
  expect(ms, what).toBeLessThan(RECOVERY_MS);
};

/** Most of what this file has waited for came as soon as is promised. */
export const recoveredOnTheWhole = (): void => {
  const late = tookMs.filter((ms) => ms >= USUAL_RECOVERY_MS);
  expect(late.length, `of ${tookMs.length}: ${late.map(Math.round)} ms`).toBeLessThanOrEqual(tookMs.length / 4);
};
