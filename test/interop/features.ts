/** The rows of the table: each a feature with the test that shows it, the same for every peer. */
import { FORWARDING } from "./forwarding-features.ts";
import { OUTER_HEADER } from "./outer-header-features.ts";
import { SIZES } from "./size-features.ts";

export const FEATURES = { ...FORWARDING, ...OUTER_HEADER, ...SIZES } as const;

export type Feature = keyof typeof FEATURES;
