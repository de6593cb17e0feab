/**
 * Chance against a model (walk.ts). VTEPD_CHAOS_SEED chooses another walk, VTEPD_CHAOS_SECONDS its length;
 * `npm run test:chaos -- SECONDS=600` is the long one.
 */
import { expect, it } from "vitest";
import { Walk } from "./walk.ts";

const SEED = Number(process.env["VTEPD_CHAOS_SEED"] ?? 20_261_121);
const SECONDS = Number(process.env["VTEPD_CHAOS_SECONDS"] ?? 20);

it(
  "has what the model has, whatever happens, and loses nothing that nobody touched",
  async () => {
    const { steps, restarts, answers } = await Walk.run(SEED, SECONDS);
    console.log(`seed ${SEED}: ${steps} steps, ${restarts} restarts, ${answers} pings answered`);
    // Enough to mean something; a slow machine does less.
    expect(steps).toBeGreaterThan(SECONDS / 4);
    expect(answers).toBeGreaterThan(SECONDS * 2);
  },
  (SECONDS + 120) * 1000,
);
