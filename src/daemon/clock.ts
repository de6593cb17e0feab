/** Seconds of CLOCK_MONOTONIC: the clock that workers stamp FDB entries with (STATUS_NOW_S). */
export const monotonicS = (): number => process.hrtime()[0];
